//! `apply`: a tree with changes made to it, rewriting only the ranges near them.
//! `settle` makes the changes fit the tree first; `builder` cuts and writes.
//! Invariant: the result is the tree that building from the changed entries alone would give, and memory holds a few ranges
//! and pages of changes, however many changes there are.

use drumlin_model::{
    RepoPath, TreeId,
    tree::{Range, Tree},
};
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    trees::{
        Change, Changes, Sorted, TreeStore,
        builder::{TreeBuilder, Writes},
        changes::SettledWalk,
        settle::{Settled, settle},
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
        self.begin_apply(base, &Sorted::new(changes)).await?.stored().await
    }

    /// The same, of changes that need not be in memory, for who has other things to write meanwhile.
    pub(crate) async fn begin_apply(&self, base: TreeId, changes: &dyn Changes) -> Result<Applied> {
        let tree = self.tree(base).await?;
        let mut settled = settle(self, &tree, changes).await?;
        if !settled.clashes.is_empty() {
            let clash = settled.clashes.swap_remove(0);
            return Err(Error::PathClash {
                file: clash.file,
                below: clash.below,
            });
        }
        self.rebuild(base, &tree, changes, settled).await
    }

    /// Writes the tree with settled changes made to it.
    async fn rebuild(&self, base: TreeId, tree: &Tree, changes: &dyn Changes, settled: Settled) -> Result<Applied> {
        let homes = settled.homes.iter();
        let homes = homes.filter_map(|home| tree.ranges.get(*home).cloned()).collect();
        let mut homes = self.ranges(homes);
        let keep = changes.keeps_attributes();
        let mut changes = SettledWalk::new(changes, settled.removals);
        let mut builder = TreeBuilder::new(self, tree);
        let last = tree.ranges.len().saturating_sub(1);
        for (position, reference) in tree.ranges.iter().enumerate() {
            // The last range takes in what comes after it.
            let end = (position < last).then_some(&reference.last);
            let is_home = changes.peek()?.is_some_and(|path| end.is_none_or(|end| path <= end));
            if is_home {
                let range = homes.try_next().await?.expect("every change has its range");
                join(&range, &mut changes, end, keep, &mut builder).await?;
            } else if builder.is_at_cut() {
                builder.reuse(reference.clone()).await?;
            } else {
                builder.extend(self.range(reference.id).await?.entries.clone()).await?;
            }
        }
        join(&Range::default(), &mut changes, None, keep, &mut builder).await?;
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

/// Gives the builder the entries of a range with the changes made to it up to the path `end` (none: all that are left).
async fn join(
    range: &Range,
    changes: &mut SettledWalk<'_>,
    end: Option<&RepoPath>,
    keep_attributes: bool,
    builder: &mut TreeBuilder,
) -> Result<()> {
    let mut old = range.entries.iter().peekable();
    while changes.peek()?.is_some_and(|path| end.is_none_or(|end| path <= end)) {
        let (path, placed) = changes.next()?.expect("it was there to be peeked at");
        while let Some((path, placed)) = old.next_if(|(key, _)| *key < path) {
            builder.push(path.clone(), placed.clone()).await?;
        }
        let before = old.next_if(|(key, _)| *key == path);
        if let Some(mut placed) = placed {
            if let Some((_, before)) = before.filter(|_| keep_attributes) {
                placed.entry.take_attributes(&before.entry);
            }
            builder.push(path, placed).await?;
        }
    }
    for (path, placed) in old {
        builder.push(path.clone(), placed.clone()).await?;
    }
    Ok(())
}
