//! `drumlin sql`.

use std::{
    io::{IsTerminal, Read, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use drumlin_chunks::NoProgress;
use drumlin_model::RefExpr;
use drumlin_tables::{RowFormat, write_rows};

use crate::{
    context::{self, Context},
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

#[derive(ValueEnum, Clone, Copy, PartialEq)]
enum Format {
    Table,
    Csv,
    Jsonl,
    Parquet,
}

/// The longest query, in bytes.
const QUERY_LEN_MAX: u64 = 1 << 20;

impl Sql {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let text = self.text()?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let engine = cx.engine(&copy)?;
        let format = match self.format {
            Some(Format::Csv) => RowFormat::Csv,
            Some(Format::Jsonl) => RowFormat::JsonLines,
            Some(Format::Parquet) => RowFormat::Parquet,
            Some(Format::Table) => RowFormat::Table { rows_max: self.limit },
            None => self.format_of_output().unwrap_or(if cx.ui.options.json {
                RowFormat::JsonLines
            } else {
                RowFormat::Table { rows_max: self.limit }
            }),
        };
        if format == RowFormat::Parquet && self.output.is_none() && std::io::stdout().is_terminal() {
            return Err(CommandError::invalid("Parquet is not for a terminal")
                .with_hint("drumlin sql ... --format parquet --output FILE"));
        }
        let rows = engine.query_at(&text, &snapshot).await?.stream().await?;
        let written = match &self.output {
            Some(file) => {
                let beside = tempfile::NamedTempFile::new_in(cx.current.join(file).parent().unwrap_or(&cx.current))
                    .map_err(|error| CommandError::io(format!("cannot write {}", file.display()), error))?;
                let mut out = std::io::BufWriter::new(beside);
                let written = write_rows(&engine, rows, format, &mut out, &cx.ui.progress()).await?;
                let done = out
                    .into_inner()
                    .map_err(|error| error.into_error())
                    .and_then(|file_beside| file_beside.persist(cx.current.join(file)).map_err(|error| error.error));
                done.map_err(|error| CommandError::io(format!("cannot write {}", file.display()), error))?;
                cx.ui
                    .note(format!("Wrote {} to {}", plural(written.rows, "row"), file.display()));
                written
            }
            None => {
                let mut out = std::io::BufWriter::new(std::io::stdout());
                match write_rows(&engine, rows, format, &mut out, &NoProgress).await {
                    Err(drumlin_tables::Error::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::BrokenPipe =>
                    {
                        return Ok(());
                    }
                    written => {
                        // A reader that has seen enough closes the pipe.
                        let _ = out.flush();
                        written?
                    }
                }
            }
        };
        if written.more {
            cx.ui.note(paint(
                FAINT,
                format!(
                    "… more rows; the first {} are shown (--limit N, or --format csv for all)",
                    written.rows
                ),
            ));
        }
        Ok(())
    }

    /// What the name of the file to write says.
    fn format_of_output(&self) -> Option<RowFormat> {
        let ending = self.output.as_ref()?.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(RowFormat::Csv),
            "jsonl" | "ndjson" | "json" => Some(RowFormat::JsonLines),
            "parquet" | "pq" => Some(RowFormat::Parquet),
            _ => None,
        }
    }

    fn text(&self) -> Result<String, CommandError> {
        if self.query != "-" {
            return Ok(self.query.clone());
        }
        let mut text = String::new();
        std::io::stdin()
            .take(QUERY_LEN_MAX)
            .read_to_string(&mut text)
            .map_err(|error| CommandError::io("cannot read the query from stdin", error))?;
        Ok(text)
    }
}
