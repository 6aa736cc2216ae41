//! `drumlin train`: a file for each verb; here is how a training set looks.

mod create;
mod diff;
mod list;
mod rebuild;
mod show;

use std::io::{self, Write};

use clap::Subcommand;
use drumlin_verbs::TrainingSetView;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, count, paint},
};

/// Make, rebuild and compare training sets
///
/// A training set is a spine (rows with keys and a time) completed with features as of each row's own time, stored as
/// Parquet at `training/NAME` and pinned by commit, definitions, spine and options.
#[derive(Subcommand)]
pub enum Train {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Rebuild(rebuild::Rebuild),
    Diff(diff::Diff),
}

impl Train {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Train::Create(verb) => verb.run(cx).await,
            Train::List(verb) => verb.run(cx).await,
            Train::Show(verb) => verb.run(cx).await,
            Train::Rebuild(verb) => verb.run(cx).await,
            Train::Diff(verb) => verb.run(cx).await,
        }
    }
}

fn print_set(out: &mut dyn Write, set: &TrainingSetView) -> io::Result<()> {
    writeln!(out, "training set {}: {} rows", paint(NAME, &set.name), count(set.rows))?;
    writeln!(out, "id        {}", set.id)?;
    writeln!(out, "content   {}", set.content)?;
    writeln!(out, "pinned at {}", set.commit)?;
    for (view, counts) in &set.counts.views {
        let statuses = counts.statuses.iter();
        let statuses: Vec<String> = statuses
            .map(|(status, rows)| format!("{status} {}", count(*rows)))
            .collect();
        writeln!(out, "  {:<18} {}", paint(NAME, view), paint(FAINT, statuses.join(", ")))?;
    }
    Ok(())
}
