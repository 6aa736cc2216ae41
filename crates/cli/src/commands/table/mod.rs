//! `drumlin table`: a file for each verb, one for the words of a file of rows, and one for what a write did.

mod append;
mod create;
mod delete;
mod history;
mod input;
mod list;
mod overwrite;
mod show;
mod upsert;
mod written;

use clap::Subcommand;

use crate::{context::Context, error::CommandError};

/// Make, change and look at tables
///
/// A table is a Delta table in the repository, at `tables/NAME`. Each verb that writes is one commit.
#[derive(Subcommand)]
pub enum Table {
    Create(create::Create),
    Append(append::Append),
    Overwrite(overwrite::Overwrite),
    Upsert(upsert::Upsert),
    Delete(delete::Delete),
    List(list::List),
    Show(show::Show),
    History(history::History),
}

impl Table {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Table::Create(verb) => verb.run(cx).await,
            Table::Append(verb) => verb.run(cx).await,
            Table::Overwrite(verb) => verb.run(cx).await,
            Table::Upsert(verb) => verb.run(cx).await,
            Table::Delete(verb) => verb.run(cx).await,
            Table::List(verb) => verb.run(cx).await,
            Table::Show(verb) => verb.run(cx).await,
            Table::History(verb) => verb.run(cx).await,
        }
    }
}
