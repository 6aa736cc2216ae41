//! `Desk`: where verbs are asked for: an open repository, the working copy where there is one, and what the surface decided.
//! Each verb is a method in a file of its own; this one holds what several of them start from.
//! Invariant: a desk is shared by any number of tasks; the engine and the online store are opened when first needed, once.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use drumlin_chunks::{NoProgress, Place, Progress, Storage};
use drumlin_model::{By, Code, RefExpr, RefName, Timestamp, Verb};
use drumlin_online::Serving;
use drumlin_repo::{Clock, CommitInfo, Repo, Snapshot};
use drumlin_tables::{Engine, EngineOptions};
use drumlin_worktree::{Opener, WorkingCopy};

use crate::error::{Error, Result};

/// What the surface decides for all verbs of a desk.
#[derive(Clone)]
pub struct DeskOptions {
    /// The person or service that commits and operations name.
    pub actor: String,
    /// Reads the state of the code that asks, such as [`git_code`](crate::git_code). Called by each verb that commits.
    pub code: Arc<dyn Fn() -> Option<Code> + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    /// Opens the store at a place, with the credentials that the surface knows.
    pub open: Arc<Opener>,
    /// Hears how far long work is.
    pub progress: Arc<dyn Progress>,
    /// The most memory that queries and joins take before they spill to disk, in bytes.
    pub memory_bytes: u64,
    /// The threads of queries and joins.
    pub threads: usize,
    /// Where queries spill to. Without it, a folder of the working copy; needed where there is none.
    pub spill_folder: Option<PathBuf>,
    /// Where the online store is. Without it, a folder of the working copy; needed where there is none.
    pub online_folder: Option<PathBuf>,
    /// The branch that verbs go to where there is no working copy.
    pub branch: Option<RefName>,
}

/// Queries and joins take this much memory where nobody says otherwise: what a laptop can spare.
pub const MEMORY_BYTES_DEFAULT: u64 = 2_000_000_000;

impl DeskOptions {
    /// Options for a surface that watches nothing and knows no code.
    pub fn new(actor: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            actor: actor.into(),
            code: Arc::new(|| None),
            clock,
            open: Arc::new(Storage::open),
            progress: Arc::new(NoProgress),
            memory_bytes: MEMORY_BYTES_DEFAULT,
            threads: 1,
            spill_folder: None,
            online_folder: None,
            branch: None,
        }
    }
}

/// An open repository at which verbs are asked for.
pub struct Desk {
    pub(crate) repo: Repo,
    copy: Option<WorkingCopy>,
    /// Where relative paths start. Without a working copy, nowhere: paths are whole.
    current: PathBuf,
    options: DeskOptions,
    engine: Mutex<Option<Engine>>,
    online: Mutex<Option<Arc<Serving>>>,
}

impl Desk {
    /// Opens the working copy that `current` lies in. Paths in requests are read as if typed there.
    pub async fn open(current: &Path, options: DeskOptions) -> Result<Desk> {
        let copy = WorkingCopy::discover(current, options.clock.clone(), &*options.open).await?;
        Ok(Desk::of_copy(copy, current, options))
    }

    /// Opens a repository alone. Verbs that need files of a working copy say so.
    pub async fn open_repository(place: &Place, options: DeskOptions) -> Result<Desk> {
        let repo = Repo::open((options.open)(place)?, options.clock.clone()).await?;
        Ok(Desk::of(repo, None, PathBuf::new(), options))
    }

    pub(crate) fn of_copy(copy: WorkingCopy, current: &Path, options: DeskOptions) -> Desk {
        Desk::of(copy.repo().clone(), Some(copy), current.to_owned(), options)
    }

    fn of(repo: Repo, copy: Option<WorkingCopy>, current: PathBuf, options: DeskOptions) -> Desk {
        Desk {
            repo,
            copy,
            current,
            options,
            engine: Mutex::default(),
            online: Mutex::default(),
        }
    }

