//! `commit`: what is staged becomes one commit on the branch. Nothing is walked: it costs the staged changes alone, and
//! memory for some pages of them, however many there are.
//! Failure sequence: killed after the branch moved and before the index did, the changes are still staged while the branch
//! has them; the next `commit` sees that, settles them, and says that there is nothing to commit.

use std::ops::Bound;

use drumlin_chunks::NoProgress;
use drumlin_model::{CommitId, RefKind, RefName, RefTarget, RepoPath};
use drumlin_repo::{
    CommitInfo,
    trees::{Change, Changes},
};

use crate::{
    Error, RepoError, Result, WorkingCopy,
    index::{Head, Index, Staged},
};

/// Staged changes that are looked at in one go, where nobody else pages them.
const PAGE_LEN: usize = 2048;

/// What is staged, read from the index page by page. Whoever holds the work lock finds the same at every call.
struct StagedChanges<'a> {
    index: &'a Index,
}

impl StagedChanges<'_> {
    fn read(&self, start: Bound<&str>, len: usize) -> Result<Vec<(RepoPath, Staged)>> {
        self.index.read()?.staged_page(start, len)
    }
}

impl Changes for StagedChanges<'_> {
    fn page(&self, start: Bound<&str>, len: usize) -> drumlin_repo::Result<Vec<Change>> {
        let page = self.read(start, len).map_err(|error| RepoError::Changes {
            kind: error.kind(),
            source: error.into(),
        })?;
        let changes = page.into_iter().map(|(path, staged)| (path, staged.placed));
        Ok(changes.collect())
    }

    /// A folder of files says nothing of attributes.
    fn keeps_attributes(&self) -> bool {
        true
    }
}

impl WorkingCopy {
    /// Commits what is staged. If the branch moved meanwhile, on other paths, the commit goes on top and the files that
    /// others changed are refreshed; if on the same paths, `Error::Conflict` names them and nothing changes.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(&self, info: CommitInfo) -> Result<CommitId> {
        let _lock = self.lock("commit")?;
        self.refuse_half_done()?;
        let head = self.head()?;
        let branch = head.branch.clone().ok_or(Error::Detached)?;
        let staged = StagedChanges { index: self.index() };
        if staged.read(Bound::Unbounded, 1)?.is_empty() {
            return Err(RepoError::NothingToCommit { branch }.into());
        }
        let made = match self.repo().commit_changes(&branch, head.base, &staged, info).await {
            Err(error @ (RepoError::Conflict { .. } | RepoError::NothingToCommit { .. })) => {
                return Err(self.committed_before(&branch, &staged).await?.unwrap_or(error).into());
            }
            made => made?,
        };
        self.settle_commit(head, branch, made).await?;
        Ok(made.commit)
    }

    /// Moves the head to a commit of what was staged.
    async fn settle_commit(&self, head: Head, branch: RefName, made: RefTarget) -> Result<()> {
        let info = self.repo().commit(made.commit).await?;
        let next = Head {
            branch: Some(branch),
            base: made,
        };
        if info.parents.first() != Some(&head.base.commit) {
            // It went on top of commits of others: their files come along.
            self.follow_to(next, &NoProgress).await?;
            return Ok(());
        }
        let mut writer = self.index().write()?;
        writer.clear_staged()?;
        writer.set_head(&next)?;
        writer.commit()
    }

    /// If the branch has every staged change already, settles them and gives the error that says so.
    async fn committed_before(&self, branch: &RefName, staged: &StagedChanges<'_>) -> Result<Option<RepoError>> {
        let refs = self.repo().refs().await?;
        let Some(base) = refs.get(RefKind::Branch, branch) else {
            return Ok(None);
        };
        let tip = self.repo().snapshot_of(base);
        let mut start = Bound::Unbounded;
        loop {
            let page = staged.read(start.as_ref().map(String::as_str), PAGE_LEN)?;
            let Some((last, _)) = page.last() else { break };
            start = Bound::Excluded(last.to_string());
            for (path, staged) in page {
                let there = tip.entry(&path).await?;
                let is_there = match (&staged.placed, &there) {
                    (Some(staged), Some(there)) => staged.entry.same_content(&there.entry),
                    (None, None) => true,
                    _ => false,
                };
                if !is_there {
                    return Ok(None);
                }
            }
        }
        self.follow_to(
            Head {
                branch: Some(branch.clone()),
                base,
            },
            &NoProgress,
        )
        .await?;
        let mut writer = self.index().write()?;
        writer.clear_staged()?;
        writer.commit()?;
        Ok(Some(RepoError::NothingToCommit { branch: branch.clone() }))
    }
}
