//! `Context`: what each verb starts from: the folder, the clock, who asks and the state of the code's own Git.
//! The one place that reads the environment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use drumlin_verbs::{Clock, Config, ConfigOptions, Desk, DeskOptions, Key, SystemClock, git_code};

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
            progress: Arc::new(self.ui.progress()),
            memory_bytes: self.config.settings().memory_bytes(),
            threads: self.config.settings().threads(),
            ..DeskOptions::new(self.config.settings().actor(), self.clock.clone())
        }
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
