//! What can go wrong in an as-of join, each with the view and column it is about.
//! Inside DataFusion they travel as external errors; `Error::from_datafusion` gets them back out.

use arrow::{datatypes::DataType, error::ArrowError};
use datafusion::error::DataFusionError;
use drumlin_model::{Cure, ErrorKind};
use parquet::errors::ParquetError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{owner} has no column {column:?}")]
    UnknownColumn {
        owner: String,
        column: String,
        available: Vec<String>,
    },
    #[error(
        "key {spine_column:?} of the spine is {spine_type}, key {feature_column:?} of view {view:?} is {feature_type}, and neither widens to the other without loss"
    )]
    KeyTypes {
        view: String,
        spine_column: String,
        spine_type: DataType,
        feature_column: String,
        feature_type: DataType,
    },
    #[error("{owner}: column {column:?} is {data_type}, not a time")]
    NotATime {
        owner: String,
        column: String,
        data_type: DataType,
    },
    #[error("view {view:?}: column {column:?} marks tombstones but is {data_type}, not a boolean")]
    NotABoolean {
        view: String,
        column: String,
        data_type: DataType,
    },
    #[error("view {view:?}: window {window:?} needs a number, and column {column:?} is {data_type}")]
    NotANumber {
        view: String,
        window: String,
        column: String,
        data_type: DataType,
    },
    #[error("view {view:?}: window {window:?} does not say which column it aggregates")]
    NoWindowColumn { view: String, window: String },
    #[error("view {view:?}: a window does not go with a tombstone column")]
    WindowOverTombstones { view: String },
    #[error("view {view:?}: the column {column:?} would be there twice in the result")]
    NameTaken { view: String, column: String },
    #[error("view {view:?} has no created time, which `known_at` needs")]
    NoCreatedTime { view: String },
    #[error("spine row {row} (counted from 0) has no time in column {column:?}")]
    NullTime { column: String, row: u64 },
    #[error("{owner}: the time {value} in column {column:?} ({data_type}) does not fit 64 bits of {unit}")]
    TimeOverflow {
        owner: String,
        column: String,
        value: i64,
        data_type: DataType,
        unit: &'static str,
    },
    #[error("view {view:?}: a sum of window {window:?} does not fit 64 bits")]
    SumOverflow { view: String, window: String },
    #[error("view {view:?}: column {column:?} does not fit its declared type {data_type}")]
    Cast {
        view: String,
        column: String,
        data_type: DataType,
        source: ArrowError,
    },
    #[error("view {view:?}: column {column:?} holds a {from} that is no {data_type}, its declared type")]
    Inexact {
        view: String,
        column: String,
        from: DataType,
        data_type: DataType,
    },
    #[error("the spine has two columns called {column:?}")]
    SpineTwice { column: String },
    #[error("the as-of join read {read} spine rows and returned {returned}")]
    RowCount { read: u64, returned: u64 },
    #[error("cannot read {path}")]
    File { path: String, source: ParquetError },
    #[error("cannot use the spill file of view {view:?}")]
    Spill { view: String, source: std::io::Error },
    #[error("an as-of join's columns cannot be computed")]
    Arrow { source: ArrowError },
    #[error("an as-of join's plan failed")]
    Plan { source: Box<DataFusionError> },
    #[error("a reader of view {view:?} stopped before its end")]
    Reader {
        view: String,
        source: tokio::task::JoinError,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UnknownColumn { .. } => ErrorKind::NotFound,
            Error::KeyTypes { .. }
            | Error::NotATime { .. }
            | Error::NotABoolean { .. }
            | Error::NotANumber { .. }
            | Error::NoWindowColumn { .. }
            | Error::WindowOverTombstones { .. }
            | Error::NameTaken { .. }
            | Error::NoCreatedTime { .. }
            | Error::NullTime { .. }
            | Error::TimeOverflow { .. }
            | Error::SumOverflow { .. }
            | Error::Inexact { .. }
            | Error::SpineTwice { .. }
            | Error::Cast { .. } => ErrorKind::InvalidInput,
            Error::File { source, .. } => kind_of_parquet(source),
            Error::Spill { source, .. } => ErrorKind::of_io(source),
            Error::Plan { source } if is_exhausted(source) => ErrorKind::Unavailable,
            Error::RowCount { .. } | Error::Arrow { .. } | Error::Plan { .. } | Error::Reader { .. } => {
                ErrorKind::Internal
            }
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        let cure = match self {
            Error::UnknownColumn { available, .. } => Cure::choose("columns", available),
            Error::KeyTypes {
                spine_column,
                feature_type,
                ..
            } => Cure::say(format!(
                "cast it in the spine: select cast({spine_column} as {feature_type}) as {spine_column}, ..."
            )),
            Error::NameTaken { view, .. } => Cure::say(format!(
                "give the view a prefix, in a feature service: `{{view: {view}, as: NAME}}`"
            )),
            Error::Inexact { from, .. } => Cure::say(format!("declare it {from}, or round it in the view's query")),
            Error::SpineTwice { column } => Cure::say(format!(
                "rename one of them in the spine's query: SELECT ... AS other_{column}"
            )),
            Error::NoCreatedTime { .. } => Cure::say("name its `created_time` column in the view"),
            Error::NullTime { column, .. } => {
                let filter = Cure::say(format!("filter such rows out of the spine: where {column} is not null"));
                return vec![filter, Cure::give("keep_null_times", "true")];
            }
            Error::WindowOverTombstones { .. } => Cure::say("filter the deleted rows out in the view's query"),
            _ => return Vec::new(),
        };
        vec![cure]
    }

    /// Whether less input at once could have succeeded.
    pub(crate) fn is_exhausted(&self) -> bool {
        matches!(self, Error::Plan { source } if is_exhausted(source))
    }

    /// The as-of error inside a DataFusion error, if that is what it is.
    pub fn from_datafusion(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(inner) => Error::Plan {
                    source: Box::new(DataFusionError::External(inner)),
                },
            },
            DataFusionError::Context(_, inner) if holds_ours(&inner) => Error::from_datafusion(*inner),
            other => Error::Plan {
                source: Box::new(other),
            },
        }
    }
}

fn holds_ours(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::External(inner) => inner.is::<Error>(),
        DataFusionError::Context(_, inner) => holds_ours(inner),
        _ => false,
    }
}

fn is_exhausted(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

fn kind_of_parquet(error: &ParquetError) -> ErrorKind {
    let ParquetError::External(inner) = error else {
        return ErrorKind::Corrupt;
    };
    match inner.downcast_ref::<object_store::Error>() {
        Some(object_store::Error::NotFound { .. }) => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    }
}

impl From<ArrowError> for Error {
    fn from(source: ArrowError) -> Self {
        Error::Arrow { source }
    }
}

impl From<DataFusionError> for Error {
    fn from(source: DataFusionError) -> Self {
        Error::from_datafusion(source)
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Plan { source } => *source,
            other => DataFusionError::External(Box::new(other)),
        }
    }
}
