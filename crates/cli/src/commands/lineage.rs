//! `drumlin lineage`.

use std::path::PathBuf;

use clap::Args;
use drumlin_model::{RefExpr, RepoPath};
use drumlin_verbs::LineageRequest;

use crate::{context::Context, error::CommandError};

/// Show what a thing was made from, or what was made from it
///
/// Read from the history itself: every commit says what it read and wrote. The path may be a file, a table, a
/// definition or a training set.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin lineage training/delays\n  drumlin lineage raw/weather.csv --impact\n  drumlin lineage tables/flights --at v1 --json\n  drumlin lineage training/delays --svg lineage.svg"
)]
pub struct Lineage {
    path: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
    /// What was made from it, instead
    #[arg(long)]
    impact: bool,
    /// Draw it into FILE, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The most steps
    #[arg(long)]
    depth: Option<usize>,
}

impl Lineage {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = LineageRequest {
            path: RepoPath::new(self.path.trim_end_matches('/'))?,
            at: self.at,
            impact: self.impact,
            depth: self.depth,
        };
        let graph = cx.desk().await?.lineage(request).await?;
        if let Some(file) = &self.svg {
            std::fs::write(cx.current.join(file), graph.to_svg())
                .map_err(|error| CommandError::io(format!("cannot write {}", file.display()), error))?;
            cx.ui.note(format!("Drew {}", file.display()));
        }
        cx.ui.emit(&graph, |out| out.write_all(graph.to_text().as_bytes()))
    }
}
