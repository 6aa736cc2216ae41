//! `Session::commit` and `Session::rebase`: private changes become a commit on top of whatever the branch is by then.
//! `session` holds the changes; `root` swaps.
//! Invariant: all that a commit names is durable before the commit is written, and the commit before the root names it; a
//! commit moves the branch whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

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
    overlay::Change,
    repo::Repo,
    session::{Captured, CommitInfo, OnConflict, Session},
    trees::PathDiff,
};

/// How many outputs a commit names by itself; more are folded into their folders.
pub const OUTPUTS_MAX: usize = 256;
/// How many paths a conflict names.
pub const CONFLICT_PATHS_MAX: usize = 1000;
/// How long the summary of an operation may be, in characters; the whole message is in the commit.
const SUMMARY_LEN_MAX: usize = 200;

impl Session {
    /// Makes the changes one commit on the branch. If others moved the branch meanwhile, on paths that do not meet ours,
    /// the commit goes on top of theirs; else nothing happens to the branch, and the session stays as it is.
    pub async fn commit(&self, info: CommitInfo) -> Result<CommitId> {
        let _moving = self.only_move().await;
        let captured = self.capture();
        if captured.changes.is_empty() {
            return Err(Error::NothingToCommit {
                branch: self.branch().clone(),
            });
        }
        let number = captured.number;
        let made = commit(self, captured, info).await?;
        self.settle(made, number);
        Ok(made.commit)
    }

