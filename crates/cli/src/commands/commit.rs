//! `drumlin commit`.

use clap::Args;
use drumlin_verbs::CommitRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint},
};

/// Make the staged changes one commit of the current branch
///
/// If others committed meanwhile to paths that don't meet yours, the commit goes on top of theirs by itself;
/// if they meet, nothing happens and the paths are named.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin commit -m 'flights of 2013'")]
pub struct Commit {
    /// What this commit does
    #[arg(short, long)]
    message: String,
}

impl Commit {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = CommitRequest { message: self.message };
        let made = cx.desk().await?.commit(request).await?;
        cx.ui.emit(&made, |out| {
            writeln!(
                out,
                "{} {}  {}",
                paint(NAME, &made.branch),
                paint(NAME, made.commit.short()),
                made.message
            )
        })
    }
}
