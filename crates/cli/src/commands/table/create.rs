//! `drumlin table create`.

use clap::Args;
use drumlin_verbs::TableCreateRequest;

use super::{input::Input, written::print_written};
use crate::{context::Context, error::CommandError};

/// Make a table from a file
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table create flights --from raw/flights.csv\n  drumlin table create weather --from raw/weather.csv --key origin,time_hour\n  drumlin table create planes --from raw/planes.csv --type seats=int32 --null NA --null unknown"
)]
pub struct Create {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Columns that name a row, for upserts and row diffs
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    key: Vec<String>,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

impl Create {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableCreateRequest {
            table: self.table,
            rows: self.input.rows(),
            key: self.key,
            message: self.message,
        };
        let written = cx.desk().await?.table_create(request).await?;
        cx.ui.emit(&written, |out| print_written(out, &written))
    }
}
