//! `WorkingCopy`: a folder of ordinary files that shows one commit of a repository, and stages changes for the next.
//! `Repo` below it versions; the command line above it renders. What each verb does is a file of this module.
//! Invariant: a file here holds what was added, checked out or restored, or work of the user that nothing overwrites
//! unasked; a path that the commit has and the index does not is not materialized, which is not the same as deleted.

mod add;
mod checkout;
mod commit;
mod error;
mod ignores;
mod index;
mod layout;
mod lock;
mod materialize;
mod paths;
mod plan;
mod read;
mod restore;
mod scan;
mod sets;
mod spill;
mod stat;
mod status;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use drumlin_chunks::Storage;
use drumlin_model::{RefExpr, RefName, RepoPath};

pub use add::AddSummary;
pub use checkout::CheckoutSummary;
pub use error::WorkingCopyError;
pub use index::{ChangeKind, Head};
pub use layout::Layout;
pub use restore::RestoreSummary;
pub use status::{Changed, Side, Status};

use self::{index::Index, lock::WorkLock, spill::SpillFolder, stat::Stat};
use crate::{Clock, Error, Repo, Result, repo::FIRST_BRANCH};

#[derive(Clone)]
pub struct WorkingCopy {
    inner: Arc<Inner>,
}

struct Inner {
    layout: Layout,
    /// Where relative paths start: the folder that the working copy was found from.
    current: PathBuf,
    repo: Repo,
    index: Index,
    /// Made when it is first asked for.
    spill: Mutex<Option<SpillFolder>>,
}

impl WorkingCopy {
    /// Makes `folder` a working copy with a new repository inside it. Files that are there stay, and are not yet added.
    pub async fn init(folder: &Path, clock: Arc<dyn Clock>) -> Result<WorkingCopy> {
        let layout = Layout::create(folder, None)?;
        fs::create_dir_all(&layout.repository).map_err(WorkingCopyError::io("create", &layout.repository))?;
        let storage = storage(&layout)?;
        let repo = match Repo::create(storage.clone(), clock.clone()).await {
            // An `init` that was killed before it was done: go on with what it made.
            Err(Error::RepositoryExists) => Repo::open(storage, clock).await?,
            created => created?,
        };
        WorkingCopy::start(layout, repo, false).await
    }

    /// Makes `folder` a working copy of the repository in `repository`, with the files of its first branch.
    /// Both see each other's commits at once: they share one store.
    pub async fn clone_from(repository: &Path, folder: &Path, clock: Arc<dyn Clock>) -> Result<WorkingCopy> {
        let layout = Layout::create(folder, Some(repository))?;
        let repo = Repo::open(storage(&layout)?, clock).await?;
        let copy = WorkingCopy::start(layout, repo, true).await?;
        copy.fill(&drumlin_chunks::progress::NoProgress).await?;
        Ok(copy)
    }

    /// The working copy that `from` lies in. Paths that people type are read as if typed in `from`.
    pub async fn discover(from: &Path, clock: Arc<dyn Clock>) -> Result<WorkingCopy> {
        let layout = Layout::discover(from)?;
        let repo = Repo::open(storage(&layout)?, clock).await?;
        let current = from.canonicalize().map_err(WorkingCopyError::io("find", from))?;
        WorkingCopy::open(layout, current, repo)
    }

    /// A working copy whose repository was opened by the caller, for instance over a store that counts or fails.
    /// Relative paths start at `current`, which is canonical.
    pub fn open(layout: Layout, current: PathBuf, repo: Repo) -> Result<WorkingCopy> {
        let index = Index::open(&layout.work())?;
        Ok(WorkingCopy {
            inner: Arc::new(Inner {
                layout,
                current,
                repo,
                index,
                spill: Mutex::default(),
            }),
        })
    }

