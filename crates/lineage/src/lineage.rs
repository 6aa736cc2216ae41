//! `Lineage`: what every run read, resolved to the version that was current there, and the steps between things.
//! `history` reads the commits, `versions` finds what was current, `walk` takes the steps and answers questions.
//! Invariant: what a run read was there before the run, since a commit's id holds the ids of all that it names.

use std::collections::{BTreeMap, BTreeSet};

use drumlin_model::{CommitId, Input, RepoPath, Verb};
use drumlin_repo::Repo;

use crate::{
    artifact::{artifact, kind},
    error::Result,
    graph::{Direction, NodeKind},
    history::History,
    thing::{Thing, Things, Via},
    versions::{Current, Writers},
};

/// A folder that was read as a whole is shown as its parts up to this many, else as one node.
const PARTS_MAX: usize = 100;

/// What is known of where things come from, up to one commit.
#[derive(Debug)]
pub struct Lineage {
    pub(crate) history: History,
    pub(crate) head: CommitId,
    pub(crate) writers: Writers,
    pub(crate) things: Things,
    /// What each run read, by its position.
    reads: Vec<Vec<Reading>>,
    /// The runs that read each thing, and which of their readings that was.
    readers: Vec<Vec<(usize, usize)>>,
    /// Whether each run made its outputs of different things.
    is_split: Vec<bool>,
}

/// A thing that a run read, and what the run made of it: all that it wrote when nothing is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reading {
    thing: usize,
    into: Vec<RepoPath>,
}

impl Reading {
    fn went_into(&self, path: &RepoPath) -> bool {
        self.into.is_empty() || self.into.contains(path)
    }
}

/// One path that a run read, at the commit of a position; without an input, the version that it changed in place.
struct Read {
    run: usize,
    at: usize,
    /// What was made of it.
    into: Vec<RepoPath>,
    input: Option<Input>,
}

impl Lineage {
    /// Reads the history of `commit`, and of whatever was read from elsewhere by a commit in it.
    pub async fn at(repo: &Repo, commit: CommitId) -> Result<Self> {
        let history = History::read(repo, commit).await?;
        let writers = Writers::of(&history);
        let reads = vec![Vec::new(); history.commits.len()];
        let mut lineage = Self {
            history,
            head: commit,
            writers,
            things: Things::default(),
            reads,
            readers: Vec::new(),
            is_split: Vec::new(),
        };
        lineage.resolve_reads();
        Ok(lineage)
    }

    pub(crate) fn all_versions(&self, path: &RepoPath) -> Vec<Thing> {
        let below = self
            .writers
            .within(path)
            .map(|thing| RepoPath::new(thing).expect("a thing is a path"));
        let paths = std::iter::once(artifact(path)).chain(below);
        let versions = paths.flat_map(|path| {
            let written = self.writers.versions(&path).into_iter();
            written.map(|at| self.version(&path, at)).collect::<Vec<_>>()
        });
        let mut versions: Vec<Thing> = versions.collect();
        versions.sort();
        versions.dedup();
        versions
    }

    fn version(&self, path: &RepoPath, at: usize) -> Thing {
        let path = self.writers.written(path, at).unwrap_or_else(|| artifact(path));
        Thing::Version { path, at }
    }

    /// One pass over history for each path that was ever read, however often it was.
    fn resolve_reads(&mut self) {
        let mut by_path: BTreeMap<RepoPath, Vec<Read>> = BTreeMap::new();
        for (run, record) in self.history.commits.iter().enumerate() {
            for input in record.inputs() {
                match (
                    RepoPath::new(&input.name),
                    input.commit.and_then(|commit| self.history.position(commit)),
                ) {
                    (Ok(path), Some(at)) => {
                        by_path.entry(whole(path)).or_default().push(Read {
                            run,
                            at,
                            into: things_of(&input.into),
                            input: Some(input.clone()),
                        });
                    }
                    _ => {
                        let thing = self.things.id(unresolved(input));
                        self.reads[run].push(Reading {
                            thing,
                            into: things_of(&input.into),
                        });
                    }
                }
            }
            for (path, at) in self.changed_in_place(run) {
                by_path.entry(path.clone()).or_default().push(Read {
                    run,
                    at,
                    into: vec![path],
                    input: None,
                });
            }
        }
        for (path, reads) in by_path {
            let ats: Vec<usize> = reads.iter().map(|read| read.at).collect();
            let current = self.writers.current(&self.history, &path);
            let found = self.parts(&path, &ats, &current);
            for (read, things) in reads.into_iter().zip(found) {
                self.add_read(read, things);
            }
        }
        self.index_readers();
    }

    fn add_read(&mut self, read: Read, mut things: Vec<Thing>) {
        let version = read.input.as_ref().and_then(|input| input.version.clone());
        if let (true, Some(input)) = (things.is_empty(), &read.input)
            && !was_not_there(input)
        {
            things.push(unresolved(input));
        }
        let whole = things.len() == 1;
        for thing in things {
            let id = self.things.id(thing);
            self.reads[read.run].push(Reading {
                thing: id,
                into: read.into.clone(),
            });
            if let (true, Some(version)) = (whole, &version) {
                self.things.versions.entry(id).or_insert_with(|| version.clone());
            }
        }
    }

    fn index_readers(&mut self) {
        let outputs = |run: usize| self.history.commits[run].things().len();
        let named = |reads: &[Reading]| reads.iter().any(|reading| !reading.into.is_empty());
        let reads = self.reads.iter().enumerate();
        self.is_split = reads.map(|(run, reads)| named(reads) && outputs(run) > 1).collect();
        self.readers = vec![Vec::new(); self.things.all.len()];
        for (run, reads) in self.reads.iter_mut().enumerate() {
            let thing = |reading: &Reading| &self.things.all[reading.thing];
            reads.sort_by(|a, b| thing(a).cmp(thing(b)).then_with(|| a.into.cmp(&b.into)));
            reads.dedup();
            for (at, reading) in reads.iter().enumerate() {
                self.readers[reading.thing].push((run, at));
            }
        }
    }

