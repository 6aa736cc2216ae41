//! `Session::commit` and `Session::rebase`: private changes become a commit on top of whatever the branch is by then.
//! `session` holds the changes; `root` swaps.
//! Invariant: all that a commit names is durable before the commit is written, and the commit before the root names it; a
//! commit moves the branch whole or not at all.

use std::collections::BTreeSet;

use drumlin_model::{
    Commit, CommitId, EntryKind, Operation, Placed, Ref, RefChange, RefKind, RefName, RefTarget, RepoPath, TreeId,
};
use futures::{
    TryStreamExt,
    future::{try_join, try_join3},
};

use crate::{
    error::{Error, Result},
    logs::log_of,
    outputs::Outputs,
    overlay::Change,
    repo::Repo,
    session::{CommitInfo, OnConflict, Session},
    trees::{Changes, PathDiff, Sorted, Walk},
};

/// How many paths a conflict names.
pub const CONFLICT_PATHS_MAX: usize = 1000;

impl Session {
    /// Makes the changes one commit on the branch. If others moved the branch meanwhile, on paths that do not meet ours,
    /// the commit goes on top of theirs; else nothing happens to the branch, and the session stays as it is.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %self.branch(), verb = %info.verb))]
    pub async fn commit(&self, info: CommitInfo) -> Result<CommitId> {
        let _moving = self.only_move().await;
        let captured = self.capture();
        if captured.changes.is_empty() {
            return Err(Error::NothingToCommit {
                branch: self.branch().clone(),
            });
        }
        let number = captured.number;
        let committing = Committing {
            repo: self.repo(),
            branch: self.branch(),
            changes: &sorted(captured.changes),
            session: Some(self),
        };
        let made = committing.commit(captured.base, info).await?;
        self.settle(made, number);
        Ok(made.commit)
    }

    /// Moves the session on top of the branch as it is now.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %self.branch()))]
    pub async fn rebase(&self, on_conflict: OnConflict) -> Result<()> {
        let _moving = self.only_move().await;
        let captured = self.capture();
        let head = self.repo().refs().await?.get(RefKind::Branch, self.branch());
        let head = head.ok_or_else(|| Error::NoSuchBranch {
            name: self.branch().clone(),
        })?;
        let ours = sorted(captured.changes);
        let meetings = meetings(self.repo(), captured.base.tree, head.tree, &ours).await?;
        let replaced = match on_conflict {
            OnConflict::Fail => {
                expect_none(self.branch(), &meetings)?;
                Vec::new()
            }
            OnConflict::TakeTheirs => meetings.into_iter().map(|meeting| (meeting.ours, None)).collect(),
            // What theirs put in the way of ours goes; at the same path ours simply stands.
            OnConflict::KeepOurs => meetings
                .into_iter()
                .filter(|meeting| meeting.ours != meeting.theirs)
                .map(|meeting| (meeting.theirs, Some(Change::Remove)))
                .collect(),
        };
        self.rebased(head, captured.number, replaced);
        Ok(())
    }
}

/// Changes on their way to a branch.
struct Committing<'a> {
    repo: &'a Repo,
    branch: &'a RefName,
    changes: &'a dyn Changes,
    /// Whose content has to be durable with the commit; none where it is already.
    session: Option<&'a Session>,
}

impl Committing<'_> {
    /// Puts the changes on top of the branch, however often others come before.
    async fn commit(&self, mut base: RefTarget, mut info: CommitInfo) -> Result<RefTarget> {
        let (repo, branch) = (self.repo, self.branch);
        if info.outputs.is_empty() {
            info.outputs = self.outputs()?;
        }
        let mut transaction = repo
            .root()
            .begin_at(repo.intent(info.verb.as_str(), &info.by.actor), branch, base)
            .await?;
        let mut planned: Option<RefChange> = None;
        loop {
            let head = transaction.branch(branch)?;
            if head.commit != base.commit {
                expect_none(branch, &meetings(repo, base.tree, head.tree, self.changes).await?)?;
                base = head.target();
            }
            // A swap that was lost to another branch's is tried again as it was planned.
            let change = match planned.take().filter(|change| change.before.as_ref() == Some(&head)) {
                Some(change) => change,
                None => self.write(&head, &info).await?,
            };
            if let Some(operation) = transaction.swap(vec![change.clone()], summary(&info.message)).await? {
                return Ok(target_after(&operation));
            }
            planned = Some(change);
        }
    }

    /// Writes a commit of the changes on top of `head`: all that it names in one go, then the commit itself.
    async fn write(&self, head: &Ref, info: &CommitInfo) -> Result<RefChange> {
        let (repo, branch) = (self.repo, self.branch);
        // Where the branch does not say the parent's generation, the parent is read while the tree is.
        let applying = repo.trees().begin_apply(head.tree, self.changes);
        let parent = repo.commits().generation(head.commit, head.generation);
        let (applied, parent) = try_join(applying, parent).await?;
        if applied.tree() == head.tree {
            return Err(Error::NothingToCommit { branch: branch.clone() });
        }
        let time = repo.now();
        let provenance = repo.commits().write_provenance(info.provenance(time));
        let ((), tree, provenance) = try_join3(self.flush(), applied.stored(), provenance).await?;
        let parents = [(head.commit, Some(parent))];
        let (commit, generation) = repo.commits().write_on(&parents, tree, time, provenance).await?;
        let target = RefTarget { commit, tree };
        Ok(RefChange::moved(branch, head, target, Some(generation)))
    }

    async fn flush(&self) -> Result<()> {
        match self.session {
            Some(session) => session.flush().await,
            None => Ok(()),
        }
    }

    fn outputs(&self) -> Result<Vec<RepoPath>> {
        let (mut outputs, mut walk) = (Outputs::default(), Walk::new(self.changes));
        while let Some((path, _)) = walk.next()? {
            outputs.add(&path);
        }
        Ok(outputs.into_paths())
    }
}

