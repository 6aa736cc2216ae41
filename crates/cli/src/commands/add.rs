//! `drumlin add`.

use std::path::PathBuf;

use clap::Args;
use drumlin_verbs::AddRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{self, plural},
};

/// Keep files and folders: store their content and stage them for the next commit
///
/// Deleted files are staged as deleted. What `.drumlinignore` names (as `.gitignore` does) is left out.
/// When this returns, the content is safely stored; a killed `add` is simply run again.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin add .\n  drumlin add raw/flights.csv images")]
pub struct Add {
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Add {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = AddRequest { paths: self.paths };
        let summary = cx.desk().await?.add(request).await?;
        for path in &summary.special {
            cx.ui
                .warn(format!("{path} is neither file, folder nor symlink: left out"));
        }
        for path in &summary.unstable {
            cx.ui
                .warn(format!("{path} changed while it was read: left out; add it again"));
        }
        cx.ui.emit(&summary, |out| {
            let staged = summary.added + summary.modified + summary.deleted;
            writeln!(
                out,
                "Staged {} ({} new, {} changed, {} deleted), read {}; {} unchanged",
                plural(staged, "path"),
                ui::count(summary.added),
                ui::count(summary.modified),
                ui::count(summary.deleted),
                ui::bytes(summary.bytes),
                ui::count(summary.unchanged)
            )
        })
    }
}