    /// Moves the session on top of the branch as it is now.
    pub async fn rebase(&self, on_conflict: OnConflict) -> Result<()> {
        let _moving = self.only_move().await;
        let captured = self.capture();
        let head = self.repo().refs().await?.get(RefKind::Branch, self.branch());
        let head = head.ok_or_else(|| Error::NoSuchBranch {
            name: self.branch().clone(),
        })?;
        let ours = captured.changes.into_iter().collect::<BTreeMap<_, _>>();
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

/// Puts the changes on top of the branch, however often others come before.
async fn commit(session: &Session, captured: Captured, mut info: CommitInfo) -> Result<RefTarget> {
    let (repo, branch) = (session.repo(), session.branch());
    let Captured { mut base, changes, .. } = captured;
    let ours: BTreeMap<RepoPath, Change> = changes.into_iter().collect();
    if info.outputs.is_empty() {
        info.outputs = outputs(ours.keys());
    }
    let mut transaction = repo
        .root()
        .begin_at(repo.intent(info.verb.as_str(), &info.by.actor), branch, base)
        .await?;
    let mut planned: Option<RefChange> = None;
    loop {
        let head = transaction.branch(branch)?;
        if head.commit != base.commit {
            expect_none(branch, &meetings(repo, base.tree, head.tree, &ours).await?)?;
            base = head.target();
        }
        // A swap that was lost to another branch's is tried again as it was planned.
        let change = match planned.take().filter(|change| change.before.as_ref() == Some(&head)) {
            Some(change) => change,
            None => write(session, &ours, &head, &info).await?,
        };
        if let Some(operation) = transaction.swap(vec![change.clone()], summary(&info.message)).await? {
            return Ok(target_after(&operation));
        }
        planned = Some(change);
    }
}

/// Writes a commit of the changes on top of `head`: all that it names in one go, then the commit itself.
async fn write(
    session: &Session,
    ours: &BTreeMap<RepoPath, Change>,
    head: &Ref,
    info: &CommitInfo,
) -> Result<RefChange> {
    let (repo, branch) = (session.repo(), session.branch());
    let changes = ours
        .iter()
        .map(|(path, change)| (path.clone(), change.placed().cloned()))
        .collect();
    // The parent is read for its generation, while the tree is.
    let (applied, _) = try_join(repo.trees().begin_apply(head.tree, changes), repo.commit(head.commit)).await?;
    if applied.tree() == head.tree {
        return Err(Error::NothingToCommit { branch: branch.clone() });
    }
    let time = repo.now();
    let provenance = repo.commits().write_provenance(info.provenance(time));
    let ((), tree, provenance) = try_join3(session.flush(), applied.stored(), provenance).await?;
    let commit = repo.commits().write_on(&[head.commit], tree, time, provenance).await?;
    Ok(RefChange::moved(branch, head, RefTarget { commit, tree }))
}

impl Repo {
    /// The paths that a commit changed against its first parent, as its provenance would name them: of very many, the
    /// folders. A commit without a parent names none.
    pub async fn changed_by(&self, commit: &Commit) -> Result<Vec<RepoPath>> {
        let Some(&parent) = commit.parents.first() else {
            return Ok(Vec::new());
        };
        let before = self.commit(parent).await?.tree;
        let diffs = self.trees().diff(before, commit.tree);
        let changed: BTreeSet<_> = diffs.map_ok(|diff| diff.path).try_collect().await?;
        Ok(outputs(changed.iter()))
    }
}

/// Where an operation that moved one branch left it. After a lost answer this may be an earlier try than the last.
pub(crate) fn target_after(operation: &Operation) -> RefTarget {
    let change = operation.changes.first().expect("a commit changes one ref");
    let after = change.after.as_ref().expect("a commit leaves its branch somewhere");
    after.target()
}

pub(crate) fn summary(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(SUMMARY_LEN_MAX)
        .collect()
}

/// A path of ours and one of theirs that exclude each other: the same, or one below the other.
struct Meeting {
    ours: RepoPath,
    theirs: RepoPath,
}

/// Where our changes meet what came between two trees.
async fn meetings(repo: &Repo, base: TreeId, head: TreeId, ours: &BTreeMap<RepoPath, Change>) -> Result<Vec<Meeting>> {
    let mut found = Vec::new();
    let mut theirs = repo.trees().diff(base, head);
    while let Some(PathDiff { path, after, .. }) = theirs.try_next().await? {
        let met = met(ours, &path, after.as_ref()).into_iter();
        found.extend(met.map(|ours| Meeting {
            ours,
            theirs: path.clone(),
        }));
    }
    Ok(found)
}

/// The paths of ours that a change of theirs meets: of a file, all below it.
fn met(ours: &BTreeMap<RepoPath, Change>, path: &RepoPath, after: Option<&Placed>) -> Vec<RepoPath> {
    if ours.contains_key(path) {
        return vec![path.clone()];
    }
    // Entries of one log meet whatever their names.
    if let Some(log) = log_of(path) {
        let entries: Vec<RepoPath> = below(ours, &log).map(|(path, _)| path.clone()).collect();
        if !entries.is_empty() {
            return entries;
        }
    }
    let Some(after) = after else { return Vec::new() };
    let is_put = |path: &RepoPath| {
        ours.get(path)
            .and_then(Change::placed)
            .is_some_and(|ours| !is_folder(ours))
    };
    if let Some(above) = path.ancestors().find(is_put) {
        return vec![above];
    }
    if is_folder(after) {
        return Vec::new();
    }
    below(ours, path)
        .filter(|(_, change)| change.placed().is_some())
        .map(|(path, _)| path.clone())
        .collect()
}

fn below<'a>(
    ours: &'a BTreeMap<RepoPath, Change>,
    folder: &RepoPath,
) -> impl Iterator<Item = (&'a RepoPath, &'a Change)> + use<'a> {
    let prefix = format!("{folder}/");
    let from = ours.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
    from.take_while(move |(path, _)| path.as_str().starts_with(&prefix))
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

/// The changed paths, folded into folders from the deepest up until there are few enough. Names at the top cannot be
/// folded: of too many the first stand for all, and the difference of the trees tells the rest.
pub(crate) fn outputs<'a>(paths: impl Iterator<Item = &'a RepoPath>) -> Vec<RepoPath> {
    let mut outputs: BTreeSet<RepoPath> = paths.cloned().collect();
    let depth = |path: &RepoPath| path.as_str().matches('/').count();
    while outputs.len() > OUTPUTS_MAX {
        let deepest = outputs.iter().map(depth).max().unwrap_or(0);
        if deepest == 0 {
            return outputs.into_iter().take(OUTPUTS_MAX).collect();
        }
        let fold = |path: RepoPath| {
            if depth(&path) == deepest {
                path.parent().unwrap_or(path)
            } else {
                path
            }
        };
        outputs = outputs.into_iter().map(fold).collect();
    }
    outputs.into_iter().collect()
}
