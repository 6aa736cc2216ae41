//! `branch` and `tag`: the names of commits. What is checked out keeps its name as long as it is.

use drumlin_model::{CommitId, Ref, RefExpr, RefKind, RefName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// Asks for the branches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BranchListRequest {}

/// A branch.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BranchRow {
    #[schemars(with = "String")]
    pub name: RefName,
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Whether it is checked out here.
    pub current: bool,
}

/// Makes a branch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchCreateRequest {
    pub name: RefName,
    /// Where it starts. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// Gives a branch another name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchRenameRequest {
    pub from: RefName,
    pub to: RefName,
}

/// Deletes a branch; its commits stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchDeleteRequest {
    pub name: RefName,
    /// Say what would go, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Asks for the tags.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TagListRequest {}

/// A tag.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TagRow {
    #[schemars(with = "String")]
    pub name: RefName,
    #[schemars(with = "String")]
    pub commit: CommitId,
}

/// Names a commit for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TagCreateRequest {
    pub name: RefName,
    /// The commit. Without it, the current branch's.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// Deletes a tag; its commit stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TagDeleteRequest {
    pub name: RefName,
    /// Say what would go, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A branch or tag that was made, renamed or deleted, and the commit that it named.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RefAnswer {
    #[schemars(with = "String")]
    pub name: RefName,
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Whether nothing was changed, and this is what would be.
    pub dry_run: bool,
}

impl RefAnswer {
    fn done(name: RefName, commit: CommitId) -> Self {
        let dry_run = false;
        Self { name, commit, dry_run }
    }
}

impl Desk {
    /// Lists the branches.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn branch_list(&self, _request: BranchListRequest) -> Result<Vec<BranchRow>> {
        let current = self.current_branch()?;
        let refs = self.repo.refs().await?;
        let row = |(name, target): (RefName, Ref)| BranchRow {
            current: Some(&name) == current.as_ref(),
            name,
            commit: target.commit,
        };
        Ok(refs.branches.into_iter().map(row).collect())
    }

    /// Makes a branch.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn branch_create(&self, request: BranchCreateRequest) -> Result<RefAnswer> {
        let commit = self.snapshot(request.at.as_ref()).await?.commit();
        let target = self.repo.branch_create(&self.author(), &request.name, commit).await?;
        Ok(RefAnswer::done(request.name, target.commit))
    }

    /// Gives a branch another name. When it is checked out, the working copy goes with it.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn branch_rename(&self, request: BranchRenameRequest) -> Result<RefAnswer> {
        let BranchRenameRequest { from, to } = request;
        let is_current = self.current_branch()?.as_ref() == Some(&from);
        let target = self.repo.branch_rename(&self.author(), &from, &to).await?;
        if is_current && let Ok(copy) = self.copy() {
            copy.checkout(&to.clone().into(), false, self.progress()).await?;
        }
        Ok(RefAnswer::done(to, target.commit))
    }

    /// Deletes a branch, unless it is checked out.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn branch_delete(&self, request: BranchDeleteRequest) -> Result<RefAnswer> {
        let BranchDeleteRequest { name, dry_run } = request;
        if self.current_branch()?.as_ref() == Some(&name) {
            return Err(Error::CheckedOut { branch: name });
        }
        let target = if dry_run {
            let target = self.repo.refs().await?.get(RefKind::Branch, &name);
            target.ok_or_else(|| drumlin_repo::Error::NoSuchBranch { name: name.clone() })?
        } else {
            self.repo.branch_delete(&self.author(), &name).await?
        };
        Ok(RefAnswer {
            name,
            commit: target.commit,
            dry_run,
        })
    }

    /// Lists the tags.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn tag_list(&self, _request: TagListRequest) -> Result<Vec<TagRow>> {
        let refs = self.repo.refs().await?;
        let rows = refs.tags.into_iter().map(|(name, target)| TagRow {
            name,
            commit: target.commit,
        });
        Ok(rows.collect())
    }

    /// Names a commit for good.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn tag_create(&self, request: TagCreateRequest) -> Result<RefAnswer> {
        let commit = self.snapshot(request.at.as_ref()).await?.commit();
        let target = self.repo.tag_create(&self.author(), &request.name, commit).await?;
        Ok(RefAnswer::done(request.name, target.commit))
    }

    /// Deletes a tag.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn tag_delete(&self, request: TagDeleteRequest) -> Result<RefAnswer> {
        let TagDeleteRequest { name, dry_run } = request;
        let target = if dry_run {
            let target = self.repo.refs().await?.get(RefKind::Tag, &name);
            target.ok_or_else(|| drumlin_repo::Error::NoSuchTag { name: name.clone() })?
        } else {
            self.repo.tag_delete(&self.author(), &name).await?
        };
        Ok(RefAnswer {
            name,
            commit: target.commit,
            dry_run,
        })
    }
}
