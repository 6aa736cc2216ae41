//! `History`: every commit that a question can touch, parents before children.
//! That is the ancestors of one commit, and of each commit that one of them read from.

use std::{collections::HashMap, sync::Arc};

use drumlin_model::{Commit, CommitId, ErrorKind};
use drumlin_repo::Repo;
use futures::{StreamExt, stream};

use crate::error::{Error, Result};

/// The most commits that are read: about a gigabyte of records.
pub(crate) const COMMITS_MAX: usize = 500_000;
/// Commits fetched at a time where history forks.
const FETCHES_MAX: usize = 16;

/// Commits by position; a parent's position is smaller than its child's.
#[derive(Debug)]
pub(crate) struct History {
    pub commits: Vec<Record>,
    positions: HashMap<CommitId, usize>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub id: CommitId,
    pub commit: Arc<Commit>,
    /// Positions of the parents; the first is the branch that was written to.
    pub parents: Vec<usize>,
}

impl History {
    pub async fn read(repo: &Repo, head: CommitId) -> Result<Self> {
        let (found, starts) = fetch(repo, head).await?;
        Ok(sort(found, &starts))
    }

    pub fn position(&self, id: CommitId) -> Option<usize> {
        self.positions.get(&id).copied()
    }

    /// Whether the commit at `old` is the one at `new` or one of its ancestors.
    pub fn is_ancestor(&self, old: usize, new: usize) -> bool {
        let mut pending = vec![new];
        let mut met = vec![false; new + 1];
        while let Some(at) = pending.pop() {
            if at == old {
                return true;
            }
            // A parent's position is smaller, so nothing below `old` can lead to it.
            if at > old && !std::mem::replace(&mut met[at], true) {
                pending.extend(&self.commits[at].parents);
            }
        }
        false
    }
}

type Found = HashMap<CommitId, Arc<Commit>>;

/// All commits, and those that history starts to be walked from, in a fixed order. A commit that was only read from may
/// be gone, since nothing keeps what no ref reaches; a parent may not.
async fn fetch(repo: &Repo, head: CommitId) -> Result<(Found, Vec<CommitId>)> {
    let mut found = Found::new();
    let mut starts = vec![head];
    let mut pending = vec![(head, true)];
    while !pending.is_empty() {
        let fetches = pending
            .drain(..)
            .map(|(id, needed)| async move { (id, needed, repo.commit_info(id).await) });
        let fetched: Vec<_> = stream::iter(fetches).buffered(FETCHES_MAX).collect().await;
        for (id, needed, commit) in fetched {
            let commit = match commit {
                Err(error) if !needed && error.kind() == ErrorKind::NotFound => continue,
                commit => commit.map_err(|source| Error::History {
                    commit: id,
                    source: Box::new(source),
                })?,
            };
            if found.len() == COMMITS_MAX {
                return Err(Error::TooManyCommits { limit: COMMITS_MAX });
            }
            let read_from = commit.provenance.inputs.iter().filter_map(|input| input.commit);
            for (next, needed) in commit
                .parents
                .iter()
                .map(|&id| (id, true))
                .chain(read_from.map(|id| (id, false)))
            {
                if !found.contains_key(&next) {
                    pending.push((next, needed));
                    starts.extend((!needed).then_some(next));
                }
            }
            found.insert(id, commit);
        }
        pending.retain(|(id, _)| !found.contains_key(id));
        // One that is needed must not be taken for one that may be gone.
        pending.sort_by_key(|&(id, needed)| (id, !needed));
        pending.dedup_by_key(|(id, _)| *id);
    }
    Ok((found, starts))
}

/// Depth first from each start, a commit after its parents.
fn sort(found: Found, starts: &[CommitId]) -> History {
    let mut history = History {
        commits: Vec::with_capacity(found.len()),
        positions: HashMap::new(),
    };
    let mut stack: Vec<(CommitId, bool)> = Vec::new();
    for &start in starts {
        stack.push((start, false));
        while let Some((id, parents_done)) = stack.pop() {
            let Some(commit) = found.get(&id) else { continue };
            if history.positions.contains_key(&id) {
                continue;
            }
            if !parents_done {
                stack.push((id, true));
                stack.extend(commit.parents.iter().rev().map(|&parent| (parent, false)));
                continue;
            }
            let parents = commit
                .parents
                .iter()
                .filter_map(|&parent| history.position(parent))
                .collect();
            history.positions.insert(id, history.commits.len());
            history.commits.push(Record {
                id,
                commit: commit.clone(),
                parents,
            });
        }
    }
    history
}
