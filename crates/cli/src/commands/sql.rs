//! `drumlin sql`.

use std::{
    io::{BufWriter, IsTerminal, Read, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use drumlin_model::RefExpr;
use drumlin_verbs::{QUERY_LEN_MAX, RowsAs, SqlRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, paint, plural},
};

/// Ask with SQL, at any version, several in one query
///
/// `flights` is the table at the current branch; `flights@v1`, `flights@main~2` at that ref. Files of the repository
/// answer too: "raw/planes.csv"@v1. SQL only reads.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin sql 'SELECT count(*) FROM flights'\n  drumlin sql 'SELECT (SELECT count(*) FROM flights@v1) AS then, (SELECT count(*) FROM flights) AS now'\n  drumlin sql 'SELECT * FROM weather' --format parquet --output weather.parquet\n  echo 'SELECT 1' | drumlin sql -"
)]
pub struct Sql {
    /// The query; - reads it from stdin
    query: String,
    /// The version of tables that name none [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
    /// How rows are written [default: as the name of FILE says, else a table; with --json, JSON lines]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The most rows of a table
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: usize,
}

#[derive(ValueEnum, Clone, Copy)]
enum Format {
    Table,
    Csv,
    Jsonl,
    Parquet,
}

impl Sql {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let desk = cx.desk().await?;
        let output = self.output.clone();
        let mut request = self.request()?;
        if cx.ui.options.json && request.format.is_none() && output.as_deref().and_then(RowsAs::of_name).is_none() {
            request.format = Some(RowsAs::Jsonl);
        }
        if request.rows_as() == RowsAs::Parquet && output.is_none() && std::io::stdout().is_terminal() {
            return Err(CommandError::invalid("Parquet is not for a terminal")
                .with_hint("drumlin sql ... --format parquet --output FILE"));
        }
        let mut out = BufWriter::new(std::io::stdout());
        let asked = desk.sql(request, &mut out).await;
        // A reader that has seen enough closes the pipe.
        let _ = out.flush();
        let written = match asked {
            Err(error) if error.is_closed_pipe() => return Ok(()),
            asked => asked?,
        };
        if let Some(file) = output {
            cx.ui
                .note(format!("Wrote {} to {}", plural(written.rows, "row"), file.display()));
        }
        if written.more {
            let rows = written.rows;
            let more = format!("… more rows; the first {rows} are shown (--limit N, or --format csv for all)");
            cx.ui.note(paint(FAINT, more));
        }
        Ok(())
    }

    fn request(self) -> Result<SqlRequest, CommandError> {
        Ok(SqlRequest {
            query: query(self.query)?,
            at: self.at,
            format: self.format.map(|format| match format {
                Format::Table => RowsAs::Table,
                Format::Csv => RowsAs::Csv,
                Format::Jsonl => RowsAs::Jsonl,
                Format::Parquet => RowsAs::Parquet,
            }),
            output: self.output,
            limit: Some(self.limit),
        })
    }
}

/// The query; of one on stdin, enough to tell whether it is too long.
fn query(typed: String) -> Result<String, CommandError> {
    if typed != "-" {
        return Ok(typed);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(QUERY_LEN_MAX as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| CommandError::io("cannot read the query from stdin", error))?;
    Ok(text)
}
