//! `diff`: the paths at which two trees differ, in key order.
//! `merge` walks the same join; ranges that both trees name are never fetched.
//! Invariant: a range is in a tree whole or not at all, so what two trees do not share holds every difference.

use std::{cmp::Ordering, collections::HashSet, pin::Pin};

use drumlin_model::{
    Placed, RangeId, RepoPath, TreeId,
    tree::{PathDiff, RangeRef, Tree},
};
use futures::{
    StreamExt, TryFutureExt, TryStreamExt, future,
    stream::{self, BoxStream, Peekable},
};

use crate::{
    error::Result,
    trees::{TreeStore, join::next_key},
};

impl TreeStore {
    /// The paths whose entries differ, in key order. Equal ranges are not fetched; locations are not compared.
    pub fn diff(&self, from: TreeId, to: TreeId) -> BoxStream<'static, Result<PathDiff>> {
        let store = self.clone();
        if from == to {
            return stream::empty().boxed();
        }
        let differences = async move {
            let (from, to) = future::try_join(store.tree(from), store.tree(to)).await?;
            Ok(store.diff_ranges(without(&from, &to), without(&to, &from)))
        };
        differences.try_flatten_stream().boxed()
    }

    /// The differences between the entries of two sorted runs of ranges.
    pub(super) fn diff_ranges(&self, from: Vec<RangeRef>, to: Vec<RangeRef>) -> BoxStream<'static, Result<PathDiff>> {
        let sides = (self.entries(from), self.entries(to));
        stream::try_unfold(sides, |(mut from, mut to)| async move {
            Ok(next_difference(&mut from, &mut to)
                .await?
                .map(|difference| (difference, (from, to))))
        })
        .boxed()
    }

    fn entries(&self, ranges: Vec<RangeRef>) -> Entries {
        let entries = self.ranges(ranges).map_ok(|range| {
            let entries = range.entries.clone();
            stream::iter(entries.into_iter().map(Ok))
        });
        entries.try_flatten().boxed().peekable()
    }
}

type Entries = Peekable<BoxStream<'static, Result<(RepoPath, Placed)>>>;

/// The ranges of `tree` that `other` does not have.
pub(super) fn without(tree: &Tree, other: &Tree) -> Vec<RangeRef> {
    let shared: HashSet<RangeId> = other.ranges.iter().map(|range| range.id).collect();
    tree.ranges
        .iter()
        .filter(|range| !shared.contains(&range.id))
        .cloned()
        .collect()
}

async fn next_difference(from: &mut Entries, to: &mut Entries) -> Result<Option<PathDiff>> {
    loop {
        let order = {
            let before = peek(from).await?;
            let after = peek(to).await?;
            let Some(order) = next_key(before, after) else {
                return Ok(None);
            };
            order
        };
        let before = if order == Ordering::Greater {
            None
        } else {
            from.try_next().await?
        };
        let after = if order == Ordering::Less {
            None
        } else {
            to.try_next().await?
        };
        let same = matches!((&before, &after), (Some((_, before)), Some((_, after))) if before.entry == after.entry);
        if same {
            continue;
        }
        let (path, before) = before.map_or((None, None), |(path, placed)| (Some(path), Some(placed)));
        let (other, after) = after.map_or((None, None), |(path, placed)| (Some(path), Some(placed)));
        let path = path.or(other).expect("one side holds the next key");
        return Ok(Some(PathDiff { path, before, after }));
    }
}

/// The next path of a side. An error there is taken out and returned.
async fn peek(entries: &mut Entries) -> Result<Option<&RepoPath>> {
    if let Some(Err(error)) = Pin::new(&mut *entries).next_if(Result::is_err).await {
        return Err(error);
    }
    Ok(Pin::new(entries)
        .peek()
        .await
        .and_then(|entry| entry.as_ref().ok())
        .map(|(path, _)| path))
}
