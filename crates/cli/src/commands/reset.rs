//! `drumlin reset`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::ResetRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint},
};

/// Point the current branch at another commit
///
/// Commits that no branch or tag names any more stay readable by id; `drumlin undo` takes the reset back.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin reset main~1\n  drumlin reset v1 --dry-run")]
pub struct Reset {
    to: RefExpr,
    /// Show what would move, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Reset {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = ResetRequest {
            to: self.to,
            dry_run: self.dry_run,
        };
        let moved = cx.desk().await?.reset(request).await?;
        cx.ui.emit(&moved, |out| {
            let did = if moved.dry_run { "would move" } else { "moved" };
            writeln!(
                out,
                "{} {did} from {} to {}",
                paint(NAME, &moved.branch),
                moved.before.short(),
                paint(NAME, moved.after.short())
            )
        })
    }
}
