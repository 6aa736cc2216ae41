//! `drumlin commit`.

use clap::Args;
use serde_json::json;

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
        let copy = cx.working_copy().await?;
        let id = copy.commit(cx.commit_info("commit", &self.message, Vec::new())).await?;
        let label = copy.head()?.label();
        cx.ui.emit(
            &json!({ "commit": id, "branch": label, "message": self.message }),
            |out| {
                writeln!(
                    out,
                    "{} {}  {}",
                    paint(NAME, &label),
                    paint(NAME, id.short()),
                    self.message
                )
            },
        )
    }
}
