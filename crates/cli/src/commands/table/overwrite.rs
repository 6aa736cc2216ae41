//! `drumlin table overwrite`.

use clap::Args;
use drumlin_verbs::TableOverwriteRequest;

use super::{input::Input, written::print_written};
use crate::{context::Context, error::CommandError};

/// Replace all rows, and the schema, by those of a file
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table overwrite airlines --from raw/airlines.csv")]
pub struct Overwrite {
    table: String,
    #[command(flatten)]
    input: Input,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

impl Overwrite {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableOverwriteRequest {
            table: self.table,
            rows: self.input.rows(),
            message: self.message,
        };
        let written = cx.desk().await?.table_overwrite(request).await?;
        cx.ui.emit(&written, |out| print_written(out, &written))
    }
}