    /// Writes the state of a new working copy, with nothing materialized, and then its settings.
    /// `is_fresh` if the files of its head are to come.
    async fn start(layout: Layout, repo: Repo, is_fresh: bool) -> Result<WorkingCopy> {
        let refs = repo.refs().await?;
        let first = RefName::new(FIRST_BRANCH).expect("the name of the first branch is valid");
        let branch = if refs.branches.contains_key(&first) {
            Some(first)
        } else {
            refs.branches.keys().next().cloned()
        };
        let branch = branch.ok_or(Error::NoRepository)?;
        let head = Head {
            base: refs.branches[&branch],
            branch: Some(branch),
        };
        let index = Index::open(&layout.work())?;
        let mut writer = index.write()?;
        writer.set_head(&head)?;
        writer.set_fresh(is_fresh)?;
        writer.commit()?;
        layout.seal()?;
        let current = layout.folder.clone();
        Ok(WorkingCopy {
            inner: Arc::new(Inner {
                layout,
                current,
                repo,
                index,
                spill: Mutex::default(),
            }),
        })
    }

    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }

    /// The folder that people work in.
    pub fn folder(&self) -> &Path {
        &self.inner.layout.folder
    }

    /// Where this working copy keeps its own files.
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// A folder for what a query cannot hold in memory. It is there as long as this working copy is open.
    pub fn spill_folder(&self) -> Result<PathBuf> {
        let mut spill = self.inner.spill.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*spill {
            return Ok(made.path().to_owned());
        }
        let made = SpillFolder::new(&self.inner.layout.spill())?;
        Ok(spill.insert(made).path().to_owned())
    }

    pub fn head(&self) -> Result<Head> {
        Ok(self.index().read()?.head()?)
    }

    /// The path of the repository that a typed path means.
    pub fn to_repo_path(&self, typed: &Path) -> Result<RepoPath> {
        let whole = || WorkingCopyError::WholeFolder { path: typed.to_owned() };
        Ok(self.to_scope(typed)?.ok_or_else(whole)?)
    }

    /// The same, where the folder of the working copy itself may be meant: that is none.
    pub fn to_scope(&self, typed: &Path) -> Result<Option<RepoPath>> {
        Ok(paths::to_scope(self.folder(), &self.inner.current, typed)?)
    }

    fn scopes(&self, typed: &[PathBuf]) -> Result<Vec<Option<RepoPath>>> {
        let scopes = typed
            .iter()
            .map(|path| self.to_scope(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(paths::outermost(scopes))
    }

    fn index(&self) -> &Index {
        &self.inner.index
    }

    fn disk_path(&self, path: &RepoPath) -> PathBuf {
        self.folder().join(path.as_str())
    }

    /// Takes the lock for a verb that changes the working copy.
    fn lock(&self, verb: &str) -> Result<WorkLock> {
        Ok(WorkLock::take(&self.inner.layout.lock(), verb)?)
    }

    /// Refuses a repository of a newer format, for verbs that would not look at the root.
    async fn refuse_newer_format(&self) -> Result<()> {
        self.repo().refs().await.map(drop)
    }

    /// Refuses to go on while a checkout is half done: what the files are then belongs to two commits.
    fn refuse_half_done(&self) -> Result<()> {
        match self.index().read()?.pending()? {
            Some(pending) => Err(WorkingCopyError::Interrupted {
                target: pending.head.label(),
            }
            .into()),
            None => Ok(()),
        }
    }

    /// The present by the clock of the file system that the files are on, in nanoseconds: the one that stamps them.
    fn disk_instant_ns(&self) -> Result<i64> {
        let probe = self.inner.layout.work().join("clock");
        fs::write(&probe, b"").map_err(WorkingCopyError::io("write", &probe))?;
        let metadata = fs::symlink_metadata(&probe).map_err(WorkingCopyError::io("look at", &probe))?;
        Ok(Stat::of(&metadata).modified_ns)
    }
}

impl Head {
    /// What to check out to come here.
    pub fn label(&self) -> String {
        self.branch
            .as_ref()
            .map_or_else(|| self.base.commit.to_string(), RefName::to_string)
    }
    pub fn expr(&self) -> RefExpr {
        match &self.branch {
            Some(branch) => RefExpr::Name(branch.clone()),
            None => RefExpr::CommitPrefix(self.base.commit.to_string()),
        }
    }
}

fn storage(layout: &Layout) -> Result<Storage> {
    Ok(Storage::directory(&layout.repository)?)
}
