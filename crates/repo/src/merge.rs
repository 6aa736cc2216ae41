//! Merges of commits: `merge`, and the two that replay one commit, `revert` and `cherry_pick`.
//! `trees` merges path by path; `root` swaps.
//! Invariant: conflicts are data; when there is one, nothing on the branch has changed.

use std::collections::BTreeSet;

use drumlin_model::{CommitId, Input, Ref, RefChange, RefName, RefTarget, RepoPath, TreeId};
use futures::TryStreamExt;

use crate::{
    commit::{summary, target_after},
    error::{Error, Result},
    outputs::Outputs,
    repo::Repo,
    session::CommitInfo,
    trees::Conflict,
};

/// What came of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The branch has it all; nothing was done.
    AlreadyUpToDate,
    /// The branch had nothing of its own, and is at the other commit now.
    FastForward(CommitId),
    Committed(CommitId),
    /// Nothing was done. By path.
    Conflicts(Vec<Conflict>),
}

impl Repo {
    /// Brings the changes of a commit and its ancestors to a branch, as a commit with two parents where both sides have
    /// changes of their own.
    #[tracing::instrument(level = "debug", skip_all, fields(%into, %from))]
    pub async fn merge(&self, into: &RefName, from: CommitId, info: CommitInfo) -> Result<Merged> {
        let theirs = self.target(from).await?;
        let mut transaction = self
            .root()
            .begin(self.intent(info.verb.as_str(), &info.by.actor))
            .await?;
        let mut planned: Option<RefChange> = None;
        loop {
            let head = transaction.branch(into)?;
            // A swap that was lost to another branch's is tried again as it was planned.
            let change = match planned.take().filter(|change| change.before.as_ref() == Some(&head)) {
                Some(change) => change,
                None => match self.plan_merge(into, &head, theirs, &info).await? {
                    Planned::Change(change) => *change,
                    Planned::Nothing(merged) => return Ok(merged),
                },
            };
            if let Some(operation) = transaction.swap(vec![change.clone()], summary(&info.message)).await? {
                let made = target_after(&operation).commit;
                return Ok(if made == from {
                    Merged::FastForward(made)
                } else {
                    Merged::Committed(made)
                });
            }
            planned = Some(change);
        }
    }

    async fn plan_merge(&self, into: &RefName, head: &Ref, theirs: RefTarget, info: &CommitInfo) -> Result<Planned> {
        let base = self.merge_base(head.commit, theirs.commit).await?;
        if base == Some(theirs.commit) {
            return Ok(Planned::Nothing(Merged::AlreadyUpToDate));
        }
        if base == Some(head.commit) {
            return Ok(Planned::Change(Box::new(RefChange::moved(into, head, theirs, None))));
        }
        let base = match base {
            Some(base) => self.target(base).await?.tree,
            None => self.trees().empty().await?,
        };
        let merged = self.trees().merge(base, head.tree, theirs.tree).await?;
        if !merged.conflicts.is_empty() {
            return Ok(Planned::Nothing(Merged::Conflicts(merged.conflicts)));
        }
        let parents = [head.commit, theirs.commit];
        let change = self.commit_of(into, head, &parents, merged.tree, info).await?;
        Ok(Planned::Change(Box::new(change)))
    }

    /// Writes a commit of a tree that is stored, and says how it changes the branch; nothing names it yet.
    async fn commit_of(
        &self,
        branch: &RefName,
        head: &Ref,
        parents: &[CommitId],
        tree: TreeId,
        info: &CommitInfo,
    ) -> Result<RefChange> {
        let time = self.now();
        let provenance = self.commits().write_provenance(info.provenance(time)).await?;
        let known = |&id: &CommitId| (id, head.generation.filter(|_| id == head.commit));
        let parents: Vec<_> = parents.iter().map(known).collect();
        let (commit, generation) = self.commits().write_on(&parents, tree, time, provenance).await?;
        let target = RefTarget { commit, tree };
        Ok(RefChange::moved(branch, head, target, Some(generation)))
    }

