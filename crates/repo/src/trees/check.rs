//! `check`: whether a tree's stored objects are what its id says, for `fsck`.
//! Reads the store, never the cache.
//! Invariant: what is damaged is reported and the check goes on; only a store that does not answer ends it.

use std::collections::HashSet;

use drumlin_model::{
    ErrorKind, Placed, RangeId, RepoPath, TreeId,
    tree::{ClashScan, Cutter, Range, RangeRef, Tree},
};
use futures::{StreamExt, stream};

use crate::{
    error::{Error, Result},
    trees::{RANGES_AHEAD, TreeStore, range_key, tree_key},
};

/// Something wrong with a stored tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeProblem {
    /// The key of the object.
    pub object: String,
    pub detail: String,
}

impl TreeStore {
    /// Reads the tree and each of its ranges that is not in `seen`, adds those to it, and shows their entries to `visit`.
    pub async fn check(
        &self,
        tree: TreeId,
        seen: &mut HashSet<RangeId>,
        visit: &mut (dyn FnMut(&RepoPath, &Placed) + Send),
    ) -> Result<Vec<TreeProblem>> {
        let mut problems = Vec::new();
        let Some(index) = found(self.fetch_tree(tree).await, tree_key(tree), &mut problems)? else {
            return Ok(problems);
        };
        let new: Vec<_> = (0..index.ranges.len())
            .filter(|&at| seen.insert(index.ranges[at].id))
            .collect();
        let ids: Vec<_> = new.iter().map(|&at| (at, index.ranges[at].id)).collect();
        let load = |(at, id)| async move { (at, self.fetch_range(id).await) };
        let mut ranges = stream::iter(ids).map(load).buffered(RANGES_AHEAD);
        let mut scan = ClashScan::default();
        while let Some((at, range)) = ranges.next().await {
            let key = range_key(index.ranges[at].id);
            let Some(range) = found(range, key.clone(), &mut problems)? else {
                continue;
            };
            let details = wrong_in_index(&index, at, &range)
                .into_iter()
                .chain(wrong_in_paths(&range, &mut scan));
            problems.extend(details.map(|detail| TreeProblem {
                object: key.clone(),
                detail,
            }));
            range.entries.iter().for_each(|(path, placed)| visit(path, placed));
        }
        Ok(problems)
    }
}

/// The object, or a problem when it is missing or damaged.
fn found<T>(object: Result<T>, key: String, problems: &mut Vec<TreeProblem>) -> Result<Option<T>> {
    match object {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            problems.push(TreeProblem {
                object: key,
                detail: detail(&error),
            });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn detail(error: &Error) -> String {
    match error {
        Error::MissingObject { .. } => "it is missing".to_owned(),
        error => error.to_string(),
    }
}

/// Whether the index node tells the truth of a range, and the range ends where the cut rule says.
fn wrong_in_index(index: &Tree, at: usize, range: &Range) -> Option<String> {
    let told: &RangeRef = &index.ranges[at];
    if range.reference() != *told {
        return Some("the index node tells its paths or sizes wrongly".to_owned());
    }
    let mut cutter = Cutter::default();
    let cuts: Vec<bool> = range
        .entries
        .iter()
        .map(|(path, placed)| cutter.push(path, &placed.entry))
        .collect();
    let (last, inner) = cuts.split_last()?;
    let is_last = at + 1 == index.ranges.len();
    (inner.contains(&true) || !(*last || is_last)).then(|| "it is not cut where it should be".to_owned())
}

fn wrong_in_paths(range: &Range, scan: &mut ClashScan) -> Option<String> {
    let clash = range.entries.iter().filter_map(|(path, _)| scan.push(path)).last()?;
    Some(format!(
        "it holds {:?} below {:?}, which is no folder",
        clash.below, clash.file
    ))
}
