//! `drumlin checkout`.

use clap::Args;
use drumlin_model::{RefExpr, RefName};
use drumlin_verbs::CheckoutRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, count, label, paint},
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
        let request = CheckoutRequest {
            to: self.to,
            create: self.create,
            force: self.force,
        };
        let head = cx.desk().await?.checkout(request).await?;
        cx.ui.emit(&head, |out| {
            let place = if head.branch.is_some() {
                "On branch"
            } else {
                "At commit"
            };
            writeln!(
                out,
                "{place} {} ({} files written, {} removed)",
                paint(NAME, label(head.branch.as_ref(), head.commit)),
                count(head.written),
                count(head.removed)
            )
        })
    }
}
