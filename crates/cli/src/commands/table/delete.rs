//! `drumlin table delete`.

use clap::Args;
use drumlin_verbs::TableDeleteRequest;

use super::written::print_written;
use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint, plural},
};

/// Delete the rows that a condition is true of
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table delete flights --where \"carrier = 'HA'\" --dry-run\n  drumlin table delete flights --where 'dep_time IS NULL'"
)]
pub struct Delete {
    table: String,
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// Count the rows, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

impl Delete {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableDeleteRequest {
            table: self.table,
            condition: self.condition,
            dry_run: self.dry_run,
            message: self.message,
        };
        let deleted = cx.desk().await?.table_delete(request).await?;
        cx.ui.emit(&deleted, |out| match deleted.files_rewritten {
            None => print_written(out, &deleted.written),
            Some(files) => {
                let (rows, files) = (plural(deleted.written.rows_deleted, "row"), plural(files, "file"));
                let table = paint(NAME, &deleted.written.table);
                writeln!(out, "Would delete {rows} of {table}, and rewrite {files}")
            }
        })
    }
}
