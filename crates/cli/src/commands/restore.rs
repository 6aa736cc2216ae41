//! `drumlin restore`.

use std::path::PathBuf;

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::RestoreRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{count, plural},
};

/// Bring files back from a commit, or take them out of the stage
///
/// Also how a table or training set comes here as ordinary files, for other programs to read.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin restore raw/flights.csv               Drop what you changed\n  drumlin restore --staged raw/flights.csv      Unstage it, keep the file\n  drumlin restore --source v1 raw               As it was at v1\n  drumlin restore tables/flights                A table as files"
)]
pub struct Restore {
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where to take them from [default: the checked-out commit]
    #[arg(long, value_name = "REF")]
    source: Option<RefExpr>,
    /// Take the paths out of the stage, and leave the files as they are
    #[arg(long, conflicts_with = "source")]
    staged: bool,
}

impl Restore {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = RestoreRequest {
            paths: self.paths,
            source: self.source,
            staged: self.staged,
        };
        let summary = cx.desk().await?.restore(request).await?;
        cx.ui.emit(&summary, |out| {
            if self.staged {
                return writeln!(out, "Took {} out of the stage", plural(summary.unstaged, "path"));
            }
            writeln!(
                out,
                "Restored {}, removed {}",
                plural(summary.written, "file"),
                count(summary.removed)
            )
        })
    }
}
