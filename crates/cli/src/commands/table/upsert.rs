//! `drumlin table upsert`.

use clap::Args;
use drumlin_verbs::TableUpsertRequest;

use super::{input::Input, written::print_written};
use crate::{context::Context, error::CommandError};

/// Replace rows with the same key, and add the others
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table upsert weather --from corrections.csv\n  drumlin table upsert planes --from new.csv --key tailnum"
)]
pub struct Upsert {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Columns that name a row [default: the table's key]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    key: Vec<String>,
    /// Take over columns that the table lacks
    #[arg(long)]
    evolve: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

impl Upsert {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableUpsertRequest {
            table: self.table,
            rows: self.input.rows(),
            key: self.key,
            evolve: self.evolve,
            message: self.message,
        };
        let written = cx.desk().await?.table_upsert(request).await?;
        cx.ui.emit(&written, |out| print_written(out, &written))
    }
}
