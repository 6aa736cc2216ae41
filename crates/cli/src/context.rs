//! `Context`: what each verb starts from: the folder, the clock, who asks and the state of the code's own Git.
//! The one place that reads the environment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use drumlin_chunks::{Place, Storage};
use drumlin_model::{By, ErrorKind, RefExpr, RefName};
use drumlin_repo::{Clock, Repo, Snapshot, SystemClock};
use drumlin_tables::{Engine, EngineOptions};
use drumlin_verbs::{Config, ConfigOptions, Desk, DeskOptions, Key, git_code};
use drumlin_worktree::WorkingCopy;

use crate::{
    error::CommandError,
    global::{Global, use_color},
    ui::Ui,
};

pub struct Context<'a> {
    pub ui: &'a Ui,
    pub clock: Arc<dyn Clock>,
    /// Where relative paths start.
    pub current: PathBuf,
    pub config: Config,
}

/// The file of a user's settings, in the folder where the system has programs keep those.
const USER_FILE: &str = "drumlin/config.toml";

impl<'a> Context<'a> {
    pub fn new(ui: &'a Ui, global: Global) -> Result<Self, CommandError> {
        let current = match &global.started_in {
            Some(folder) => folder
                .canonicalize()
                .map_err(|error| CommandError::io(format!("cannot enter {}", folder.display()), error))?,
            None => {
                std::env::current_dir().map_err(|error| CommandError::io("cannot tell the current folder", error))?
            }
        };
        let config = Config::load(config_options(&current, &global))?;
        use_color(config.settings().color());
        for unknown in config.unknown() {
            let close = unknown.close.map(|close| format!("; did you mean {close}?"));
            ui.warn(format_args!(
                "line {} of {} sets {:?}, which this program does not know{}",
                unknown.line,
                unknown.file.display(),
                unknown.key,
                close.unwrap_or_default()
            ));
        }
        Ok(Self {
            ui,
            clock: Arc::new(SystemClock),
            current,
            config,
        })
    }

    /// The desk in the current folder, at which the verbs are asked for.
    pub async fn desk(&self) -> Result<Desk, CommandError> {
        Ok(Desk::open(&self.current, self.options()).await?)
    }

    /// What the environment and the global flags say to all verbs.
    pub fn options(&self) -> DeskOptions {
        let current = self.current.clone();
        DeskOptions {
            code: Arc::new(move || git_code(&current)),
            open: Arc::new(open),
            progress: Arc::new(self.ui.progress()),
            memory_bytes: self.config.settings().memory_bytes(),
            threads: self.config.settings().threads(),
            ..DeskOptions::new(self.author().actor, self.clock.clone())
        }
    }

    /// The working copy that the current folder lies in.
    pub async fn working_copy(&self) -> Result<WorkingCopy, CommandError> {
        Ok(WorkingCopy::discover(&self.current, self.clock.clone(), &open).await?)
    }

    /// Who asks.
    pub fn author(&self) -> By {
        By::new(self.config.settings().actor(), self.clock.now())
    }

    /// Who asks, since now, with the code that this folder holds.
    pub fn by(&self) -> By {
        By {
            code: git_code(&self.current),
            ..self.author()
        }
    }

    /// SQL and tables over the repository of `copy`.
    pub fn engine(&self, copy: &WorkingCopy) -> Result<Engine, CommandError> {
        let settings = self.config.settings();
        let options = EngineOptions {
            memory_limit_bytes: usize::try_from(settings.memory_bytes()).unwrap_or(usize::MAX),
            threads: settings.threads(),
            ..EngineOptions::new(copy.spill_folder()?)
        };
        Ok(Engine::new(copy.repo().clone(), options)?)
    }
}

/// What the machine, the environment and the flags say of the settings.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn config_options(current: &Path, global: &Global) -> ConfigOptions {
    // A variable that is empty sets nothing.
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let folder = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    let set = Key::ALL.into_iter();
    ConfigOptions {
        current: current.to_owned(),
        user_file: folder.map(|folder| folder.join(USER_FILE)),
        actor: variable("USER")
            .or_else(|| variable("LOGNAME"))
            .unwrap_or_else(|| "unknown".to_owned()),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        environment: set.filter_map(|key| Some((key, variable(key.variable())?))).collect(),
        flags: global.settings(),
    }
}

/// Opens the store at a place. Credentials, once a place needs some, are read here.
pub fn open(place: &Place) -> drumlin_chunks::Result<Storage> {
    Storage::open(place)
}

/// The branch that this working copy is on, which verbs that write need.
pub fn current_branch(copy: &WorkingCopy) -> Result<RefName, CommandError> {
    copy.head()?.branch.ok_or_else(|| {
        CommandError::new(
            ErrorKind::Precondition,
            "no branch is checked out here, so there is nothing to commit to",
        )
        .with_hint("drumlin checkout main    (or: drumlin checkout -b NAME)")
    })
}

/// The snapshot at `at`, or at the checked-out branch's head when nothing is named.
pub async fn snapshot(copy: &WorkingCopy, at: Option<&RefExpr>) -> Result<Snapshot, CommandError> {
    let head = copy.head()?;
    Ok(match (at, &head.branch) {
        (Some(expr), _) => copy.repo().snapshot(expr).await?,
        (None, Some(branch)) => copy.repo().snapshot(&branch.clone().into()).await?,
        (None, None) => copy.repo().snapshot_at(head.base.commit).await?,
    })
}

/// The full id of what a person typed.
pub async fn resolve(repo: &Repo, text: &str) -> Result<drumlin_repo::Resolved, CommandError> {
    Ok(repo.resolve(&text.parse::<RefExpr>()?).await?)
}
