//! `drumlin log`.

use clap::Args;
use drumlin_model::RepoPath;
use drumlin_verbs::{LOG_LIMIT_DEFAULT, LogRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, WARN, paint},
};

/// Show the history of a branch, newest first
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin log\n  drumlin log -n 5 v1\n  drumlin log --path tables/flights")]
pub struct Log {
    /// Where to start [default: the current branch]
    #[arg(value_name = "REF")]
    at: Option<String>,
    /// The most commits to show
    #[arg(short = 'n', long, default_value_t = LOG_LIMIT_DEFAULT)]
    limit: usize,
    /// Only commits whose outputs touch PATH
    #[arg(long)]
    path: Option<String>,
}

impl Log {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = LogRequest {
            at: self.at.as_deref().map(str::parse).transpose()?,
            limit: self.limit,
            path: self.path.as_deref().map(RepoPath::new).transpose()?,
        };
        let commits = cx.desk().await?.log(request).await?;
        cx.ui.emit(&commits, |out| {
            for commit in &commits {
                let merge = if commit.parents.len() > 1 {
                    paint(WARN, " (merge)")
                } else {
                    String::new()
                };
                writeln!(
                    out,
                    "{}  {}{merge}",
                    paint(NAME, commit.id.short()),
                    commit
                        .message
                        .as_deref()
                        .and_then(|text| text.lines().next())
                        .unwrap_or("")
                )?;
                let by = match &commit.provenance {
                    Some(made) => format!("{} · {} · {}", commit.time, made.actor, made.verb),
                    None => format!("{} · what made it is gone", commit.time),
                };
                writeln!(out, "              {}", paint(FAINT, by))?;
            }
            Ok(())
        })
    }
}
