//! `merge`: three trees into one, path by path, conflicts as data.
//! `model::tree::merge_entries` decides one path; this finds the paths: those that `theirs` changed since `base`.
//! Invariant: a merge reads what changed. Where two of the three trees share a range, that range is not read.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use drumlin_model::{
    Placed, RangeId, RepoPath, TreeId,
    tree::{Clash, Conflict, Merge, PathDiff, RangeRef, Tree, merge_entries},
};
use futures::{TryStreamExt, future};

use crate::{
    error::Result,
    logs::log_of,
    trees::{Change, Sorted, TreeStore, diff::without, settle::settle},
};

/// What came of a merge. With conflicts, `tree` holds what `ours` has at their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeMerge {
    pub tree: TreeId,
    /// By path.
    pub conflicts: Vec<Conflict>,
}

impl TreeStore {
    /// Makes the changes from `base` to `theirs` to `ours`.
    pub async fn merge(&self, base: TreeId, ours: TreeId, theirs: TreeId) -> Result<TreeMerge> {
        let clean = |tree| {
            Ok(TreeMerge {
                tree,
                conflicts: Vec::new(),
            })
        };
        if ours == theirs || base == theirs {
            return clean(ours);
        }
        if base == ours {
            return clean(theirs);
        }
        let trees = future::try_join3(self.tree(base), self.tree(ours), self.tree(theirs)).await?;
        let sides = Sides::new(trees.0, trees.1, trees.2);
        let (changes, mut conflicts) = self.changes_of_theirs(&sides).await?;
        let changes = self
            .without_split_logs((base, ours), &sides, changes, &mut conflicts)
            .await?;
        let changes = self.without_clashes(&sides, changes, &mut conflicts).await?;
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(TreeMerge {
            tree: self.apply(ours, changes).await?,
            conflicts,
        })
    }

    /// What has to change in `ours`, sorted, and the paths at which that cannot be told.
    async fn changes_of_theirs(&self, sides: &Sides) -> Result<(Vec<Change>, Vec<Conflict>)> {
        let (mut changes, mut conflicts) = (Vec::new(), Vec::new());
        let (before, after) = sides.to_read();
        let mut differences = self.diff_ranges(before, after);
        while let Some(PathDiff { path, before, after }) = differences.try_next().await? {
            if sides.agree_at(&path) {
                continue;
            }
            let ours = self.ours_at(sides, &path, before.as_ref()).await?;
            match merge_entries(before.as_ref(), ours.as_ref(), after.as_ref()) {
                Merge::Clean(merged) if same_entry(merged.as_ref(), ours.as_ref()) => {}
                Merge::Clean(merged) => changes.push((path, merged)),
                Merge::Conflict => {
                    conflicts.push(Conflict {
                        path,
                        base: before,
                        ours,
                        theirs: after,
                        blocked_by: None,
                    });
                }
            }
        }
        Ok((changes, conflicts))
    }

    /// What `ours` holds at a path where `base` holds `before`: not looked up where both have the same range.
    async fn ours_at(&self, sides: &Sides, path: &RepoPath, before: Option<&Placed>) -> Result<Option<Placed>> {
        match sides.ours.ranges.get(sides.ours.position(path.as_str())) {
            Some(range) if range.first <= *path && sides.in_base.contains(&range.id) => Ok(before.cloned()),
            _ => self.get_in(&sides.ours, path).await,
        }
    }

