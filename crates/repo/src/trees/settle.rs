//! Makes changes fit the tree that they are to be made to: folders' own entries go when something stands below them,
//! and a file where a folder is needed is a clash. `apply` fails on clashes, `merge` reports them as conflicts.
//! Invariant: a tree never holds an entry and another below it. So one look at the neighbours of a path mostly suffices.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use drumlin_model::{
    EntryKind, Placed, RepoPath,
    tree::{Clash, ClashScan, Range, Tree, check_entry},
};

use crate::{
    error::Result,
    trees::{Changes, TreeStore, Walk, home},
};

#[derive(Default)]
pub(super) struct Settled {
    /// Entries of folders that go, since something stands below them. They count more than a change of the same path.
    pub removals: BTreeSet<RepoPath>,
    /// The positions of the ranges that take in the changes and the removals.
    pub homes: BTreeSet<usize>,
    /// Either side of a clash may be of the changes or of the tree; at least one is of the changes.
    pub clashes: Vec<Clash>,
}

/// Looks at each change once, in order; memory holds what is found.
pub(super) async fn settle(store: &TreeStore, tree: &Tree, changes: &dyn Changes) -> Result<Settled> {
    let mut settling = Settling {
        store,
        tree,
        changes,
        found: Settled::default(),
    };
    let (mut scan, mut asked, mut current) = (ClashScan::default(), Asked::new(), None);
    let mut walk = Walk::new(changes);
    while let Some((path, placed)) = walk.next()? {
        settling.found.homes.insert(home(tree, path.as_str()));
        let Some(placed) = placed else { continue };
        check_entry(&path, &placed.entry)?;
        if let Some(clash) = scan.push(&path) {
            settling.among_changes(clash)?;
        }
        if !tree.ranges.is_empty() {
            // Of the folders above a path, no other comes again.
            asked.retain(|folder, _| path.is_within(folder));
            settling.against_tree(&path, &placed, &mut asked, &mut current).await?;
        }
    }
    let mut found = settling.found;
    let homes = found.removals.iter().map(|path| home(tree, path.as_str()));
    found.homes.extend(homes);
    Ok(found)
}

/// Folders that were looked up in the tree, and the file that stands at or above each, if any.
type Asked = HashMap<RepoPath, Option<RepoPath>>;

struct Settling<'a> {
    store: &'a TreeStore,
    tree: &'a Tree,
    changes: &'a dyn Changes,
    found: Settled,
}

impl Settling<'_> {
    /// An addition that stands below another addition.
    fn among_changes(&mut self, clash: Clash) -> Result<()> {
        match self.changes.at(&clash.file)? {
            Some((file, Some(placed))) if is_folder(&placed) => drop(self.found.removals.insert(file)),
            _ => self.found.clashes.push(clash),
        }
        Ok(())
    }

    /// An addition that stands below or above entries of the tree. `current` is the range that was read last.
    async fn against_tree(
        &mut self,
        path: &RepoPath,
        placed: &Placed,
        asked: &mut Asked,
        current: &mut Option<(usize, Arc<Range>)>,
    ) -> Result<()> {
        let home = home(self.tree, path.as_str());
        let range = match &current {
            Some((position, range)) if *position == home => range.clone(),
            _ => self.store.range(self.tree.ranges[home].id).await?,
        };
        *current = Some((home, range.clone()));
        let Err(slot) = range.entries.binary_search_by(|(key, _)| key.cmp(path)) else {
            return Ok(());
        };
        let neighbors = Neighbors::of(self.tree, home, &range, slot);
        self.look_above(path, &neighbors, asked).await?;
        self.look_below(path, is_folder(placed), &neighbors).await
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
            if self.changes.at(&folder)?.is_some() {
                continue;
            }
            match self.store.get_in(self.tree, &folder).await? {
                Some(placed) if is_folder(&placed) => drop(self.found.removals.insert(folder)),
                Some(_) => blocker = Some(folder),
                None => continue,
            }
            break;
        }
        asked.extend(walked.into_iter().map(|folder| (folder, blocker.clone())));
        self.found.clashes.extend(blocker.map(|file| Clash {
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
            let below = range.entries[start..].iter().map(|(key, _)| key);
            if let Some(kept) = self.first_kept(below.take_while(|key| key.is_within(path)))? {
                match folder {
                    true => drop(self.found.removals.insert(path.clone())),
                    false => self.found.clashes.push(Clash {
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

    /// The first of the paths of the tree that the changes leave as it is.
    fn first_kept<'p>(&self, paths: impl Iterator<Item = &'p RepoPath>) -> Result<Option<&'p RepoPath>> {
        for path in paths {
            if self.changes.at(path)?.is_none() {
                return Ok(Some(path));
            }
        }
        Ok(None)
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
