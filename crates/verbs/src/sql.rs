//! `sql`: a query over any versions, its rows written as they come.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use drumlin_chunks::{NoProgress, Progress};
use drumlin_model::RefExpr;
use drumlin_tables::{Engine, Query, RowFormat, RowsWritten, write_rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// The longest query, in bytes.
pub const QUERY_LEN_MAX: usize = 1 << 20;
/// Rows of a table for people, where nobody says how many.
const LIMIT_DEFAULT: usize = 100;

/// Asks with SQL.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SqlRequest {
    /// `flights` is the table at the version below, `flights@v1` at that one. SQL only reads.
    pub query: String,
    /// The version of tables that name none. Without it, the current branch.
    pub at: Option<RefExpr>,
    /// How rows are written. Without it, as the name of `output` says, else as a table.
    pub format: Option<RowsAs>,
    /// The file to write to, all or nothing. Without it, the writer that the surface gives.
    pub output: Option<PathBuf>,
    /// The most rows of a table for people. Without it, 100.
    pub limit: Option<usize>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsAs {
    /// For people, and cut short.
    Table,
    Csv,
    Jsonl,
    Parquet,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SqlAnswer {
    pub rows: u64,
    /// Whether a table for people was cut short.
    pub more: bool,
}

impl RowsAs {
    /// What the ending of a file's name means.
    pub fn of_name(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(RowsAs::Csv),
            "jsonl" | "ndjson" | "json" => Some(RowsAs::Jsonl),
            "parquet" | "pq" => Some(RowsAs::Parquet),
            _ => None,
        }
    }
}

impl SqlRequest {
    /// How the rows will be written.
    pub fn rows_as(&self) -> RowsAs {
        let named = || self.output.as_deref().and_then(RowsAs::of_name);
        self.format.or_else(named).unwrap_or(RowsAs::Table)
    }

    fn row_format(&self) -> RowFormat {
        match self.rows_as() {
            RowsAs::Table => RowFormat::Table {
                rows_max: self.limit.unwrap_or(LIMIT_DEFAULT),
            },
            RowsAs::Csv => RowFormat::Csv,
            RowsAs::Jsonl => RowFormat::JsonLines,
            RowsAs::Parquet => RowFormat::Parquet,
        }
    }
}

impl Desk {
    /// Runs a query, and writes its rows to the file of the request, or else to `out`.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn sql(&self, request: SqlRequest, out: &mut (dyn Write + Send)) -> Result<SqlAnswer> {
        if request.query.len() > QUERY_LEN_MAX {
            return Err(Error::Invalid {
                what: format!("the query is longer than {QUERY_LEN_MAX} bytes"),
                cures: Vec::new(),
            });
        }
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let (engine, format) = (self.engine()?, request.row_format());
        let query = engine.query_at(&request.query, &snapshot).await?;
        let written = match &request.output {
            Some(file) => self.rows_to_file(&engine, query, format, file).await?,
            // What is written to the surface shows by itself how far it is.
            None => rows_to(&engine, query, format, out, &NoProgress).await?,
        };
        Ok(SqlAnswer {
            rows: written.rows,
            more: written.more,
        })
    }

    /// Writes beside the file, and puts it in place when all rows are there.
    async fn rows_to_file(&self, engine: &Engine, query: Query, format: RowFormat, file: &Path) -> Result<RowsWritten> {
        let path = self.file(file);
        let failed = |source| Error::Io {
            action: "write",
            path: file.to_owned(),
            source,
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut beside = BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(failed)?);
        let written = rows_to(engine, query, format, &mut beside, self.progress()).await?;
        let beside = beside.into_inner().map_err(|error| failed(error.into_error()))?;
        beside.persist(&path).map_err(|error| failed(error.error))?;
        Ok(written)
    }
}

async fn rows_to(
    engine: &Engine,
    query: Query,
    format: RowFormat,
    out: &mut (dyn Write + Send),
    progress: &dyn Progress,
) -> Result<RowsWritten> {
    Ok(write_rows(engine, query.stream().await?, format, out, progress).await?)
}
