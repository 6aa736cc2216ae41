//! `drumlin reset`.

use clap::Args;
use drumlin_model::RefExpr;
use serde_json::json;

use crate::{
    context::{self, Context},
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
        let copy = cx.working_copy().await?;
        let branch = context::current_branch(&copy)?;
        let to = copy.repo().resolve(&self.to).await?.commit;
        let from = copy.repo().resolve(&branch.clone().into()).await?.commit;
        if !self.dry_run {
            copy.repo().reset(&cx.author(), &branch, to).await?;
            copy.follow(&cx.ui.progress()).await?;
        }
        let value = json!({ "branch": branch, "before": from, "after": to, "dry_run": self.dry_run });
        cx.ui.emit(&value, |out| {
            let did = if self.dry_run { "would move" } else { "moved" };
            writeln!(
                out,
                "{} {did} from {} to {}",
                paint(NAME, &branch),
                from.short(),
                paint(NAME, to.short())
            )
        })
    }
}
