//! What goes wrong with tables and queries, sorted into kinds, with what mends it.
//! Errors of DataFusion and Delta are taken apart here: one clear line each, and the kind of what lies beneath.

use std::error::Error as StdError;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use drumlin_model::{
    CommitId, Cure, ErrorKind, RefNameError, RepoPath,
    names::{Verb, table_name},
};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// By how much more memory than the limit an error asks for: less is seldom enough.
const MORE_MEMORY: usize = 4;
/// What `ColumnType` reads.
const COLUMN_TYPES: [&str; 9] = [
    "bool",
    "int32",
    "int64",
    "float32",
    "float64",
    "string",
    "date",
    "timestamp",
    "decimal(P,S)",
];

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
        cures: Vec<Cure>,
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
    Query { detail: String, cures: Vec<Cure> },
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
        let none = |_: &(dyn StdError + 'static)| None;
        match self {
            Error::NoTable { .. } | Error::NoFile { .. } => ErrorKind::NotFound,
            Error::TableExists { .. } => ErrorKind::AlreadyExists,
            Error::TableFeature { .. } | Error::Packed { .. } => ErrorKind::Unsupported,
            Error::Memory { .. } | Error::SpillSpace { .. } => ErrorKind::Unavailable,
            Error::Contended { .. } => ErrorKind::Conflict,
            Error::Io { source, .. } => ErrorKind::of_io(source),
            Error::Arrow { source, .. } => kind_beneath(source, none),
            Error::Parquet { source, .. } => kind_beneath(source, none),
            Error::Execution { source, .. } => match source.find_root() {
                DataFusionError::ResourcesExhausted(_) => ErrorKind::Unavailable,
                DataFusionError::External(source) => kind_beneath(source.as_ref(), none),
                _ => kind_beneath(source.as_ref(), none),
            },
            Error::Delta { source, .. } => kind_beneath(source.as_ref(), none),
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

    /// What mends it, the best first. Arguments are called as the requests of the verbs call them.
    pub fn cures(&self) -> Vec<Cure> {
        let cure = match self {
            Error::NoTable {
                similar: Some(similar), ..
            } => Cure::did_you_mean(similar),
            Error::NoTable { name, known, .. } if known.is_empty() => Cure::run(Verb::TableCreate).with("table", name),
            Error::NoTable { known, .. } => Cure::choose("table", known),
            Error::TableExists { table } => Cure::run(Verb::TableAppend).with("table", table_name(table)),
            Error::TableName { .. } => Cure::say("use letters, digits, '_', '-' and '.', as in: flights"),
            Error::NoFile { name } => Cure::run(Verb::Status).why(format!("is {name:?} the right path?")),
            Error::Packed { file, packing } => Cure::say(unpacked(file, packing)),
            Error::UnknownFormat { .. } => Cure::choose("format", ["csv", "jsonl", "parquet"]),
            Error::UnknownType { .. } => Cure::choose("types", COLUMN_TYPES),
            Error::Value { column, value, .. } => {
                return vec![
                    Cure::give("nulls", value),
                    Cure::give("types", format!("{column}=string")),
                ];
            }
            Error::NoColumn { known, .. } => Cure::choose("columns", known),
            Error::Schema { cures, .. } | Error::Query { cures, .. } => return cures.clone(),
            Error::Line { file, .. } | Error::NullKey { file, .. } | Error::DuplicateKey { file, .. } => {
                Cure::edit(file)
            }
            Error::NoKey { .. } => Cure::give("key", "COLUMN,..."),
            Error::OtherKey { recorded, .. } => {
                return vec![Cure::Leave { argument: "key" }, Cure::give("key", recorded)];
            }
            Error::NotAQuery => Cure::say("a query only reads; the verbs of tables write"),
            Error::Memory { limit_bytes, .. } => {
                Cure::give("memory", format!("{}MB", (limit_bytes >> 20).max(1) * MORE_MEMORY))
            }
            Error::Contended { .. } => Cure::say("try again when fewer write to the table"),
            Error::Repo(source) => return source.cures(),
            Error::Damaged { .. } => Cure::run(Verb::Fsck),
            _ => return Vec::new(),
        };
        vec![cure]
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

fn unpacked(file: &str, packing: &str) -> String {
    let program = match packing {
        "zip" => "unzip",
        "gz" => "gunzip --keep",
        "bz2" => "bunzip2 --keep",
        "xz" => "unxz --keep",
        _ => "unzstd",
    };
    format!("unpack {file} first, as with {program}; then name the unpacked file")
}

/// The kind of the deepest error that says one of its own: ours first, then the file system's. `own` says the kind of errors
/// of a floor above.
pub fn kind_beneath(
    error: &(dyn StdError + 'static),
    own: impl Fn(&(dyn StdError + 'static)) -> Option<ErrorKind>,
) -> ErrorKind {
    let mut found = ErrorKind::Internal;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(kind) = own(error) {
            return kind;
        } else if let Some(error) = error.downcast_ref::<Error>() {
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
