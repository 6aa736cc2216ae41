//! `drumlin table append`.

use clap::Args;
use drumlin_verbs::TableAppendRequest;

use super::{input::Input, written::print_written};
use crate::{context::Context, error::CommandError};

/// Add the rows of a file
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table append flights --from raw/flights-2014.csv\n  drumlin table append flights --from new.parquet --evolve"
)]
pub struct Append {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Take over columns that the table lacks
    #[arg(long)]
    evolve: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

impl Append {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableAppendRequest {
            table: self.table,
            rows: self.input.rows(),
            evolve: self.evolve,
            message: self.message,
        };
        let written = cx.desk().await?.table_append(request).await?;
        cx.ui.emit(&written, |out| print_written(out, &written))
    }
}
