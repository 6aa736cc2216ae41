//! `checkout` and `follow`: bring the files from one commit to another, by a plan that names every local change in the way.
//! Order on the disk: the target is noted, files go, files come, the index and the head move together, the note goes.
//! Invariant: killed at any point, the same checkout run again ends where it would have.

use drumlin_chunks::{Progress, Unit};
use drumlin_model::{By, RefExpr, RefKind, RefName, RepoPath};

use crate::{
    Error, RepoError, Result, WorkingCopy,
    bring::{Bringer, Written, total_size},
    index::{Head, Pending, Record},
    plan::{OnLocalChange, Plan, Planner},
};

/// Records written in one transaction: bounds memory and what a killed checkout of millions of files does again.
const BATCH_LEN: usize = 1 << 16;

/// What a checkout came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSummary {
    pub head: Head,
    pub written: u64,
    pub removed: u64,
    /// Of the files written.
    pub bytes: u64,
    /// Local changes that were left as they are (`follow` only).
    pub kept: Vec<RepoPath>,
    /// Tables and training sets that stay in the repository until they are restored by name.
    pub not_brought: Vec<RepoPath>,
}

impl WorkingCopy {
    /// Shows what `target` names, and moves the head to it: to the branch if it is one, else to the bare commit.
    /// Unless forced, refuses to overwrite work that is not committed; staged changes elsewhere stay staged.
    #[tracing::instrument(level = "debug", skip_all, fields(%target, force))]
    pub async fn checkout(&self, target: &RefExpr, force: bool, progress: &dyn Progress) -> Result<CheckoutSummary> {
        let _lock = self.lock("checkout")?;
        let resolved = self.repo().resolve(target).await?;
        let head = Head {
            branch: resolved.branch.clone(),
            base: resolved.target(),
        };
        let plan = self.plan(&head, force).await?;
        self.carry_out(plan, head, progress).await
    }

    /// Makes a branch at `at` (none: where the working copy stands) and checks it out; keeps what is staged.
    #[tracing::instrument(level = "debug", skip_all, fields(%name, force))]
    pub async fn checkout_new(
        &self,
        by: &By,
        name: &RefName,
        at: Option<&RefExpr>,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<CheckoutSummary> {
        let _lock = self.lock("checkout")?;
        let base = match at {
            Some(at) => self.repo().resolve(at).await?.target(),
            None => self.head()?.base,
        };
        let head = Head {
            branch: Some(name.clone()),
            base,
        };
        let plan = self.plan(&head, force).await?;
        self.repo().branch_create(by, name, base.commit).await?;
        self.carry_out(plan, head, progress).await
    }

    /// Brings the working copy to where its branch is now, after something else moved it: files that the user did not
    /// touch are refreshed, those that were touched stay and show as modified.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn follow(&self, progress: &dyn Progress) -> Result<CheckoutSummary> {
        let _lock = self.lock("follow")?;
        self.refuse_half_done()?;
        let head = self.head()?;
        let Some(branch) = head.branch.clone() else {
            return Ok(CheckoutSummary::nothing(head));
        };
        let refs = self.repo().refs().await?;
        let base = refs.get(RefKind::Branch, &branch);
        let base = base.ok_or_else(|| RepoError::NoSuchBranch { name: branch.clone() })?;
        self.follow_to(
            Head {
                branch: Some(branch),
                base,
            },
            progress,
        )
        .await
    }

    /// The rest of `follow`, for whoever holds the lock.
    pub(crate) async fn follow_to(&self, head: Head, progress: &dyn Progress) -> Result<CheckoutSummary> {
        let now = self.head()?;
        if now == head && !self.index().read()?.is_fresh()? {
            return Ok(CheckoutSummary::nothing(head));
        }
        let target = self.repo().snapshot_of(head.base);
        let plan = Planner::new(self, &target, OnLocalChange::Keep)?.plan(&now).await?;
        self.carry_out(plan, head, progress).await
    }

