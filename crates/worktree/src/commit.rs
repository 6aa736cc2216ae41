//! `commit`: what is staged becomes one commit on the branch. Nothing is walked: it costs the staged changes alone.
//! Failure sequence: killed after the branch moved and before the index did, the changes are still staged while the branch
//! has them; the next `commit` sees that, settles them, and says that there is nothing to commit.

use std::collections::BTreeMap;

use drumlin_chunks::NoProgress;
use drumlin_model::{CommitId, RefKind, RefName, RefTarget, RepoPath};
use drumlin_repo::CommitInfo;

use crate::{
    Error, RepoError, Result, WorkingCopy,
    index::{Head, Staged},
};

impl WorkingCopy {
    /// Commits what is staged. If the branch moved meanwhile, on other paths, the commit goes on top and the files that
    /// others changed are refreshed; if on the same paths, `Error::Conflict` names them and nothing changes.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(&self, info: CommitInfo) -> Result<CommitId> {
        let _lock = self.lock("commit")?;
        self.refuse_half_done()?;
        let head = self.head()?;
        let branch = head.branch.clone().ok_or(Error::Detached)?;
        let staged = self.index().read()?.staged_within(None)?;
        if staged.is_empty() {
            return Err(RepoError::NothingToCommit { branch }.into());
        }
        let session = self.repo().session_on(&branch, head.base);
        for (path, staged) in &staged {
            match &staged.placed {
                Some(placed) => session.put(path, placed.clone()).await?,
                None => drop(session.remove(path).await?),
            }
        }
        let commit = match session.commit(info).await {
            Err(error @ (RepoError::Conflict { .. } | RepoError::NothingToCommit { .. })) => {
                return Err(self.committed_before(&branch, &staged).await?.unwrap_or(error).into());
            }
            commit => commit?,
        };
        self.settle_commit(head, branch, session.base().target()).await?;
        Ok(commit)
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
    async fn committed_before(
        &self,
        branch: &RefName,
        staged: &BTreeMap<RepoPath, Staged>,
    ) -> Result<Option<RepoError>> {
        let refs = self.repo().refs().await?;
        let Some(base) = refs.get(RefKind::Branch, branch) else {
            return Ok(None);
        };
        let tip = self.repo().snapshot_of(base);
        for (path, staged) in staged {
            let there = tip.entry(path).await?;
            let is_there = match (&staged.placed, &there) {
                (Some(staged), Some(there)) => staged.entry.same_content(&there.entry),
                (None, None) => true,
                _ => false,
            };
            if !is_there {
                return Ok(None);
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
