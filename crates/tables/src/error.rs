//! What goes wrong with tables and queries, sorted into kinds, with a hint where there is one thing to do.
//! Errors of DataFusion and Delta are taken apart here: one clear line each, and the kind of what lies beneath.

use std::error::Error as StdError;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use drumlin_model::{CommitId, ErrorKind, RefNameError, RepoPath};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no table {name:?} at {at}")]
    NoTable {
        name: String,
        at: String,
        similar: Option<String>,
        known: Vec<String>,
    },
    #[error("the table {table} already exists")]
    TableExists { table: RepoPath },
    #[error("{name:?} cannot be the name of a table: {why}")]
    TableName { name: String, why: &'static str },
    #[error("there is no file {name:?}")]
    NoFile { name: String },
    #[error("{file:?} is packed ({packing}), and tables are read from plain files")]
    Packed { file: String, packing: String },
    #[error("cannot tell the format of {file:?} from its name")]
    UnknownFormat { file: String },
    #[error("{text:?} is not a type of a column")]
    UnknownType { text: String },
    #[error("{file}, line {line}: {detail}")]
    Line { file: String, line: u64, detail: String },
    #[error("{file}, line {line}, column {column}: {value:?} is not {expected}")]
    Value {
        file: String,
        line: u64,
        column: String,
        value: String,
        expected: String,
    },
    #[error("{file} {detail}")]
    Content { file: String, detail: String },
    #[error("{file} has no column {column:?}")]
    NoColumn {
        file: String,
        column: String,
        known: Vec<String>,
    },
    #[error("{file} does not fit table {table}: {detail}")]
    Schema {
        file: String,
        table: RepoPath,
        detail: String,
        hint: Option<String>,
    },
    #[error("table {table} has no key")]
    NoKey { table: RepoPath },
    #[error("table {table} has the key ({recorded}), not ({given})")]
    OtherKey {
        table: RepoPath,
        recorded: String,
        given: String,
    },
    #[error("{file}, row {row}: the key column {column} is null")]
    NullKey { file: String, row: u64, column: String },
    #[error("{file}: rows {first} and {second} have the same key ({key})")]
    DuplicateKey {
        file: String,
        first: u64,
        second: u64,
        key: String,
    },
    #[error("table {table} {what}, which is not supported")]
    TableFeature { table: RepoPath, what: String },
    #[error("only queries that read are allowed here")]
    NotAQuery,
    #[error("cannot understand the query: {detail}")]
    Query { detail: String, hint: Option<String> },
    #[error("{name:?} is not a ref")]
    Reference { name: String, source: RefNameError },
    #[error("the query needs more memory than the limit of {limit_bytes} bytes")]
    Memory {
        limit_bytes: usize,
        source: Box<DataFusionError>,
    },
    #[error("the query needs more space to spill to than its limit")]
    SpillSpace { source: Box<DataFusionError> },
    #[error("{table} was changed by others {attempts} times while this write was tried")]
    Contended {
        table: RepoPath,
        attempts: u32,
        source: Box<drumlin_repo::Error>,
    },
    #[error("cannot {doing}")]
    Io { doing: String, source: std::io::Error },
    #[error("cannot {doing}")]
    Arrow {
        doing: String,
        source: arrow::error::ArrowError,
    },
    #[error("cannot {doing}")]
    Parquet {
        doing: String,
        source: parquet::errors::ParquetError,
    },
    #[error("cannot {doing}")]
    Execution {
        doing: String,
        source: Box<DataFusionError>,
    },
    #[error("cannot {doing}")]
    Delta {
        doing: String,
        source: Box<DeltaTableError>,
    },
    #[error(transparent)]
    Repo(#[from] Box<drumlin_repo::Error>),
    #[error("rewriting {table} accounted for {accounted} of {held} rows; nothing was changed")]
    Lost { table: RepoPath, held: u64, accounted: u64 },
    #[error("the table {table} cannot be read at {commit}: its log is damaged ({detail})")]
    Damaged {
        table: RepoPath,
        commit: CommitId,
        detail: String,
    },
}

impl From<drumlin_repo::Error> for Error {
    fn from(error: drumlin_repo::Error) -> Self {
        Error::Repo(Box::new(error))
    }
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NoTable { .. } | Error::NoFile { .. } => ErrorKind::NotFound,
            Error::TableExists { .. } => ErrorKind::AlreadyExists,
            Error::TableFeature { .. } | Error::Packed { .. } => ErrorKind::Unsupported,
            Error::Memory { .. } | Error::SpillSpace { .. } => ErrorKind::Unavailable,
            Error::Contended { .. } => ErrorKind::Conflict,
            Error::Io { source, .. } => ErrorKind::of_io(source),
            Error::Arrow { source, .. } => kind_beneath(source),
            Error::Parquet { source, .. } => kind_beneath(source),
            Error::Execution { source, .. } => match source.find_root() {
                DataFusionError::ResourcesExhausted(_) => ErrorKind::Unavailable,
                DataFusionError::External(source) => kind_beneath(source.as_ref()),
                _ => kind_beneath(source.as_ref()),
            },
            Error::Delta { source, .. } => kind_beneath(source.as_ref()),
            Error::Repo(source) => source.kind(),
            Error::Damaged { .. } => ErrorKind::Corrupt,
            Error::Lost { .. } => ErrorKind::Internal,
            Error::TableName { .. }
            | Error::UnknownFormat { .. }
            | Error::UnknownType { .. }
            | Error::Line { .. }
            | Error::Value { .. }
            | Error::Content { .. }
            | Error::NoColumn { .. }
            | Error::Schema { .. }
            | Error::NoKey { .. }
            | Error::OtherKey { .. }
            | Error::NullKey { .. }
            | Error::DuplicateKey { .. }
            | Error::NotAQuery
            | Error::Query { .. }
            | Error::Reference { .. } => ErrorKind::InvalidInput,
        }
    }

    /// A command to type, or what to change in the one that was typed.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoTable {
                similar: Some(similar), ..
            } => format!("did you mean {similar:?}?"),
            Error::NoTable { known, .. } if known.is_empty() => "drumlin table create NAME --from FILE".into(),
            Error::NoTable { known, .. } => format!("the tables are: {}", known.join(", ")),
            Error::TableExists { table } => format!("drumlin table append {} --from FILE", short_name(table)),
            Error::TableName { .. } => {
                "use letters, digits, '_', '-' and '.', as in: drumlin table create flights --from FILE".into()
            }
            Error::NoFile { name } => format!("drumlin status  # is {name:?} the right path?"),
            Error::Packed { file, packing } => unpack_command(file, packing),
            Error::UnknownFormat { .. } => "add --format csv, --format jsonl or --format parquet".into(),
            Error::UnknownType { .. } => {
                "the types are: bool, int32, int64, float32, float64, string, date, timestamp, decimal(P,S)".into()
            }
            Error::Value { column, value, .. } => {
                format!(
                    "add --null {} if it means no value, or --type {column}=string",
                    shell_quoted(value)
                )
            }
            Error::NoColumn { known, .. } => format!("the columns are: {}", known.join(", ")),
            Error::Schema { hint, .. } | Error::Query { hint, .. } => return hint.clone(),
            Error::Line { file, .. } | Error::NullKey { file, .. } | Error::DuplicateKey { file, .. } => {
                format!("mend {file}, then run the command again")
            }
            Error::NoKey { .. } => "add --key COLUMN[,COLUMN]".into(),
            Error::OtherKey { recorded, .. } => format!("leave --key out, or write --key {recorded}"),
            Error::NotAQuery => "drumlin table --help".into(),
            Error::Memory { limit_bytes, .. } => {
                format!(
                    "raise the limit: drumlin sql --memory {}MB",
                    (limit_bytes >> 20).max(1) * 4
                )
            }
            Error::Contended { .. } => "try again when fewer write to the table".into(),
            Error::Repo(source) => return source.hint(),
            Error::Damaged { .. } => "drumlin fsck".into(),
            _ => return None,
        };
        Some(hint)
    }

    /// Whether another commit to the same paths came first, so that the same write may be tried on the new head.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Error::Repo(source) if source.kind() == ErrorKind::Conflict)
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }

    pub(crate) fn arrow(doing: impl Into<String>) -> impl FnOnce(arrow::error::ArrowError) -> Error {
        let doing = doing.into();
        move |source| Error::Arrow { doing, source }
    }

    pub(crate) fn delta(doing: impl Into<String>) -> impl FnOnce(DeltaTableError) -> Error {
        let doing = doing.into();
        move |source| Error::Delta {
            doing,
            source: Box::new(source),
        }
    }
}

fn short_name(table: &RepoPath) -> &str {
    table.as_str().strip_prefix("tables/").unwrap_or(table.as_str())
}

fn unpack_command(file: &str, packing: &str) -> String {
    let command = match packing {
        "zip" => "unzip",
        "gz" => "gunzip --keep",
        "bz2" => "bunzip2 --keep",
        "xz" => "unxz --keep",
        _ => "unzstd",
    };
    format!("{command} {}  # then name the unpacked file", shell_quoted(file))
}

fn shell_quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The kind of the deepest error that says one of its own: ours first, then the file system's.
fn kind_beneath(error: &(dyn StdError + 'static)) -> ErrorKind {
    let mut found = ErrorKind::Internal;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<drumlin_objects::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<drumlin_repo::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
            found = ErrorKind::of_io(error);
        } else if matches!(
            error.downcast_ref::<DataFusionError>(),
            Some(DataFusionError::ResourcesExhausted(_))
        ) {
            found = ErrorKind::Unavailable;
        }
        next = error.source();
    }
    found
}
