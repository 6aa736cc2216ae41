//! Makes changes fit the tree that they are to be made to: folders' own entries go when something stands below them,
//! and a file where a folder is needed is a clash. `apply` fails on clashes, `merge` reports them as conflicts.
//! Invariant: a tree never holds an entry and another below it. So one look at the neighbours of a path mostly suffices.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use drumlin_model::{
    EntryKind, Placed, RepoPath,
    tree::{Clash, ClashScan, Range, Tree},
};

use crate::{
    error::Result,
    trees::{Change, TreeStore, apply::home},
};

pub(super) struct Settled {
    /// Sorted by path.
    pub changes: Vec<Change>,
    /// Either side of a clash may be of the changes or of the tree; at least one is of the changes.
    pub clashes: Vec<Clash>,
}

/// Takes changes sorted by path.
pub(super) async fn settle(store: &TreeStore, tree: &Tree, changes: Vec<Change>) -> Result<Settled> {
    let mut settling = Settling {
        store,
        tree,
        changes,
        extra: BTreeMap::new(),
        clashes: Vec::new(),
    };
    settling.among_changes();
    if !tree.ranges.is_empty() {
        settling.against_tree().await?;
    }
    Ok(settling.finish())
}

/// Folders that were looked up in the tree, and the file that stands at or above each, if any.
type Asked = HashMap<RepoPath, Option<RepoPath>>;

struct Settling<'a> {
    store: &'a TreeStore,
    tree: &'a Tree,
    changes: Vec<Change>,
    /// Removals that follow from the changes.
    extra: BTreeMap<RepoPath, Option<Placed>>,
    clashes: Vec<Clash>,
}

impl Settling<'_> {
    /// Additions that stand below other additions.
    fn among_changes(&mut self) {
        let mut scan = ClashScan::default();
        let added = self.changes.iter().filter(|(_, placed)| placed.is_some());
        let nested: Vec<Clash> = added.filter_map(|(path, _)| scan.push(path)).collect();
        for clash in nested {
            match self.change(&clash.file) {
                Some(Some(placed)) if is_folder(placed) => self.remove(&clash.file),
                _ => self.clashes.push(clash),
            }
        }
    }

    /// Additions that stand below or above entries of the tree.
    async fn against_tree(&mut self) -> Result<()> {
        let mut asked = Asked::new();
        let mut current: Option<(usize, Arc<Range>)> = None;
        for at in 0..self.changes.len() {
            let (path, Some(placed)) = &self.changes[at] else {
                continue;
            };
            let (path, folder) = (path.clone(), is_folder(placed));
            let home = home(self.tree, path.as_str());
            let range = match &current {
                Some((position, range)) if *position == home => range.clone(),
                _ => self.store.range(self.tree.ranges[home].id).await?,
            };
            current = Some((home, range.clone()));
            let Err(slot) = range.entries.binary_search_by(|(key, _)| key.cmp(&path)) else {
                continue;
            };
            let neighbors = Neighbors::of(self.tree, home, &range, slot);
            self.look_above(&path, &neighbors, &mut asked).await?;
            self.look_below(&path, folder, &neighbors).await?;
        }
        Ok(())
    }

    /// Whether a folder above `path` has an entry of its own in the tree.
    async fn look_above(&mut self, path: &RepoPath, near: &Neighbors, asked: &mut Asked) -> Result<()> {
        let (mut walked, mut blocker) = (Vec::new(), None);
        for folder in path.ancestors() {
            if near.any_within(&folder) {
                break;
            }
            if let Some(known) = asked.get(&folder) {
                blocker = known.clone();
                break;
            }
            walked.push(folder.clone());
            if self.change(&folder).is_some() {
                continue;
            }
            match self.store.get_in(self.tree, &folder).await? {
                Some(placed) if is_folder(&placed) => self.remove(&folder),
                Some(_) => blocker = Some(folder),
                None => continue,
            }
            break;
        }
        asked.extend(walked.into_iter().map(|folder| (folder, blocker.clone())));
        self.clashes.extend(blocker.map(|file| Clash {
            file,
            below: path.clone(),
        }));
        Ok(())
    }

    /// Whether something stays below `path` in the tree.
    async fn look_below(&mut self, path: &RepoPath, folder: bool, near: &Neighbors) -> Result<()> {
        // Whatever is next to a path in the tree and not below it may still be followed by what is: `a`, `a-`, `a/b`.
        let first = format!("{path}/");
        if near
            .after
            .as_ref()
            .is_none_or(|after| !after.as_str().starts_with(path.as_str()))
        {
            return Ok(());
        }
        for reference in &self.tree.ranges[self.tree.position(&first)..] {
            if reference.first.as_str() > first.as_str() && !reference.first.is_within(path) {
                return Ok(());
            }
            let range = self.store.range(reference.id).await?;
            let start = range.entries.partition_point(|(key, _)| key.as_str() < first.as_str());
            let mut below = range.entries[start..]
                .iter()
                .map(|(key, _)| key)
                .take_while(|key| key.is_within(path));
            if let Some(kept) = below.find(|key| self.change(key).is_none()) {
                match folder {
                    true => self.remove(path),
                    false => self.clashes.push(Clash {
                        file: path.clone(),
                        below: kept.clone(),
                    }),
                }
                return Ok(());
            }
            if range.entries.last().is_none_or(|(key, _)| !key.is_within(path)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the changes say of the path, if anything.
    fn change(&self, path: &RepoPath) -> Option<&Option<Placed>> {
        let at = self.changes.binary_search_by(|(key, _)| key.cmp(path)).ok()?;
        Some(&self.changes[at].1)
    }

    fn remove(&mut self, path: &RepoPath) {
        self.extra.insert(path.clone(), None);
    }

    fn finish(self) -> Settled {
        let mut changes = self.changes;
        if !self.extra.is_empty() {
            let mut all: BTreeMap<_, _> = changes.into_iter().collect();
            all.extend(self.extra);
            changes = all.into_iter().collect();
        }
        Settled {
            changes,
            clashes: self.clashes,
        }
    }
}

/// The paths of the tree next to a path that it does not hold.
struct Neighbors {
    before: Option<RepoPath>,
    after: Option<RepoPath>,
}

impl Neighbors {
    /// `slot` is where the path would go in `range`, which is its home.
    fn of(tree: &Tree, home: usize, range: &Range, slot: usize) -> Self {
        let before = match slot.checked_sub(1) {
            Some(before) => range.entries.get(before).map(|(path, _)| path.clone()),
            None => home.checked_sub(1).map(|before| tree.ranges[before].last.clone()),
        };
        let after = match range.entries.get(slot) {
            Some((path, _)) => Some(path.clone()),
            None => tree.ranges.get(home + 1).map(|range| range.first.clone()),
        };
        Self { before, after }
    }

    fn any_within(&self, folder: &RepoPath) -> bool {
        [&self.before, &self.after]
            .into_iter()
            .flatten()
            .any(|path| path != folder && path.is_within(folder))
    }
}

fn is_folder(placed: &Placed) -> bool {
    placed.entry.kind == EntryKind::Folder
}
