//! `drumlin fsck`.

use clap::Args;
use drumlin_model::ErrorKind;
use serde_json::json;

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
        let copy = cx.working_copy().await?;
        let report = copy.repo().fsck(&cx.ui.progress()).await?;
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let value = json!({
            "refs": report.refs, "commits": report.commits, "trees": report.trees, "files": report.files,
            "bytes": report.bytes, "packs": report.packs, "blobs": report.blobs, "problems": problems,
        });
        cx.ui.emit(&value, |out| {
            for problem in &problems {
                writeln!(out, "{} {problem}", paint(BAD, "damaged:"))?;
            }
            let verdict = if problems.is_empty() {
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
        if problems.is_empty() {
            return Ok(());
        }
        let message = format!("{} of the repository's objects are damaged or missing", problems.len());
        Err(CommandError::new(ErrorKind::Corrupt, message)
            .with_hint("copy the named objects back from a backup or another copy of the store"))
    }
}