impl Repo {
    /// Makes changes one commit on a branch that was at `base`, as `Session::commit` does; says where the branch is then.
    /// The content that they name has to be durable. Memory holds a page of the changes at a time.
    ///
    /// # Errors
    /// `Error::NothingToCommit` if the branch has all of it, `Error::Conflict` if others changed the same since `base`.
    pub async fn commit_changes(
        &self,
        branch: &RefName,
        base: RefTarget,
        changes: &dyn Changes,
        info: CommitInfo,
    ) -> Result<RefTarget> {
        let committing = Committing {
            repo: self,
            branch,
            changes,
            session: None,
        };
        committing.commit(base, info).await
    }

    /// The paths that a commit changed against its first parent, as its provenance would name them: of very many, the
    /// folders. A commit without a parent names none.
    pub async fn changed_by(&self, commit: &Commit) -> Result<Vec<RepoPath>> {
        let Some(&parent) = commit.parents.first() else {
            return Ok(Vec::new());
        };
        let before = self.commit(parent).await?.tree;
        let mut diffs = self.trees().diff(before, commit.tree);
        let mut outputs = Outputs::default();
        while let Some(diff) = diffs.try_next().await? {
            outputs.add(&diff.path);
        }
        Ok(outputs.into_paths())
    }
}

/// Where an operation that moved one branch left it. After a lost answer this may be an earlier try than the last.
pub(crate) fn target_after(operation: &Operation) -> RefTarget {
    let change = operation.changes.first().expect("a commit changes one ref");
    let after = change.after.as_ref().expect("a commit leaves its branch somewhere");
    after.target()
}

/// What an operation says of a commit: the first line of its message.
pub(crate) fn summary(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// A path of ours and one of theirs that exclude each other: the same, or one below the other.
struct Meeting {
    ours: RepoPath,
    theirs: RepoPath,
}

/// Where our changes meet what came between two trees.
async fn meetings(repo: &Repo, base: TreeId, head: TreeId, ours: &dyn Changes) -> Result<Vec<Meeting>> {
    let mut found = Vec::new();
    let mut theirs = repo.trees().diff(base, head);
    while let Some(PathDiff { path, after, .. }) = theirs.try_next().await? {
        let met = met(ours, &path, after.as_ref())?.into_iter();
        found.extend(met.map(|ours| Meeting {
            ours,
            theirs: path.clone(),
        }));
    }
    Ok(found)
}

/// The paths of ours that a change of theirs meets: of a file, all below it.
fn met(ours: &dyn Changes, path: &RepoPath, after: Option<&Placed>) -> Result<Vec<RepoPath>> {
    if ours.at(path)?.is_some() {
        return Ok(vec![path.clone()]);
    }
    // Entries of one log meet whatever their names.
    if let Some(log) = log_of(path) {
        let entries = below(ours, &log, |_| true)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    let Some(after) = after else { return Ok(Vec::new()) };
    for above in path.ancestors() {
        if let Some((above, Some(placed))) = ours.at(&above)?
            && !is_folder(&placed)
        {
            return Ok(vec![above]);
        }
    }
    if is_folder(after) {
        return Ok(Vec::new());
    }
    below(ours, path, Option::is_some)
}

/// The changed paths below a folder, of changes that are wanted.
fn below(ours: &dyn Changes, folder: &RepoPath, wanted: impl Fn(&Option<Placed>) -> bool) -> Result<Vec<RepoPath>> {
    let prefix = format!("{folder}/");
    let (mut paths, mut walk) = (Vec::new(), Walk::from(ours, &prefix));
    while let Some((path, placed)) = walk.next()? {
        if !path.as_str().starts_with(&prefix) {
            break;
        }
        if wanted(&placed) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The changes of a session, as a tree takes them.
fn sorted(changes: Vec<(RepoPath, Change)>) -> Sorted {
    let changes = changes.into_iter().map(|(path, change)| match change {
        Change::Put(placed) => (path, Some(placed)),
        Change::Remove => (path, None),
    });
    Sorted::new(changes.collect())
}

/// An entry that yields to what comes to stand below it.
fn is_folder(placed: &Placed) -> bool {
    placed.entry.kind == EntryKind::Folder
}

fn expect_none(branch: &RefName, meetings: &[Meeting]) -> Result<()> {
    if meetings.is_empty() {
        return Ok(());
    }
    let paths: BTreeSet<_> = meetings.iter().map(|meeting| meeting.ours.clone()).collect();
    let paths = paths.into_iter().take(CONFLICT_PATHS_MAX).collect();
    Err(Error::Conflict {
        branch: branch.clone(),
        paths,
    })
}