    /// Takes back what a commit did against its first parent, as a new commit on the branch.
    #[tracing::instrument(level = "debug", skip_all, fields(%branch, %commit))]
    pub async fn revert(&self, branch: &RefName, commit: CommitId, info: CommitInfo) -> Result<Merged> {
        let (parent, commit) = self.with_parent(commit).await?;
        self.replay(branch, commit.tree, parent, info).await
    }

    /// Does again what a commit did against its first parent, as a new commit on the branch.
    #[tracing::instrument(level = "debug", skip_all, fields(%branch, %commit))]
    pub async fn cherry_pick(&self, branch: &RefName, commit: CommitId, info: CommitInfo) -> Result<Merged> {
        let (parent, commit) = self.with_parent(commit).await?;
        self.replay(branch, parent.tree, commit, info).await
    }

    async fn with_parent(&self, id: CommitId) -> Result<(RefTarget, RefTarget)> {
        let commit = self.commit(id).await?;
        let parent = *commit.parents.first().ok_or(Error::NoParent { commit: id })?;
        Ok((
            self.target(parent).await?,
            RefTarget {
                commit: id,
                tree: commit.tree,
            },
        ))
    }

    /// Makes the changes between a tree and that of a commit on a branch: each changed path is then as at that commit.
    async fn replay(&self, branch: &RefName, from: TreeId, to: RefTarget, info: CommitInfo) -> Result<Merged> {
        let mut transaction = self
            .root()
            .begin(self.intent(info.verb.as_str(), &info.by.actor))
            .await?;
        let mut planned: Option<RefChange> = None;
        loop {
            let head = transaction.branch(branch)?;
            let change = match planned.take().filter(|change| change.before.as_ref() == Some(&head)) {
                Some(change) => change,
                None => match self.plan_replay(branch, &head, from, to, info.clone()).await? {
                    Planned::Change(change) => *change,
                    Planned::Nothing(merged) => return Ok(merged),
                },
            };
            if let Some(operation) = transaction.swap(vec![change.clone()], summary(&info.message)).await? {
                return Ok(Merged::Committed(target_after(&operation).commit));
            }
            planned = Some(change);
        }
    }

    async fn plan_replay(
        &self,
        branch: &RefName,
        head: &Ref,
        from: TreeId,
        to: RefTarget,
        mut info: CommitInfo,
    ) -> Result<Planned> {
        let merged = self.trees().merge(from, head.tree, to.tree).await?;
        if !merged.conflicts.is_empty() {
            return Ok(Planned::Nothing(Merged::Conflicts(merged.conflicts)));
        }
        if merged.tree == head.tree {
            return Ok(Planned::Nothing(Merged::AlreadyUpToDate));
        }
        if info.outputs.is_empty() {
            let diffs = self.trees().diff(head.tree, merged.tree);
            let changed: BTreeSet<_> = diffs.map_ok(|diff| diff.path).try_collect().await?;
            info.outputs = changed.iter().collect::<Outputs>().into_paths();
            info.inputs = origins(&info.outputs, &changed, to.commit, head.commit);
        }
        let change = self.commit_of(branch, head, &[head.commit], merged.tree, &info).await?;
        Ok(Planned::Change(Box::new(change)))
    }
}

/// What a merge is to do to the branch.
enum Planned {
    Change(Box<RefChange>),
    Nothing(Merged),
}

/// Of what the outputs are made: a path of its state at `to`, which may be that it was not there; a folder that stands for
/// many paths of its state at the head, too, since not all in it need have changed.
fn origins(outputs: &[RepoPath], changed: &BTreeSet<RepoPath>, to: CommitId, head: CommitId) -> Vec<Input> {
    let as_at = |path: &RepoPath, commit| Input {
        name: path.to_string(),
        commit: Some(commit),
        into: vec![path.clone()],
        ..Input::default()
    };
    let origins = outputs.iter().flat_map(|path| {
        let rest = (!changed.contains(path)).then(|| as_at(path, head));
        std::iter::once(as_at(path, to)).chain(rest)
    });
    origins.collect()
}
