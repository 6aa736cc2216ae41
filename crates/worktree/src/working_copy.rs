//! `WorkingCopy`: a folder of ordinary files that shows one commit of a repository, and stages changes for the next.
//! `Repo` below it versions; the command line above it renders. What each verb does is a file of this crate.
//! Invariant: a file here holds what was added, checked out or restored, or work of the user that nothing overwrites
//! unasked; a path that the commit has and the index does not was never brought here, which is not the same as deleted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use drumlin_chunks::{Place, Storage};
use drumlin_model::{RefExpr, RefKind, RefName, RepoPath};
use drumlin_repo::{Clock, Repo};

use crate::{
    Error, Head, Layout, RepoError, Result, index::Index, lock::WorkLock, paths, spill::SpillFolder, stat::Stat,
};

/// The default branch of a repository that is made with its first working copy.
const DEFAULT_BRANCH: &str = "main";

/// Opens the store at a place. Whoever runs the program gives it, because that alone knows credentials.
pub type Opener = dyn Fn(&Place) -> drumlin_chunks::Result<Storage> + Send + Sync;

/// A folder that shows a commit. Clones are the same working copy.
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
    #[tracing::instrument(level = "debug", skip_all, fields(folder = %folder.display()))]
    pub async fn init(folder: &Path, clock: Arc<dyn Clock>, open: &Opener) -> Result<WorkingCopy> {
        let layout = Layout::create(folder, None)?;
        let storage = open(&layout.repository)?;
        let branch = RefName::new(DEFAULT_BRANCH).expect("the default branch has a valid name");
        let repo = match Repo::create(storage.clone(), clock.clone(), &branch).await {
            // An `init` that was killed before it was done: go on with what it made.
            Err(RepoError::RepositoryExists) => Repo::open(storage, clock).await?,
            created => created?,
        };
        WorkingCopy::start(layout, repo, false).await
    }

    /// Makes `folder` a working copy of the repository at `place`, with the files of its default branch. The place of another
    /// working copy means its repository. All working copies of one see each other's commits at once: they share one store.
    #[tracing::instrument(level = "debug", skip_all, fields(%place, folder = %folder.display()))]
    pub async fn clone_from(place: Place, folder: &Path, clock: Arc<dyn Clock>, open: &Opener) -> Result<WorkingCopy> {
        let place = Layout::repository_at(place)?;
        // Before anything is made: a place that cannot be opened leaves no folder behind.
        let repo = Repo::open(open(&place)?, clock).await?;
        let layout = Layout::create(folder, Some(place))?;
        let copy = WorkingCopy::start(layout, repo, true).await?;
        copy.fill(&drumlin_chunks::NoProgress).await?;
        Ok(copy)
    }

    /// The working copy that `from` lies in. Paths that people type are read as if typed in `from`.
    #[tracing::instrument(level = "debug", skip_all, fields(from = %from.display()))]
    pub async fn discover(from: &Path, clock: Arc<dyn Clock>, open: &Opener) -> Result<WorkingCopy> {
        let layout = Layout::discover(from)?;
        let repo = Repo::open(open(&layout.repository)?, clock).await?;
        let current = from.canonicalize().map_err(Error::io("find", from))?;
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

    /// Writes the state of a new working copy, with no files brought, and then its settings.
    /// `is_fresh` if the files of its head are to come.
    async fn start(layout: Layout, repo: Repo, is_fresh: bool) -> Result<WorkingCopy> {
        let branch = repo.settings().await?.default_branch;
        let base = repo.refs().await?.get(RefKind::Branch, &branch);
        let head = Head {
            base: base.ok_or_else(|| RepoError::NoSuchBranch { name: branch.clone() })?,
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
        self.index().read()?.head()
    }

    /// The path of the repository that a typed path means.
    pub fn to_repo_path(&self, typed: &Path) -> Result<RepoPath> {
        let whole = || Error::WholeFolder { path: typed.to_owned() };
        self.to_scope(typed)?.ok_or_else(whole)
    }

    /// The same, where the folder of the working copy itself may be meant: that is none.
    pub fn to_scope(&self, typed: &Path) -> Result<Option<RepoPath>> {
        paths::to_scope(self.folder(), &self.inner.current, typed)
    }

    pub(crate) fn scopes(&self, typed: &[PathBuf]) -> Result<Vec<Option<RepoPath>>> {
        let scopes = typed
            .iter()
            .map(|path| self.to_scope(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(paths::outermost(scopes))
    }

    pub(crate) fn index(&self) -> &Index {
        &self.inner.index
    }

    pub(crate) fn disk_path(&self, path: &RepoPath) -> PathBuf {
        self.folder().join(path.as_str())
    }

    /// Takes the lock for a verb that changes the working copy.
    pub(crate) fn lock(&self, verb: &str) -> Result<WorkLock> {
        WorkLock::take(&self.inner.layout.lock(), verb)
    }

    /// Refuses a repository of a newer format, for verbs that would not look at the root.
    pub(crate) async fn refuse_newer_format(&self) -> Result<()> {
        self.repo().refs().await?;
        Ok(())
    }

    /// Refuses to go on while a checkout is half done: what the files are then belongs to two commits.
    pub(crate) fn refuse_half_done(&self) -> Result<()> {
        match self.index().read()?.pending()? {
            Some(pending) => Err(Error::Interrupted {
                target: pending.head.label(),
            }),
            None => Ok(()),
        }
    }

    /// The present by the clock of the file system that the files are on, in nanoseconds: the one that stamps them.
    pub(crate) fn disk_instant_ns(&self) -> Result<i64> {
        let probe = self.inner.layout.work().join("clock");
        fs::write(&probe, b"").map_err(Error::io("write", &probe))?;
        let metadata = fs::symlink_metadata(&probe).map_err(Error::io("look at", &probe))?;
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
