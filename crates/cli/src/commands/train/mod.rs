//! `drumlin train`: a file for each verb, and one for how a training set looks.

mod create;
mod diff;
mod list;
mod rebuild;
mod set;
mod show;

use clap::Subcommand;

use crate::{context::Context, error::CommandError};

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
