//! `drumlin apply`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use drumlin_verbs::{ApplyAnswer, ApplyRequest};

use crate::{
    commands::diff::print_definitions,
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Check feature definitions, show what would change, and commit them
///
/// Definitions are YAML files in `features/`. Given the folder, definitions whose files are gone are removed; given
/// files, the others stay. Nothing is committed when anything is wrong.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin apply\n  drumlin apply --dry-run\n  drumlin apply features/weather.yaml -m 'weather counts for one hour'"
)]
pub struct Apply {
    /// Files, or the folder `features`
    #[arg(default_value = "features")]
    paths: Vec<PathBuf>,
    /// Show the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The commit's message [default: what changed]
    #[arg(short, long)]
    message: Option<String>,
}

impl Apply {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = ApplyRequest {
            paths: self.paths,
            dry_run: self.dry_run,
            message: self.message,
        };
        let applied = cx.desk().await?.apply(request).await?;
        cx.ui.emit(&applied, |out| print(out, &applied))
    }
}

fn print(out: &mut dyn Write, applied: &ApplyAnswer) -> io::Result<()> {
    let (branch, unchanged) = (paint(NAME, &applied.branch), applied.unchanged);
    writeln!(out, "Plan for branch {branch} ({unchanged} unchanged)")?;
    print_definitions(out, &applied.changes)?;
    if applied.changes.is_empty() {
        writeln!(out, "  {}", paint(FAINT, "no definition changes"))?;
    }
    let dot = paint(FAINT, "·");
    for set in &applied.training_sets {
        writeln!(
            out,
            "  {dot} training set {set} was made by older definitions; it stays, and rebuilds as it was"
        )?;
    }
    for view in &applied.online_views {
        writeln!(
            out,
            "  {dot} online rows of {view} are made anew by the next: drumlin online materialize"
        )?;
    }
    match applied.commit {
        Some(commit) => writeln!(out, "Applied as {}", paint(NAME, commit.short())),
        None if applied.is_empty() => writeln!(out, "Nothing to apply"),
        None => writeln!(out, "Dry run: nothing was changed"),
    }
}
