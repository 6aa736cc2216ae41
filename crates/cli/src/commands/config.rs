//! `drumlin config`.

use clap::{Args, Subcommand};
use drumlin_verbs::{
    ConfigChangeAnswer, ConfigGetRequest, ConfigListRequest, ConfigSetRequest, ConfigUnsetRequest, SettingFrom,
    SettingView,
};

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Show and change settings: who you are, how much memory queries take, whether there are colors
///
/// A setting comes from the first of these that has it: a flag of the command, the environment, the file of this working
/// copy (.drumlin/config.toml), your own file (drumlin/config.toml in your configuration folder), and what is built in.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin config list\n  drumlin config set memory 512MB\n  drumlin config set --user actor ada"
)]
pub struct Config {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List all settings, with where each comes from
    #[command(after_help = "Examples:\n  drumlin config list\n  drumlin config list --json")]
    List,
    /// Show one setting
    #[command(after_help = "Examples:\n  drumlin config get memory")]
    Get {
        /// actor, color, memory or threads
        key: String,
    },
    /// Set something for this working copy, or for all of yours
    #[command(
        after_help = "Examples:\n  drumlin config set memory 512MB\n  drumlin config set --user actor ada\n  drumlin config set threads 4"
    )]
    Set {
        /// actor, color, memory or threads
        key: String,
        value: String,
        /// In your own file, for all repositories
        #[arg(long)]
        user: bool,
    },
    /// Take back what a file sets
    #[command(after_help = "Examples:\n  drumlin config unset memory\n  drumlin config unset --user actor")]
    Unset {
        /// actor, color, memory or threads
        key: String,
        /// In your own file
        #[arg(long)]
        user: bool,
    },
}

impl Config {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let mut config = cx.config.clone();
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let settings = config.config_list(ConfigListRequest {});
                cx.ui.emit(&settings, |out| {
                    settings.iter().try_for_each(|setting| {
                        let name = format!("{:<8}", setting.key);
                        let from = paint(FAINT, from(setting));
                        writeln!(out, "{} {:<14} {from}", paint(NAME, name), setting.text)
                    })
                })
            }
            Verb::Get { key } => {
                let setting = config.config_get(ConfigGetRequest { key })?;
                cx.ui.emit(&setting, |out| writeln!(out, "{}", setting.text))
            }
            Verb::Set { key, value, user } => {
                let request = ConfigSetRequest { key, value, user };
                print(cx, &config.config_set(request)?)
            }
            Verb::Unset { key, user } => {
                let request = ConfigUnsetRequest { key, user };
                print(cx, &config.config_unset(request)?)
            }
        }
    }
}

fn print(cx: &Context<'_>, changed: &ConfigChangeAnswer) -> Result<(), CommandError> {
    cx.ui.emit(changed, |out| {
        let ConfigChangeAnswer { file, now, .. } = changed;
        writeln!(out, "Changed {}", file.display())?;
        let (key, text) = (paint(NAME, &now.key), &now.text);
        writeln!(out, "{key} is {text} now, from {}", from(now))
    })
}

/// Where a setting comes from, in words.
fn from(setting: &SettingView) -> String {
    match (setting.from, &setting.file, &setting.variable) {
        (_, Some(file), _) => file.display().to_string(),
        (_, _, Some(variable)) => format!("the environment ({variable})"),
        (SettingFrom::Flag, ..) => format!("--{}", setting.key),
        _ => "what is built in".to_owned(),
    }
}
