//! `apply`: a tree with changes made to it, rewriting only the ranges near them.
//! `settle` makes the changes fit the tree first; `builder` cuts and writes.
//! Invariant: the result is the tree that building from the changed entries alone would give.

use drumlin_model::{
    TreeId,
    tree::{Range, Tree, check_entry},
};
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    trees::{
        Change, TreeStore,
        builder::{TreeBuilder, Writes},
        join::changed,
        settle::settle,
    },
};

/// A tree that is made, with its objects on their way to the store: its id is known before they are there.
#[derive(Debug)]
pub(crate) struct Applied {
    tree: TreeId,
    writes: Writes,
}

impl Applied {
    pub fn tree(&self) -> TreeId {
        self.tree
    }

    /// Waits until every object of the tree is stored. Before that nothing may name the tree.
    pub async fn stored(self) -> Result<TreeId> {
        self.writes.all().await.map(|()| self.tree)
    }
}

impl TreeStore {
    /// Writes the tree that differs from `base` by `changes`, given in any order; of two for one path the later counts.
    /// Removing what is not there is no error. A folder's own entry goes when something comes to stand below it.
    pub async fn apply(&self, base: TreeId, changes: Vec<Change>) -> Result<TreeId> {
        self.begin_apply(base, changes).await?.stored().await
    }

    /// The same, for who has other things to write meanwhile.
    pub(crate) async fn begin_apply(&self, base: TreeId, changes: Vec<Change>) -> Result<Applied> {
        let tree = self.tree(base).await?;
        let changes = sorted(changes);
        for (path, placed) in &changes {
            placed
                .as_ref()
                .map_or(Ok(()), |placed| check_entry(path, &placed.entry))?;
        }
        let settled = settle(self, &tree, changes).await?;
        if let Some(clash) = settled.clashes.into_iter().next() {
            return Err(Error::PathClash {
                file: clash.file,
                below: clash.below,
            });
        }
        self.rebuild(base, &tree, settled.changes).await
    }

    /// Writes the tree with sorted, settled changes made to it.
    async fn rebuild(&self, base: TreeId, tree: &Tree, changes: Vec<Change>) -> Result<Applied> {
        if changes.is_empty() {
            return Ok(Applied {
                tree: base,
                writes: Writes::default(),
            });
        }
        let mut builder = TreeBuilder::new(self, tree);
        let groups = by_range(tree, changes);
        let homes = groups
            .iter()
            .filter_map(|(home, _)| tree.ranges.get(*home).cloned())
            .collect();
        let mut homes = self.ranges(homes);
        let mut groups = groups.into_iter().peekable();
        for (position, reference) in tree.ranges.iter().enumerate() {
            if let Some((_, changes)) = groups.next_if(|(home, _)| *home == position) {
                let range = homes.try_next().await?.expect("every group has its range");
                builder.extend(changed(&range, changes).entries).await?;
            } else if builder.is_at_cut() {
                builder.reuse(reference.clone()).await?;
            } else {
                builder.extend(self.range(reference.id).await?.entries.clone()).await?;
            }
        }
        for (_, changes) in groups {
            builder.extend(changed(&Range::default(), changes).entries).await?;
        }
        let (rebuilt, mut writes) = builder.finish().await?;
        let mut made = base;
        if rebuilt != *tree {
            let bytes;
            (made, bytes) = rebuilt.encode()?;
            writes.push(self.clone().write_tree(made, bytes.into(), rebuilt));
        }
        Ok(Applied { tree: made, writes })
    }
}

/// By path, each path once.
fn sorted(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by(|(a, _), (b, _)| a.cmp(b));
    changes.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    changes
}

/// Sorted changes by the position of the range that has to take them in.
fn by_range(tree: &Tree, changes: Vec<Change>) -> Vec<(usize, Vec<Change>)> {
    let mut groups: Vec<(usize, Vec<Change>)> = Vec::new();
    for change in changes {
        let home = home(tree, change.0.as_str());
        match groups.last_mut() {
            Some((last, group)) if *last == home => group.push(change),
            _ => groups.push((home, vec![change])),
        }
    }
    groups
}

/// The range that takes in the path: that which holds it, or the next, or the last. 0 in an empty tree.
pub(super) fn home(tree: &Tree, path: &str) -> usize {
    tree.position(path).min(tree.ranges.len().saturating_sub(1))
}
