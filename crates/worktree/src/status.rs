//! `status` and `diff`: how the files, what is staged and the base commit differ, by path. Both only look.
//! They take no lock, so that they answer while an `add` runs; then they show some moment of it.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use drumlin_model::{EntryKind, RefKind, RefName, RefTarget, RepoPath};

use crate::{
    ChangeKind, Error, Result, WorkingCopy,
    read::{entry_kind, is_entry},
    scan::{Found, Scan},
    stat::{DiskEntry, DiskKind},
};

/// Paths that each list of a status holds at most: more tell a person nothing.
const LISTED_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// None: a commit is checked out by itself.
    pub branch: Option<RefName>,
    pub base: RefTarget,
    /// Whether the branch has moved on since the files were taken from it.
    pub behind: bool,
    /// The target of a checkout that was interrupted.
    pub interrupted: Option<String>,
    /// What the next commit changes.
    pub staged: Vec<(RepoPath, ChangeKind)>,
    /// How files differ from what is staged or committed.
    pub unstaged: Vec<(RepoPath, ChangeKind)>,
    /// Files that were never added; a folder of such stands for all that is in it.
    pub untracked: Vec<RepoPath>,
    /// What `add` would fail on, each with the reason.
    pub unkeepable: Vec<String>,
    /// Whether a list was cut short.
    pub truncated: bool,
}

/// Which two states a `diff` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The files with what is staged or, elsewhere, committed.
    Unstaged,
    /// What is staged with the base commit.
    Staged,
}

/// One path of a `diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub path: RepoPath,
    pub kind: ChangeKind,
    pub before: Option<EntryKind>,
    pub after: Option<EntryKind>,
}

impl WorkingCopy {
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn status(&self) -> Result<Status> {
        let (head, interrupted, staged) = {
            let reader = self.index().read()?;
            let staged = reader.staged_within(None)?;
            (
                reader.head()?,
                reader.pending()?.map(|pending| pending.head.label()),
                staged,
            )
        };
        let tip = match &head.branch {
            Some(branch) => self.repo().refs().await?.get(RefKind::Branch, branch),
            None => None,
        };
        let local = self.local(vec![None]).await?;
        let mut status = Status {
            behind: tip.is_some_and(|tip| tip.commit != head.base.commit),
            branch: head.branch,
            base: head.base,
            interrupted,
            staged: staged.into_iter().map(|(path, staged)| (path, staged.kind)).collect(),
            unstaged: local
                .changed
                .into_iter()
                .map(|changed| (changed.path, changed.kind))
                .collect(),
            untracked: local.untracked,
            unkeepable: local.unkeepable,
            truncated: false,
        };
        status.truncate();
        Ok(status)
    }

    /// The changed paths at and below each of `paths` (the folder itself means everything), in order.
    #[tracing::instrument(level = "debug", skip_all, fields(?side))]
    pub async fn diff(&self, paths: &[PathBuf], side: Side) -> Result<Vec<Changed>> {
        let scopes = self.scopes(paths)?;
        if side == Side::Unstaged {
            return Ok(self.local(scopes).await?.changed);
        }
        let base = self.repo().snapshot_of(self.head()?.base);
        let mut changed = Vec::new();
        for scope in scopes {
            let staged = self.index().read()?.staged_within(scope.as_ref())?;
            for (path, staged) in staged {
                let before = base.entry(&path).await?.map(|placed| placed.entry.kind);
                let after = staged.placed.map(|placed| placed.entry.kind);
                changed.push(Changed {
                    path,
                    kind: staged.kind,
                    before,
                    after,
                });
            }
        }
        Ok(changed)
    }

    /// How the disk differs from the index.
    async fn local(&self, scopes: Vec<Option<RepoPath>>) -> Result<Local> {
        let copy = self.clone();
        let scanned = tokio::task::spawn_blocking(move || -> Result<Local> {
            let local = Mutex::new(Local::default());
            let note = |found| {
                let seen = Seen::of(&copy, found);
                local.lock().unwrap_or_else(PoisonError::into_inner).note(seen);
                true
            };
            Scan::new(copy.folder(), copy.index(), note).collapsing().run(&scopes)?;
            Ok(local.into_inner().unwrap_or_else(PoisonError::into_inner).sorted())
        });
        scanned.await.expect("the scan does not panic")
    }
}

#[derive(Default)]
struct Local {
    changed: Vec<Changed>,
    untracked: Vec<RepoPath>,
    unkeepable: Vec<String>,
}

/// A difference, looked at closely.
enum Seen {
    Same,
    Changed(Changed),
    Untracked(RepoPath),
    Unkeepable(Error),
}

impl Seen {
    fn of(copy: &WorkingCopy, found: Found) -> Seen {
        match Seen::look(copy, found) {
            Ok(seen) => seen,
            Err(error) => Seen::Unkeepable(error),
        }
    }

    fn look(copy: &WorkingCopy, found: Found) -> Result<Seen> {
        Ok(match found {
            Found::New { path, .. } => Seen::Untracked(path),
            Found::Special { .. } => Seen::Same,
            Found::Bad(error) => Seen::Unkeepable(error),
            Found::Missing { path, record } => {
                // An empty folder that is empty no longer: what is in it says so.
                let disk = DiskEntry::at(&copy.disk_path(&path));
                if record.kind == EntryKind::Folder
                    && disk.is_ok_and(|disk| disk.is_some_and(|d| d.kind == DiskKind::Folder))
                {
                    return Ok(Seen::Same);
                }
                Seen::Changed(Changed {
                    path,
                    kind: ChangeKind::Deleted,
                    before: Some(record.kind),
                    after: None,
                })
            }
            Found::Changed { path, disk, record } => {
                let disk_path = copy.disk_path(&path);
                if is_entry(&disk_path, &disk, &record.kind)? {
                    return Ok(Seen::Same);
                }
                let after = entry_kind(&disk_path, &disk)?;
                Seen::Changed(Changed {
                    path,
                    kind: ChangeKind::Modified,
                    before: Some(record.kind),
                    after,
                })
            }
        })
    }
}

impl Local {
    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Same => {}
            Seen::Changed(changed) => self.changed.push(changed),
            Seen::Untracked(path) => self.untracked.push(path),
            Seen::Unkeepable(error) => self.unkeepable.push(error.to_string()),
        }
    }

    fn sorted(mut self) -> Local {
        self.changed.sort_by(|a, b| a.path.cmp(&b.path));
        self.untracked.sort();
        self.unkeepable.sort();
        self
    }
}

impl Status {
    /// Whether the next commit would change nothing and no file differs.
    pub fn is_clean(&self) -> bool {
        self.staged.is_empty() && self.unstaged.is_empty() && self.untracked.is_empty()
    }

    fn truncate(&mut self) {
        let longest = self.staged.len().max(self.unstaged.len()).max(self.untracked.len());
        self.truncated = longest > LISTED_MAX;
        self.staged.truncate(LISTED_MAX);
        self.unstaged.truncate(LISTED_MAX);
        self.untracked.truncate(LISTED_MAX);
    }
}