    /// The outputs of a run that it changed rather than replaced, and the parent whose version it changed.
    fn changed_in_place(&self, run: usize) -> Vec<(RepoPath, usize)> {
        let record = &self.history.commits[run];
        let Some(&parent) = record.parents.first() else {
            return Vec::new();
        };
        if !record.verb().is_some_and(Verb::changes_in_place) {
            return Vec::new();
        }
        record.things().into_iter().map(|path| (path, parent)).collect()
    }

    /// For each commit, the versions that `path` consisted of there: its own, and those of newer parts when it is a folder.
    pub(crate) fn parts(&self, path: &RepoPath, ats: &[usize], whole: &Current) -> Vec<Vec<Thing>> {
        let own = |at: usize| whole[at].map(|version| self.version(path, version));
        let mut found: Vec<Vec<Thing>> = ats.iter().map(|&at| own(at).into_iter().collect()).collect();
        let below: Vec<&str> = match artifact(path) == *path && !is_one_thing(path) {
            true => self.writers.within(path).take(PARTS_MAX + 1).collect(),
            false => Vec::new(),
        };
        if below.len() > PARTS_MAX {
            return ats
                .iter()
                .map(|&at| vec![Thing::Folder { path: path.clone(), at }])
                .collect();
        }
        for part in below {
            let part = RepoPath::new(part).expect("a thing is a path");
            let current = self.writers.current(&self.history, &part);
            for (found, &at) in found.iter_mut().zip(ats) {
                let Some(version) = current[at] else { continue };
                let thing = self.version(&part, version);
                if !found.contains(&thing) {
                    found.push(thing);
                }
            }
        }
        found
    }

    /// From a thing, each run to go through (none for a folder that the thing is a part of) and what lies beyond it.
    pub(crate) fn steps(&self, thing: &Thing, direction: Direction) -> Vec<(Option<Via>, Vec<Thing>)> {
        match (direction, thing) {
            (Direction::Origins, Thing::Version { path, at }) => {
                let read = self.reads[*at].iter().filter(|reading| reading.went_into(path));
                let read = read.map(|reading| self.things.all[reading.thing].clone()).collect();
                vec![(Some(self.via(*at, path)), read)]
            }
            (Direction::Origins, _) => Vec::new(),
            (Direction::Impact, _) => {
                let mut steps = self.folders_with(thing);
                let readers = self.things.ids.get(thing).map_or(&[][..], |&id| &self.readers[id]);
                steps.extend(readers.iter().flat_map(|&(run, reading)| self.made_of(run, reading)));
                steps
            }
        }
    }

    fn via(&self, run: usize, output: &RepoPath) -> Via {
        Via {
            run,
            output: self.is_split[run].then(|| output.clone()),
        }
    }

    /// What a run made of one of its readings; a run that wrote nothing is a step nonetheless.
    fn made_of(&self, run: usize, reading: usize) -> Vec<(Option<Via>, Vec<Thing>)> {
        let reading = &self.reads[run][reading];
        let outputs = self.outputs(run);
        if outputs.is_empty() {
            return vec![(Some(Via { run, output: None }), Vec::new())];
        }
        let made = outputs.into_iter().filter(|path| reading.went_into(path));
        made.map(|path| (Some(self.via(run, &path)), vec![Thing::Version { path, at: run }]))
            .collect()
    }

    fn outputs(&self, run: usize) -> BTreeSet<RepoPath> {
        self.history.commits[run].things()
    }

    /// The folders that were read as one node while this version was in them.
    fn folders_with(&self, thing: &Thing) -> Vec<(Option<Via>, Vec<Thing>)> {
        let Thing::Version { path, at } = thing else {
            return Vec::new();
        };
        let folders = self.things.all.iter().filter(|folder| match folder {
            Thing::Folder { path: folder, .. } => path.is_within(folder),
            _ => false,
        });
        let mut folders = folders.peekable();
        if folders.peek().is_none() {
            return Vec::new();
        }
        let current = self.writers.current(&self.history, path);
        let held = folders.filter(|folder| folder.at().is_some_and(|read_at| current[read_at] == Some(*at)));
        held.map(|folder| (None, vec![folder.clone()])).collect()
    }
}

/// Of a path in a table or a training set, the table or the set: asked for once instead of for each of its files.
fn whole(path: RepoPath) -> RepoPath {
    if is_one_thing(&path) { artifact(&path) } else { path }
}

/// Tables and training sets: what is below them is theirs.
fn is_one_thing(path: &RepoPath) -> bool {
    matches!(kind(path), NodeKind::Table | NodeKind::TrainingSet)
}

fn unresolved(input: &Input) -> Thing {
    match input.commit {
        Some(commit) => Thing::Unknown {
            name: input.name.clone(),
            commit,
        },
        None => Thing::External {
            name: input.name.clone(),
            version: input.version.clone(),
        },
    }
}

fn things_of(paths: &[RepoPath]) -> Vec<RepoPath> {
    let things: BTreeSet<RepoPath> = paths.iter().map(artifact).collect();
    things.into_iter().collect()
}

/// A path that became as it was at another commit, where it was not: what a revert records of a file that it takes away.
fn was_not_there(input: &Input) -> bool {
    input.into.iter().any(|path| path.as_str() == input.name)
}
