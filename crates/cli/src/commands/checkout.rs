//! `drumlin checkout`.

use clap::Args;
use drumlin_model::{RefExpr, RefName};
use serde_json::json;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, count, paint},
};

/// Make the working files those of a branch, tag or commit
///
/// Work that is not committed is never overwritten unless --force is given. Tables and training sets stay in the
/// repository, where SQL reads them; `drumlin restore PATH` brings one here.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin checkout main\n  drumlin checkout v1\n  drumlin checkout -b fix-weather")]
pub struct Checkout {
    /// What to check out; with -b, where the new branch starts
    #[arg(value_name = "REF", required_unless_present = "create")]
    to: Option<RefExpr>,
    /// Make a branch of this name first
    #[arg(short = 'b', long = "create", value_name = "BRANCH")]
    create: Option<RefName>,
    /// Overwrite work that is not committed
    #[arg(long)]
    force: bool,
}

impl Checkout {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let progress = cx.ui.progress();
        let summary = match (&self.create, &self.to) {
            (Some(branch), from) => {
                copy.checkout_new(&cx.author(), branch, from.as_ref(), self.force, &progress)
                    .await?
            }
            (None, to) => {
                copy.checkout(
                    to.as_ref().expect("the parser asks for one of them"),
                    self.force,
                    &progress,
                )
                .await?
            }
        };
        let head = copy.head()?;
        let value = json!({
            "branch": head.branch, "commit": head.base.commit,
            "written": summary.written, "removed": summary.removed,
        });
        cx.ui.emit(&value, |out| {
            let place = if head.branch.is_some() {
                "On branch"
            } else {
                "At commit"
            };
            writeln!(
                out,
                "{place} {} ({} files written, {} removed)",
                paint(NAME, head.label()),
                count(summary.written),
                count(summary.removed)
            )
        })
    }
}
