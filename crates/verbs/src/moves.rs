//! `checkout`, `reset`, `undo` and `op_log`: what the files show, where a branch is, and how to go back.

use drumlin_model::{CommitId, Operation, OperationId, Ref, RefChange, RefExpr, RefName, RepoPath};
use futures::{StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// Makes the working files those of a branch, tag or commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckoutRequest {
    /// What to check out; with `create`, where the new branch starts. One of the two is needed.
    pub to: Option<RefExpr>,
    /// Make a branch of this name first.
    pub create: Option<RefName>,
    /// Overwrite work that is not committed.
    pub force: bool,
}

/// What is checked out now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckoutAnswer {
    /// None: a commit is checked out by itself.
    #[schemars(with = "Option<String>")]
    pub branch: Option<RefName>,
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Files that were written.
    pub written: u64,
    /// Files that were removed.
    pub removed: u64,
    /// Tables and training sets that stay in the repository until they are restored by name.
    #[schemars(with = "Vec<String>")]
    pub in_repository: Vec<RepoPath>,
}

/// Points the current branch at another commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResetRequest {
    pub to: RefExpr,
    /// Say what would move, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// From where to where the branch moved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ResetAnswer {
    #[schemars(with = "String")]
    pub branch: RefName,
    #[schemars(with = "String")]
    pub before: CommitId,
    #[schemars(with = "String")]
    pub after: CommitId,
    /// Whether nothing was changed, and this is what would be.
    pub dry_run: bool,
}

/// Takes back an operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UndoRequest {
    /// Without it, the newest.
    pub operation: Option<OperationId>,
}

/// Asks for the operations that moved branches and tags, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct OpLogRequest {
    /// The most operations to give.
    pub limit: usize,
}

/// Operations that `op log` gives where nobody asks for more: a screen of them.
pub const OP_LOG_LIMIT_DEFAULT: usize = 20;

impl Default for OpLogRequest {
    fn default() -> Self {
        Self {
            limit: OP_LOG_LIMIT_DEFAULT,
        }
    }
}

/// One change of the root: who moved which refs, by which verb.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperationView {
    #[schemars(with = "String")]
    pub id: OperationId,
    /// RFC 3339.
    pub time: String,
    pub actor: String,
    pub verb: String,
    pub summary: String,
    /// Of an operation that changed very many refs, `op log` leaves them out.
    pub changes: Vec<RefChangeView>,
}

/// Where a ref was before an operation and after it; none where it was not there.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RefChangeView {
    /// `branch` or `tag`.
    pub kind: String,
    #[schemars(with = "String")]
    pub name: RefName,
    #[schemars(with = "Option<String>")]
    pub before: Option<CommitId>,
    #[schemars(with = "Option<String>")]
    pub after: Option<CommitId>,
}

impl OperationView {
    fn of(operation: Operation) -> Self {
        Self {
            id: operation.id,
            time: operation.time.to_string(),
            actor: operation.actor,
            verb: operation.verb,
            summary: operation.summary,
            changes: operation.changes.into_iter().map(RefChangeView::of).collect(),
        }
    }
}

impl RefChangeView {
    fn of(change: RefChange) -> Self {
        let commit = |at: Option<Ref>| at.map(|at| at.commit);
        Self {
            kind: change.kind.as_str().to_owned(),
            name: change.name,
            before: commit(change.before),
            after: commit(change.after),
        }
    }
}

impl Desk {
    /// Makes the working files those of a branch, tag or commit. Cancelled, the same checkout asked for again ends it.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn checkout(&self, request: CheckoutRequest) -> Result<CheckoutAnswer> {
        let CheckoutRequest { to, create, force } = request;
        let (copy, progress) = (self.copy()?, self.progress());
        let summary = match (&create, &to) {
            (Some(branch), from) => {
                copy.checkout_new(&self.author(), branch, from.as_ref(), force, progress)
                    .await?
            }
            (None, Some(to)) => copy.checkout(to, force, progress).await?,
            (None, None) => {
                return Err(Error::Invalid {
                    what: "nothing was named to check out".to_owned(),
                    cures: Vec::new(),
                });
            }
        };
        Ok(CheckoutAnswer {
            branch: summary.head.branch,
            commit: summary.head.base.commit,
            written: summary.written,
            removed: summary.removed,
            in_repository: summary.not_brought,
        })
    }

    /// Points the current branch at another commit. Commits that no ref names any more stay readable by id.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn reset(&self, request: ResetRequest) -> Result<ResetAnswer> {
        let branch = self.branch()?;
        let after = self.repo.resolve(&request.to).await?.commit;
        let before = self.repo.resolve(&branch.clone().into()).await?.commit;
        if !request.dry_run {
            self.repo.reset(&self.author(), &branch, after).await?;
            self.follow().await?;
        }
        Ok(ResetAnswer {
            branch,
            before,
            after,
            dry_run: request.dry_run,
        })
    }

    /// Takes back an operation, by an operation of its own. Refused when a ref has moved since.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn undo(&self, request: UndoRequest) -> Result<OperationView> {
        let undone = self.repo.undo(&self.author(), request.operation).await?;
        self.follow().await?;
        Ok(OperationView::of(undone))
    }

    /// Lists the operations that moved branches and tags, newest first.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn op_log(&self, request: OpLogRequest) -> Result<Vec<OperationView>> {
        let operations = self.repo.operations().take(request.limit);
        Ok(operations.map_ok(OperationView::of).try_collect().await?)
    }
}
