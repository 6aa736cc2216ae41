//! What a caller may choose: limits of the engine, how an input file is read, who asks for a write, and what is asked.
//! Values only; `read` reads, `verb` writes, and `engine` sets the limits on DataFusion's runtime.

use std::{fmt, path::PathBuf, str::FromStr};

use drumlin_model::{By, RefExpr, RefName, RepoPath};
use serde::{Deserialize, Serialize};

use crate::{error::Error, types::ColumnType};

/// Memory for sorts, joins and aggregates before they spill, in bytes: a quarter of a small machine.
pub const MEMORY_LIMIT_BYTES: usize = 1 << 30;
/// Disk for what is spilled, in bytes.
pub const SPILL_LIMIT_BYTES: u64 = 64 << 30;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    pub memory_limit_bytes: usize,
    /// Where sorts, joins and inputs that don't fit in memory go; created when absent, emptied after each query.
    pub spill_folder: PathBuf,
    pub spill_limit_bytes: u64,
    /// How many parts of a query run at once.
    pub threads: usize,
}

impl EngineOptions {
    pub fn new(spill_folder: impl Into<PathBuf>) -> Self {
        Self {
            memory_limit_bytes: MEMORY_LIMIT_BYTES,
            spill_folder: spill_folder.into(),
            spill_limit_bytes: SPILL_LIMIT_BYTES,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Who asks for a write, and where it goes: what ends up in the commit and its provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRequest {
    pub branch: RefName,
    pub by: By,
    /// The commit's message; a sentence of what was done when absent.
    pub message: Option<String>,
}

/// The rows of a file, and how the file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromFile {
    pub source: Source,
    pub read: ReadOptions,
}

impl From<Source> for FromFile {
    fn from(source: Source) -> Self {
        let read = ReadOptions::default();
        Self { source, read }
    }
}

/// Make a table of a file's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    pub table: String,
    pub from: FromFile,
    /// The columns of the row key; none when the table shall have no key.
    pub key: Vec<String>,
}

/// Add a file's rows after those of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendRows {
    pub table: String,
    pub from: FromFile,
    /// Add the file's columns that the table lacks, too.
    pub evolve: bool,
}

/// Replace all rows of a table, and its schema, by those of a file. The row key stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverwriteTable {
    pub table: String,
    pub from: FromFile,
}

/// Replace the rows whose key is in a file, and add the others of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertRows {
    pub table: String,
    pub from: FromFile,
    /// The columns of the row key; empty for the key that the table records. A table without a key records this one.
    pub key: Vec<String>,
    /// Add the file's columns that the table lacks, too.
    pub evolve: bool,
}

/// Delete the rows for which a condition is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRows {
    pub table: String,
    /// An SQL expression over the table's columns.
    pub condition: String,
}

impl CreateTable {
    /// A table without a row key.
    pub fn new(table: impl Into<String>, from: impl Into<FromFile>) -> Self {
        Self {
            table: table.into(),
            from: from.into(),
            key: Vec::new(),
        }
    }
}

impl AppendRows {
    /// Rows whose columns the table has.
    pub fn new(table: impl Into<String>, from: impl Into<FromFile>) -> Self {
        Self {
            table: table.into(),
            from: from.into(),
            evolve: false,
        }
    }
}

impl OverwriteTable {
    pub fn new(table: impl Into<String>, from: impl Into<FromFile>) -> Self {
        Self {
            table: table.into(),
            from: from.into(),
        }
    }
}

impl UpsertRows {
    /// Rows by the key that the table records, whose columns the table has.
    pub fn new(table: impl Into<String>, from: impl Into<FromFile>) -> Self {
        Self {
            table: table.into(),
            from: from.into(),
            key: Vec::new(),
            evolve: false,
        }
    }
}

impl DeleteRows {
    pub fn new(table: impl Into<String>, condition: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            condition: condition.into(),
        }
    }
}

/// Where the rows of a write come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file on disk.
    File {
        file: PathBuf,
        /// What messages and provenance call it.
        name: String,
        /// Where the file would stand in the tree. When the branch has the same bytes there, the provenance names that
        /// path and commit instead of a file outside.
        path: Option<RepoPath>,
    },
    /// A file of the repository, as it is at a commit.
    Path { path: RepoPath, at: RefExpr },
}

impl Source {
    pub fn name(&self) -> String {
        match self {
            Source::File { name, .. } => name.clone(),
            Source::Path { path, at } => format!("{path}@{at}"),
        }
    }
    /// What the format is guessed from.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Source::File { file, name, .. } => file
                .file_name()
                .map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned()),
            Source::Path { path, .. } => path.name().to_owned(),
        }
    }
}

/// What an input file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    Csv,
    #[serde(rename = "jsonl")]
    JsonLines,
    Parquet,
}

impl FileFormat {
    /// By the extension of `name`; the error for a compressed file names the cure.
    pub fn of_name(name: &str) -> Result<Self, Error> {
        let extension = name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv" | "tsv" | "txt") => Ok(FileFormat::Csv),
            Some("jsonl" | "ndjson" | "json") => Ok(FileFormat::JsonLines),
            Some("parquet" | "pq") => Ok(FileFormat::Parquet),
            Some(packed @ ("zip" | "gz" | "bz2" | "xz" | "zst")) => Err(Error::Packed {
                file: name.to_owned(),
                packing: packed.to_owned(),
            }),
            _ => Err(Error::UnknownFormat { file: name.to_owned() }),
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFormat::Csv => "csv",
            FileFormat::JsonLines => "json lines",
            FileFormat::Parquet => "parquet",
        })
    }
}

impl FromStr for FileFormat {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        FileFormat::of_name(&format!("x.{text}")).map_err(|_| Error::UnknownFormat { file: text.to_owned() })
    }
}

/// How an input file is read. What is not said is inferred from the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// By the file's extension when absent.
    pub format: Option<FileFormat>,
    /// Types of columns by name; they win over what is inferred.
    pub types: Vec<(String, ColumnType)>,
    /// CSV fields that mean "no value".
    pub nulls: Vec<String>,
    /// The byte between CSV fields.
    pub delimiter: u8,
    /// Whether a CSV's first line names the columns; they are `column_1`, `column_2` and so on otherwise.
    pub header: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            types: Vec::new(),
            nulls: vec![String::new(), "NA".into()],
            delimiter: b',',
            header: true,
        }
    }
}
