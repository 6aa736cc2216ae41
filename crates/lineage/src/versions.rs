//! `Writers`: which commits wrote which thing, and so which version of a path was current at a commit.
//! `lineage` asks once a path and gets the answer for all of history in one pass.
//! Invariant: a version is a commit whose provenance names the path, or a folder above it, as an output.

use std::collections::{BTreeMap, BTreeSet};

use drumlin_model::RepoPath;

use crate::{
    artifact::artifact,
    history::{History, Record},
};

/// The position of the commit whose version of a path is current at each commit.
pub(crate) type Current = Vec<Option<usize>>;

#[derive(Debug)]
pub(crate) struct Writers {
    /// Positions of commits, ascending, by the thing that they wrote.
    by_thing: BTreeMap<String, Vec<usize>>,
}

impl Writers {
    pub fn of(history: &History) -> Self {
        let mut by_thing: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, record) in history.commits.iter().enumerate() {
            for thing in record.things() {
                by_thing.entry(thing.as_str().to_owned()).or_default().push(at);
            }
        }
        Self { by_thing }
    }

    /// The things that stand below `folder`, in order.
    pub fn within<'a>(&'a self, folder: &RepoPath) -> impl Iterator<Item = &'a str> + use<'a> {
        // '0' follows '/', so this is every path that starts with the folder and a slash.
        let (first, end) = (format!("{folder}/"), format!("{folder}0"));
        self.by_thing.range(first..end).map(|(thing, _)| thing.as_str())
    }

    /// The thing that holds `path` and that the commit at `at` wrote, the nearest first.
    pub fn written(&self, path: &RepoPath, at: usize) -> Option<RepoPath> {
        holders(path).find(|thing| self.positions(thing).binary_search(&at).is_ok())
    }

    /// Every commit that wrote `path` or a folder that holds it, oldest first.
    pub fn versions(&self, path: &RepoPath) -> Vec<usize> {
        let positions: BTreeSet<usize> = holders(path)
            .flat_map(|thing| self.positions(&thing).iter().copied())
            .collect();
        positions.into_iter().collect()
    }

    pub fn current(&self, history: &History, path: &RepoPath) -> Current {
        let versions = self.versions(path);
        let mut current = Current::with_capacity(history.commits.len());
        for (at, record) in history.commits.iter().enumerate() {
            let version = match versions.binary_search(&at) {
                Ok(_) => Some(at),
                Err(_) => inherited(history, record, &current, path),
            };
            current.push(version);
        }
        current
    }

    fn positions(&self, thing: &RepoPath) -> &[usize] {
        self.by_thing.get(thing.as_str()).map_or(&[], Vec::as_slice)
    }
}

impl Record {
    /// What the commit wrote, each thing once. A merge only brings versions together: what it names was written before.
    pub fn things(&self) -> BTreeSet<RepoPath> {
        let outputs = if self.is_merge() { &[] } else { self.outputs() };
        outputs.iter().map(artifact).collect()
    }

    pub fn is_merge(&self) -> bool {
        self.parents.len() > 1
    }

    /// Whether a merge took `path` from its second parent; none when it did not record what it took.
    fn took(&self, path: &RepoPath) -> Option<bool> {
        let outputs = self.outputs();
        let took = || {
            outputs
                .iter()
                .any(|output| path.is_within(output) || output.is_within(path))
        };
        (!outputs.is_empty()).then(took)
    }
}

/// The version that a commit which did not write the path has from its parents.
fn inherited(history: &History, record: &Record, current: &Current, path: &RepoPath) -> Option<usize> {
    let mut versions = record.parents.iter().map(|&parent| current[parent]);
    let ours = versions.next().flatten();
    let theirs = versions.flatten().find(|&theirs| Some(theirs) != ours);
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            let took = record.took(path).unwrap_or_else(|| history.is_ancestor(ours, theirs));
            Some(if took { theirs } else { ours })
        }
        (ours, theirs) => ours.or(theirs),
    }
}

/// The thing that `path` belongs to, and the folders above it: whatever, once written, changed the path.
fn holders(path: &RepoPath) -> impl Iterator<Item = RepoPath> {
    let thing = artifact(path);
    let above: Vec<RepoPath> = thing.ancestors().collect();
    std::iter::once(thing).chain(above)
}
