//! `drumlin online`: a file for each verb.

mod get;
mod list;
mod materialize;
mod push;
mod stdin;

use clap::Subcommand;

use crate::{context::Context, error::CommandError};

/// Fill, read and write the online store
///
/// The newest row of each key, in `.drumlin/online`, readable by several processes at once. It is a view: delete it
/// and materialize again.
#[derive(Subcommand)]
pub enum Online {
    Materialize(materialize::Materialize),
    Get(get::Get),
    Push(push::Push),
    List(list::List),
}

impl Online {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Online::Materialize(verb) => verb.run(cx).await,
            Online::Get(verb) => verb.run(cx).await,
            Online::Push(verb) => verb.run(cx).await,
            Online::List(verb) => verb.run(cx).await,
        }
    }
}