    /// Takes out the changes to logs that ours has changed too, and reports each such log as a conflict, unless entries of it
    /// are conflicts already.
    async fn without_split_logs(
        &self,
        (base, ours): (TreeId, TreeId),
        sides: &Sides,
        mut changes: Vec<Change>,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<Vec<Change>> {
        let mut logs = self.logs_of(sides, &changes).await?;
        if logs.is_empty() {
            return Ok(changes);
        }
        let mut split = BTreeSet::new();
        let mut differences = self.diff(base, ours);
        while let Some(PathDiff { path, .. }) = differences.try_next().await? {
            split.extend(log_of(&path).filter(|log| logs.remove(log)));
        }
        let is_split = |path: &RepoPath| log_of(path).is_some_and(|log| split.contains(&log));
        changes.retain(|(path, _)| !is_split(path));
        let named: BTreeSet<RepoPath> = conflicts.iter().filter_map(|conflict| log_of(&conflict.path)).collect();
        conflicts.extend(split.difference(&named).map(|path| Conflict {
            path: path.clone(),
            base: None,
            ours: None,
            theirs: None,
            blocked_by: None,
        }));
        Ok(changes)
    }

    /// The logs of which changes alter the content.
    async fn logs_of(&self, sides: &Sides, changes: &[Change]) -> Result<BTreeSet<RepoPath>> {
        let mut logs = BTreeSet::new();
        for (path, after) in changes {
            let Some(log) = log_of(path).filter(|log| !logs.contains(log)) else {
                continue;
            };
            let ours = self.get_in(&sides.ours, path).await?;
            let kind = |placed: &Option<Placed>| placed.as_ref().map(|placed| placed.entry.kind.clone());
            if kind(&ours) != kind(after) {
                logs.insert(log);
            }
        }
        Ok(logs)
    }

    /// Takes out the additions that cannot stand beside what `ours` has, and reports them as conflicts.
    async fn without_clashes(
        &self,
        sides: &Sides,
        mut changes: Vec<Change>,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<Vec<Change>> {
        loop {
            let sorted = Sorted::new(changes);
            let settled = settle(self, &sides.ours, &sorted).await?;
            changes = sorted.into_inner();
            changes.extend(settled.removals.into_iter().map(|path| (path, None)));
            changes = Sorted::new(changes).into_inner();
            if settled.clashes.is_empty() {
                return Ok(changes);
            }
            // Each round takes out at least one addition, so this ends; mostly after the first.
            for Clash { file, below } in settled.clashes {
                let (path, other) = if added(&changes, &below) {
                    (below, file)
                } else {
                    (file, below)
                };
                let Ok(at) = changes.binary_search_by(|(key, _)| key.cmp(&path)) else {
                    continue;
                };
                let (_, theirs) = changes.remove(at);
                let base = self.get_in(&sides.base, &path).await?;
                let ours = self.get_in(&sides.ours, &path).await?;
                conflicts.push(Conflict {
                    path,
                    base,
                    ours,
                    theirs,
                    blocked_by: Some(other),
                });
            }
        }
    }
}

fn added(changes: &[Change], path: &RepoPath) -> bool {
    changes
        .binary_search_by(|(key, _)| key.cmp(path))
        .is_ok_and(|at| changes[at].1.is_some())
}

fn same_entry(a: Option<&Placed>, b: Option<&Placed>) -> bool {
    a.map(|placed| &placed.entry) == b.map(|placed| &placed.entry)
}

/// The three trees of a merge, and what is known of them without reading a range.
struct Sides {
    base: Arc<Tree>,
    ours: Arc<Tree>,
    theirs: Arc<Tree>,
    in_base: HashSet<RangeId>,
    /// The ranges that `ours` and `theirs` share, in key order: between first and last path both hold the same.
    agreed: Vec<RangeRef>,
}

impl Sides {
    fn new(base: Arc<Tree>, ours: Arc<Tree>, theirs: Arc<Tree>) -> Self {
        let in_base = base.ranges.iter().map(|range| range.id).collect();
        let in_ours: HashSet<RangeId> = ours.ranges.iter().map(|range| range.id).collect();
        let agreed = theirs
            .ranges
            .iter()
            .filter(|range| in_ours.contains(&range.id))
            .cloned()
            .collect();
        Self {
            base,
            ours,
            theirs,
            in_base,
            agreed,
        }
    }

    /// The ranges of `base` and of `theirs` that may hold what `theirs` changed and `ours` did not change alike.
    fn to_read(&self) -> (Vec<RangeRef>, Vec<RangeRef>) {
        let mut before = without(&self.base, &self.theirs);
        let mut after = without(&self.theirs, &self.base);
        before.retain(|range| {
            self.agreed_at(&range.first)
                .is_none_or(|agreed| agreed.last < range.last)
        });
        after.retain(|range| self.agreed_at(&range.first).is_none());
        (before, after)
    }

    fn agree_at(&self, path: &RepoPath) -> bool {
        self.agreed_at(path).is_some()
    }

    fn agreed_at(&self, path: &RepoPath) -> Option<&RangeRef> {
        let at = self.agreed.partition_point(|range| range.last < *path);
        self.agreed.get(at).filter(|range| range.first <= *path)
    }
}