    pub fn options(&self) -> &DeskOptions {
        &self.options
    }

    /// The working copy, for verbs that need one.
    pub(crate) fn copy(&self) -> Result<&WorkingCopy> {
        self.copy.as_ref().ok_or(Error::NoWorkingCopy)
    }

    /// The file that a path in a request means.
    pub(crate) fn file(&self, path: &Path) -> PathBuf {
        self.current.join(path)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn progress(&self) -> &dyn Progress {
        &*self.options.progress
    }

    /// Who asks, now, and with which code. Verbs that write begin with this.
    pub(crate) fn by(&self) -> By {
        By {
            actor: self.options.actor.clone(),
            started: self.now(),
            code: (self.options.code)(),
        }
    }

    /// The same for verbs that move refs and commit nothing: operations do not record code, so it is not read.
    pub(crate) fn author(&self) -> By {
        By::new(self.options.actor.clone(), self.now())
    }

    /// What a commit of `verb` says of itself.
    pub(crate) fn commit_info(&self, verb: Verb, message: impl Into<String>) -> CommitInfo {
        CommitInfo::new(self.by(), verb, message)
    }

    /// The branch that verbs write to: the one that is checked out, or that the surface named.
    pub(crate) fn branch(&self) -> Result<RefName> {
        self.current_branch()?.ok_or(Error::NoBranch)
    }

    /// The same, or none when a commit is checked out by itself.
    pub(crate) fn current_branch(&self) -> Result<Option<RefName>> {
        match &self.copy {
            Some(copy) => Ok(copy.head()?.branch),
            None => Ok(self.options.branch.clone()),
        }
    }

    /// The snapshot at `at`, or at what is checked out when nothing is named.
    pub(crate) async fn snapshot(&self, at: Option<&RefExpr>) -> Result<Snapshot> {
        if let Some(at) = at {
            return Ok(self.repo.snapshot(at).await?);
        }
        match (self.current_branch()?, &self.copy) {
            (Some(branch), _) => Ok(self.repo.snapshot(&branch.into()).await?),
            (None, Some(copy)) => Ok(self.repo.snapshot_at(copy.head()?.base.commit).await?),
            (None, None) => Err(Error::NoBranch),
        }
    }

    /// Brings the working copy, where there is one, to where its branch is now.
    pub(crate) async fn follow(&self) -> Result<()> {
        if let Some(copy) = &self.copy {
            copy.follow(self.progress()).await?;
        }
        Ok(())
    }

    /// SQL and tables.
    pub(crate) fn engine(&self) -> Result<Engine> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let spill_folder = match (&self.options.spill_folder, &self.copy) {
            (Some(folder), _) => folder.clone(),
            (None, Some(copy)) => copy.spill_folder()?,
            (None, None) => return Err(Error::NoFolder { what: "spilled rows" }),
        };
        let options = EngineOptions {
            memory_limit_bytes: usize::try_from(self.options.memory_bytes).unwrap_or(usize::MAX),
            threads: self.options.threads,
            ..EngineOptions::new(spill_folder)
        };
        Ok(engine.insert(Engine::new(self.repo.clone(), options)?).clone())
    }

    /// The online store, made when it is not there.
    pub(crate) fn online(&self) -> Result<Arc<Serving>> {
        let mut online = self.online.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(online) = &*online {
            return Ok(online.clone());
        }
        let folder = match (&self.options.online_folder, &self.copy) {
            (Some(folder), _) => folder.clone(),
            (None, Some(copy)) => copy.layout().own().join(ONLINE_FOLDER),
            (None, None) => {
                return Err(Error::NoFolder {
                    what: "the online store",
                });
            }
        };
        Ok(online.insert(Arc::new(Serving::open(&folder)?)).clone())
    }
}

/// The folder of the online store among the working copy's own.
const ONLINE_FOLDER: &str = "online";
