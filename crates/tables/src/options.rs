//! What a caller may choose: limits of the engine, how an input file is read, who asks for a write.
//! Values only; the reading is in `read`, the limits are set on DataFusion's runtime by `engine`.

use std::{fmt, path::PathBuf, str::FromStr};

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, TimeUnit};
use drumlin_model::{Code, RefExpr, RefName, RepoPath, Timestamp};

use crate::error::Error;

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

/// Who asks for a write, and where it goes: what ends up in the commit's provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRequest {
    pub branch: RefName,
    pub actor: String,
    pub started: Timestamp,
    pub code: Option<Code>,
    /// The commit's message; a sentence of what was done when absent.
    pub message: Option<String>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Csv,
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

/// The types that an input's columns may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Bool,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Date,
    /// An instant in microseconds; times without a zone are UTC.
    Timestamp,
    Decimal {
        precision: u8,
        scale: i8,
    },
}

/// The zone that every stored instant has.
pub const UTC: &str = "UTC";

impl ColumnType {
    pub fn to_arrow(self) -> DataType {
        match self {
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float32 => DataType::Float32,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::String => DataType::Utf8,
            ColumnType::Date => DataType::Date32,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        }
    }
}

/// A type as people write it: `int64`, `timestamp`, `list<string>`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Int8 => "int8".into(),
        DataType::Int16 => "int16".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float32 => "float32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp without zone".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item) | DataType::LargeList(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), type_name(f.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

impl FromStr for ColumnType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.trim().to_ascii_lowercase();
        Ok(match lower.as_str() {
            "bool" | "boolean" => ColumnType::Bool,
            "int32" | "int" | "integer" => ColumnType::Int32,
            "int64" | "long" | "bigint" => ColumnType::Int64,
            "float32" | "float" => ColumnType::Float32,
            "float64" | "double" => ColumnType::Float64,
            "string" | "text" | "varchar" => ColumnType::String,
            "date" => ColumnType::Date,
            "timestamp" => ColumnType::Timestamp,
            other => decimal(other).ok_or_else(|| Error::UnknownType { text: text.to_owned() })?,
        })
    }
}

fn decimal(text: &str) -> Option<ColumnType> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let valid = (1..=DECIMAL128_MAX_PRECISION).contains(&precision)
        && (0..=DECIMAL128_MAX_SCALE).contains(&scale)
        && scale as u8 <= precision;
    valid.then_some(ColumnType::Decimal { precision, scale })
}
