//! `drumlin merge`, and what `revert` and `cherry-pick` share with it.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::{MergeAnswer, MergeOutcome, MergeRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint},
};

/// Bring the changes of another branch into the current one
///
/// Three-way, path by path. With conflicts nothing changes, and the paths are named.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin merge fix-weather\n  drumlin merge fix-weather -m 'corrected weather'")]
pub struct Merge {
    /// What to bring in
    from: RefExpr,
    /// The message of the merge commit
    #[arg(short, long)]
    message: Option<String>,
}

impl Merge {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = MergeRequest {
            from: self.from,
            message: self.message,
        };
        let merged = cx.desk().await?.merge(request).await?;
        print(cx, "Merged", &merged)
    }
}

/// One line on where the branch is now. `committed` is the word for a commit that was made.
pub fn print(cx: &Context<'_>, committed: &str, merged: &MergeAnswer) -> Result<(), CommandError> {
    cx.ui.emit(merged, |out| {
        let did = match merged.outcome {
            MergeOutcome::AlreadyUpToDate => "Already up to date",
            MergeOutcome::FastForwarded => "Fast-forwarded",
            MergeOutcome::Committed => committed,
        };
        writeln!(
            out,
            "{did}: {} is at {}",
            paint(NAME, &merged.branch),
            paint(NAME, merged.commit.short())
        )
    })
}