    /// The first checkout of a working copy that holds nothing.
    pub(crate) async fn fill(&self, progress: &dyn Progress) -> Result<CheckoutSummary> {
        let _lock = self.lock("clone")?;
        let head = self.head()?;
        let target = self.repo().snapshot_of(head.base);
        let plan = Planner::new(self, &target, OnLocalChange::Refuse)?.plan(&head).await?;
        refuse(&plan)?;
        self.carry_out(plan, head, progress).await
    }

    async fn plan(&self, head: &Head, force: bool) -> Result<Plan> {
        let pending = self.index().read()?.pending()?;
        let policy = match pending {
            _ if force => OnLocalChange::Overwrite,
            // The end of what a `follow` began.
            Some(pending) if pending.keeps && pending.head.label() == head.label() => OnLocalChange::Keep,
            _ => OnLocalChange::Refuse,
        };
        let target = self.repo().snapshot_of(head.base);
        let plan = Planner::new(self, &target, policy)?.plan(&self.head()?).await?;
        if policy != OnLocalChange::Keep {
            refuse(&plan)?;
        }
        Ok(plan)
    }

    async fn carry_out(&self, plan: Plan, head: Head, progress: &dyn Progress) -> Result<CheckoutSummary> {
        let mut summary = CheckoutSummary::nothing(head.clone());
        summary.written = plan.writes.len() as u64;
        summary.removed = plan.removals.len() as u64;
        summary.bytes = total_size(&plan.writes);
        summary.kept = plan.conflicts.into_iter().collect();
        summary.not_brought = plan.sets.into_iter().collect();
        let mut records = plan.records;
        if summary.written + summary.removed > 0 {
            let files = Bringer::new(self)?;
            let mut writer = self.index().write()?;
            let (head, keeps) = (head.clone(), plan.keeps);
            writer.set_pending(Some(&Pending { head, keeps }))?;
            writer.commit()?;
            progress.start("checkout", Some(summary.bytes), Unit::Bytes);
            files.remove(plan.removals.iter().cloned().collect()).await?;
            let forgotten = plan.removals.into_iter().map(|path| (path, None));
            records.extend(forgotten);
            let mut written = Vec::new();
            files
                .write(plan.writes, progress, |batch| {
                    written.extend(batch);
                    if written.len() >= BATCH_LEN {
                        let mut writer = self.index().write()?;
                        for (path, record) in self.settle(std::mem::take(&mut written))? {
                            writer.set_record(&path, record.as_ref())?;
                        }
                        writer.commit()?;
                    }
                    Ok(())
                })
                .await?;
            records.extend(self.settle(written)?);
            progress.finish();
        }
        let mut writer = self.index().write()?;
        for (path, record) in records {
            writer.set_record(&path, record.as_ref())?;
        }
        for (path, staged) in plan.staged {
            writer.set_staged(&path, staged)?;
        }
        writer.set_head(&head)?;
        writer.set_pending(None)?;
        writer.set_fresh(false)?;
        writer.commit()?;
        Ok(summary)
    }

    /// The records of files just written, in the order of their keys.
    pub(crate) fn settle(&self, written: Vec<Written>) -> Result<Vec<(RepoPath, Option<Record>)>> {
        let instant = self.disk_instant_ns()?;
        let records = written
            .into_iter()
            .map(|written| (written.path.clone(), Some(written.record(instant))));
        let mut records: Vec<_> = records.collect();
        records.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(records)
    }
}

impl CheckoutSummary {
    fn nothing(head: Head) -> CheckoutSummary {
        CheckoutSummary {
            head,
            written: 0,
            removed: 0,
            bytes: 0,
            kept: Vec::new(),
            not_brought: Vec::new(),
        }
    }
}

fn refuse(plan: &Plan) -> Result<()> {
    if plan.conflicts.is_empty() {
        return Ok(());
    }
    Err(Error::WouldOverwrite {
        paths: plan.conflicts.iter().cloned().collect(),
    })
}
