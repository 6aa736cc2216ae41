//! `drumlin fsck`.

use clap::Args;
use drumlin_verbs::FsckRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{BAD, GOOD, bytes, paint, plural},
};

/// Check every byte of the repository: root, commits, trees, packs, blobs
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin fsck\n  drumlin fsck --json")]
pub struct Fsck {}

impl Fsck {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let report = cx.desk().await?.fsck(FsckRequest {}).await?;
        cx.ui.emit(&report, |out| {
            for problem in &report.problems {
                writeln!(out, "{} {problem}", paint(BAD, "damaged:"))?;
            }
            let verdict = if report.problems.is_empty() {
                paint(GOOD, "All is well")
            } else {
                paint(BAD, "Damage was found")
            };
            let (commits, files) = (plural(report.commits, "commit"), plural(report.files, "file"));
            let stored = plural(report.packs + report.blobs, "object");
            writeln!(
                out,
                "{verdict}: {commits}, {files} ({}), {stored} of content",
                bytes(report.bytes)
            )
        })?;
        Ok(report.verdict()?)
    }
}
