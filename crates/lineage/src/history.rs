//! `History`: every commit that a question can touch, parents before children.
//! That is the ancestors of one commit, and of each commit that one of them read from.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use drumlin_model::{Commit, CommitId, ErrorKind, Input, RepoPath, Verb};
use drumlin_repo::Repo;
use futures::{StreamExt, stream};

use crate::{
    error::{Error, Result},
    graph::RunRecord,
};

/// The most commits that are read: about a gigabyte of records.
pub(crate) const COMMITS_MAX: usize = 500_000;
/// Objects fetched at a time: provenance of known commits, and commits where history forks.
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
    pub run: RunRecord,
    /// Positions of the parents; the first is the branch that was written to.
    pub parents: Vec<usize>,
    /// What the commit changed, where its provenance is gone.
    changed: Vec<RepoPath>,
}

impl Record {
    /// What the run read, as it recorded it.
    pub fn inputs(&self) -> &[Input] {
        self.run
            .provenance
            .as_ref()
            .map_or(&[], |provenance| &provenance.inputs)
    }

    pub fn outputs(&self) -> &[RepoPath] {
        self.run
            .provenance
            .as_ref()
            .map_or(&self.changed, |provenance| &provenance.outputs)
    }

    /// The verb, if this program knows it.
    pub fn verb(&self) -> Option<Verb> {
        Verb::parse(&self.run.provenance.as_ref()?.verb)
    }
}

impl History {
    pub async fn read(repo: &Repo, head: CommitId) -> Result<Self> {
        Ok(sort(fetch(repo, head).await?))
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

/// All commits with what is known of their runs, and those that history starts to be walked from, in a fixed order.
struct Fetched {
    commits: HashMap<CommitId, (Arc<Commit>, RunRecord, Vec<RepoPath>)>,
    starts: Vec<CommitId>,
}

/// Reads the line of `head`, then those of the commits that a run of it read from, and so on. A commit that was only read
/// from may be gone, since nothing keeps what no ref reaches; a parent may not.
async fn fetch(repo: &Repo, head: CommitId) -> Result<Fetched> {
    let mut fetched = Fetched {
        commits: HashMap::new(),
        starts: Vec::new(),
    };
    let mut starts = vec![head];
    while !starts.is_empty() {
        let lines = commits_of(repo, &starts, head, &fetched).await?;
        fetched.starts.append(&mut starts);
        let runs = lines.into_iter().map(|(id, commit)| run_of(repo, id, commit));
        let mut runs = stream::iter(runs).buffered(FETCHES_MAX);
        while let Some(run) = runs.next().await {
            let (id, commit, run, changed) = run?;
            let inputs = run.provenance.iter().flat_map(|provenance| &provenance.inputs);
            starts.extend(inputs.filter_map(|input| input.commit));
            fetched.commits.insert(id, (commit, run, changed));
        }
        let mut met = HashSet::new();
        starts.retain(|id| !fetched.commits.contains_key(id) && met.insert(*id));
    }
    Ok(fetched)
}

/// The commits of `starts` and their ancestors that were not fetched yet.
async fn commits_of(
    repo: &Repo,
    starts: &[CommitId],
    head: CommitId,
    fetched: &Fetched,
) -> Result<Vec<(CommitId, Arc<Commit>)>> {
    let mut found = Vec::new();
    let mut met: HashSet<CommitId> = starts.iter().copied().collect();
    let mut pending: Vec<(CommitId, bool)> = starts.iter().map(|&id| (id, id == head)).collect();
    while !pending.is_empty() {
        let fetches = pending
            .drain(..)
            .map(|(id, needed)| async move { (id, needed, repo.commit(id).await) });
        let read: Vec<_> = stream::iter(fetches).buffered(FETCHES_MAX).collect().await;
        for (id, needed, commit) in read {
            let commit = match commit {
                Err(error) if !needed && error.kind() == ErrorKind::NotFound => continue,
                commit => commit.map_err(|source| failed(id, source))?,
            };
            if fetched.commits.len() + found.len() == COMMITS_MAX {
                return Err(Error::TooManyCommits { limit: COMMITS_MAX });
            }
            let new = |parent: &&CommitId| !fetched.commits.contains_key(*parent) && met.insert(**parent);
            pending.extend(commit.parents.iter().filter(new).map(|&parent| (parent, true)));
            found.push((id, commit));
        }
    }
    Ok(found)
}

/// What a run recorded; where that is gone, the paths that its commit changed stand for what it wrote.
async fn run_of(
    repo: &Repo,
    id: CommitId,
    commit: Arc<Commit>,
) -> Result<(CommitId, Arc<Commit>, RunRecord, Vec<RepoPath>)> {
    let read = async {
        let provenance = repo.provenance(&commit).await?.stored().cloned();
        let changed = match provenance {
            Some(_) => Vec::new(),
            None => repo.changed_by(&commit).await?,
        };
        Ok((provenance, changed))
    };
    let (provenance, changed) = read.await.map_err(|source| failed(id, source))?;
    let time = commit.time;
    Ok((id, commit, RunRecord { time, provenance }, changed))
}

fn failed(commit: CommitId, source: drumlin_repo::Error) -> Error {
    Error::History {
        commit,
        source: Box::new(source),
    }
}

/// Depth first from each start, a commit after its parents.
fn sort(Fetched { mut commits, starts }: Fetched) -> History {
    let mut history = History {
        commits: Vec::with_capacity(commits.len()),
        positions: HashMap::new(),
    };
    let mut stack: Vec<(CommitId, bool)> = Vec::new();
    for start in starts {
        stack.push((start, false));
        while let Some((id, parents_done)) = stack.pop() {
            let Some((commit, ..)) = commits.get(&id) else { continue };
            if !parents_done {
                stack.push((id, true));
                stack.extend(commit.parents.iter().rev().map(|&parent| (parent, false)));
                continue;
            }
            let (commit, run, changed) = commits.remove(&id).expect("it was there");
            let parents = commit
                .parents
                .iter()
                .filter_map(|&parent| history.position(parent))
                .collect();
            history.positions.insert(id, history.commits.len());
            history.commits.push(Record {
                id,
                run,
                parents,
                changed,
            });
        }
    }
    history
}
