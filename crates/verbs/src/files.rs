//! `status`, `add`, `restore`, `commit`: the files of the working copy, and how they become a commit.

use std::path::PathBuf;

use drumlin_model::{CommitId, RefExpr, RefName, RepoPath, Verb};
use drumlin_worktree::ChangeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Result};

/// Asks what is staged, changed and untracked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusRequest {}

/// What is staged, changed and untracked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StatusAnswer {
    /// None: a commit is checked out by itself.
    #[schemars(with = "Option<String>")]
    pub branch: Option<RefName>,
    /// The commit that the files were taken from.
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Whether the branch has moved on since the files were taken from it.
    pub behind: bool,
    /// The target of a checkout that was interrupted.
    pub interrupted: Option<String>,
    /// What the next commit changes.
    pub staged: Vec<PathChange>,
    /// How files differ from what is staged or committed.
    pub unstaged: Vec<PathChange>,
    /// Files that were never added; a folder of such stands for all that is in it.
    #[schemars(with = "Vec<String>")]
    pub untracked: Vec<RepoPath>,
    /// What `add` would fail on, each with the reason.
    pub unkeepable: Vec<String>,
    /// Whether a list was cut short.
    pub truncated: bool,
}

/// A path, and how it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PathChange {
    #[schemars(with = "String")]
    pub path: RepoPath,
    pub change: Change,
}

/// How a path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// The word for people, which is the one for programs too.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Modified => "modified",
            Change::Deleted => "deleted",
        }
    }
}

impl From<ChangeKind> for Change {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Added => Change::Added,
            ChangeKind::Modified => Change::Modified,
            ChangeKind::Deleted => Change::Deleted,
        }
    }
}

/// Stores the content of files and stages them for the next commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AddRequest {
    /// Files and folders; what is gone below a folder is staged as deleted.
    pub paths: Vec<PathBuf>,
}

/// What was staged.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AddAnswer {
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    pub unchanged: u64,
    /// Of the files that were read.
    pub bytes: u64,
    /// What is neither file, folder nor symlink, and was left out.
    #[schemars(with = "Vec<String>")]
    pub special: Vec<RepoPath>,
    /// What changed while it was read, and was left out.
    #[schemars(with = "Vec<String>")]
    pub unstable: Vec<RepoPath>,
}

/// Brings files back from a commit, or takes them out of the stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RestoreRequest {
    pub paths: Vec<PathBuf>,
    /// Where to take them from. Without it, the checked-out commit.
    pub source: Option<RefExpr>,
    /// Take the paths out of the stage, and leave the files as they are.
    #[serde(default)]
    pub staged: bool,
}

/// How many files came back, went, or left the stage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RestoreAnswer {
    pub written: u64,
    pub removed: u64,
    pub unstaged: u64,
}

/// Makes what is staged one commit of the current branch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CommitRequest {
    /// What the commit does.
    pub message: String,
}

/// The commit that was made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CommitAnswer {
    #[schemars(with = "String")]
    pub commit: CommitId,
    #[schemars(with = "String")]
    pub branch: RefName,
    pub message: String,
}

impl Desk {
    /// Shows what is staged, changed and untracked in the working copy.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn status(&self, _request: StatusRequest) -> Result<StatusAnswer> {
        let status = self.copy()?.status().await?;
        let changes = |changes: Vec<(RepoPath, ChangeKind)>| {
            let change = |(path, kind): (RepoPath, ChangeKind)| PathChange {
                path,
                change: kind.into(),
            };
            changes.into_iter().map(change).collect()
        };
        Ok(StatusAnswer {
            branch: status.branch,
            commit: status.base.commit,
            behind: status.behind,
            interrupted: status.interrupted,
            staged: changes(status.staged),
            unstaged: changes(status.unstaged),
            untracked: status.untracked,
            unkeepable: status.unkeepable,
            truncated: status.truncated,
        })
    }

    /// Stores the content of files and stages them. Killed or cancelled, it is asked for again.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn add(&self, request: AddRequest) -> Result<AddAnswer> {
        let summary = self.copy()?.add(&request.paths, self.progress()).await?;
        Ok(AddAnswer {
            added: summary.added,
            modified: summary.modified,
            deleted: summary.deleted,
            unchanged: summary.unchanged,
            bytes: summary.bytes,
            special: summary.special,
            unstable: summary.unstable,
        })
    }

    /// Brings files back from a commit, or takes them out of the stage.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn restore(&self, request: RestoreRequest) -> Result<RestoreAnswer> {
        let (copy, source) = (self.copy()?, request.source.as_ref());
        let summary = copy
            .restore(&request.paths, source, request.staged, self.progress())
            .await?;
        Ok(RestoreAnswer {
            written: summary.written,
            removed: summary.removed,
            unstaged: summary.unstaged,
        })
    }

    /// Makes what is staged one commit of the checked-out branch.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn commit(&self, request: CommitRequest) -> Result<CommitAnswer> {
        let copy = self.copy()?;
        let branch = self.branch()?;
        let info = self.commit_info(Verb::Commit, &request.message);
        let commit = copy.commit(info).await?;
        Ok(CommitAnswer {
            commit,
            branch,
            message: request.message,
        })
    }
}
