//! `merge`, `revert` and `cherry_pick`: they bring changes made elsewhere to the current branch, or name what is in the way.
//! Invariant: with conflicts nothing changes.

use std::collections::BTreeSet;

use drumlin_model::{CommitId, RefExpr, RefName, RepoPath, Verb};
use drumlin_repo::{Conflict, Merged, logs::table_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// Brings the changes of another branch into the current one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MergeRequest {
    /// What to bring in.
    pub from: RefExpr,
    /// The message of the merge commit. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// Makes a commit that takes back what another one did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevertRequest {
    /// The commit to take back.
    pub commit: RefExpr,
    /// Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// Makes a commit here that does what another one did elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CherryPickRequest {
    /// The commit whose changes to bring here.
    pub commit: RefExpr,
    /// Without it, the other commit's.
    #[serde(default)]
    pub message: Option<String>,
}

/// Where the branch is now, and how it came there.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MergeAnswer {
    pub outcome: MergeOutcome,
    #[schemars(with = "String")]
    pub branch: RefName,
    #[schemars(with = "String")]
    pub commit: CommitId,
}

/// How a merge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeOutcome {
    /// The branch had it all.
    AlreadyUpToDate,
    /// The branch had nothing of its own, and is at the other commit now.
    FastForwarded,
    /// A commit was made.
    Committed,
}

impl Desk {
    /// Brings the changes of another branch into the current one, path by path.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn merge(&self, request: MergeRequest) -> Result<MergeAnswer> {
        let MergeRequest { from, message } = request;
        let into = self.branch()?;
        let commit = self.repo.resolve(&from).await?.commit;
        let message = message.unwrap_or_else(|| format!("merge {from} into {into}"));
        let info = self.commit_info(Verb::Merge, message);
        let merged = self.repo.merge(&into, commit, info).await?;
        self.merged(into, from.to_string(), merged).await
    }

    /// Makes a commit that takes back what another one did.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn revert(&self, request: RevertRequest) -> Result<MergeAnswer> {
        let branch = self.branch()?;
        let commit = self.repo.resolve(&request.commit).await?.commit;
        let message = request.message.unwrap_or_else(|| format!("revert {}", commit.short()));
        let info = self.commit_info(Verb::Revert, message);
        let merged = self.repo.revert(&branch, commit, info).await?;
        self.merged(branch, format!("{}~1", commit.short()), merged).await
    }

    /// Makes a commit here that does what another one did elsewhere.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn cherry_pick(&self, request: CherryPickRequest) -> Result<MergeAnswer> {
        let branch = self.branch()?;
        let commit = self.repo.resolve(&request.commit).await?.commit;
        let message = match request.message {
            Some(message) => message,
            None => match self.repo.recorded(commit).await?.provenance.stored() {
                Some(provenance) => provenance.message.clone(),
                None => format!("cherry-pick {}", commit.short()),
            },
        };
        let info = self.commit_info(Verb::CherryPick, message);
        let merged = self.repo.cherry_pick(&branch, commit, info).await?;
        self.merged(branch, commit.short(), merged).await
    }

    /// Moves the working copy along, or says what is in the way. `source_ref` has the state that was to come.
    async fn merged(&self, branch: RefName, source_ref: String, merged: Merged) -> Result<MergeAnswer> {
        let (outcome, commit) = match merged {
            Merged::AlreadyUpToDate => {
                let head = self.repo.resolve(&branch.clone().into()).await?;
                (MergeOutcome::AlreadyUpToDate, head.commit)
            }
            Merged::FastForward(commit) => (MergeOutcome::FastForwarded, commit),
            Merged::Committed(commit) => (MergeOutcome::Committed, commit),
            Merged::Conflicts(conflicts) => {
                let paths = whole(&conflicts);
                return Err(Error::Conflicts { paths, source_ref });
            }
        };
        self.follow().await?;
        Ok(MergeAnswer {
            outcome,
            branch,
            commit,
        })
    }
}

/// What both sides changed: files, and tables whole, since half of a table is none.
fn whole(conflicts: &[Conflict]) -> Vec<String> {
    let whole = |path: &RepoPath| table_of(path).unwrap_or_else(|| path.clone()).to_string();
    let paths: BTreeSet<String> = conflicts.iter().map(|conflict| whole(&conflict.path)).collect();
    paths.into_iter().collect()
}
