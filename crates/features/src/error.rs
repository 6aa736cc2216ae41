//! What goes wrong with features, sorted into kinds, with a hint where there is one thing to do.
//! Problems of definitions come in full, each with its file, line and cure, not one by one.

use datafusion::error::DataFusionError;
use drumlin_model::{Cure, ErrorKind, Verb};

use crate::definition::parse::Problem;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Definitions { problems: Vec<Problem> },
    #[error("there is no {noun} {name:?} at {at}")]
    NotFound {
        noun: &'static str,
        name: String,
        at: String,
        similar: Option<String>,
        list: &'static str,
    },
    #[error("the training set {name:?} already exists with other content")]
    TrainingSetExists { name: String },
    #[error("{name:?} cannot be the name of a training set")]
    TrainingSetName { name: String },
    #[error("the spine has no column {column:?}{purpose}")]
    SpineColumn {
        column: String,
        purpose: String,
        known: Vec<String>,
    },
    #[error("{what} {value:?} {why}")]
    Input {
        what: &'static str,
        value: String,
        why: String,
        hint: Option<String>,
    },
    #[error("column {column:?}: {message}")]
    Column { column: String, message: String },
    #[error("view {view:?} in the online store is of another definition than the branch's")]
    OtherDefinition { view: String },
    #[error("view {view:?} in the online store holds a part of a later commit: an append was interrupted")]
    Interrupted { view: String },
    #[error("the online store {store} holds no view: there is nothing to verify")]
    NothingToVerify { store: String },
    #[error("{rows_out} rows came out for {rows_in} rows of the spine")]
    RowCount { rows_in: u64, rows_out: u64 },
    #[error("training set {name:?} has format {found}; this program reads up to {newest}")]
    TrainingSetFormat { name: String, found: u32, newest: u32 },
    #[error("training set {name:?} is damaged: {detail}")]
    TrainingSetDamaged { name: String, detail: String },
    #[error("cannot {doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read {what}")]
    Arrow {
        what: String,
        #[source]
        source: arrow::error::ArrowError,
    },
    #[error("cannot {doing}")]
    Parquet {
        doing: &'static str,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("cannot read {what}")]
    Query {
        what: String,
        #[source]
        source: Box<DataFusionError>,
    },
    #[error(transparent)]
    AsOf(#[from] Box<drumlin_asof::Error>),
    #[error(transparent)]
    Online(#[from] Box<drumlin_online::Error>),
    #[error(transparent)]
    Tables(#[from] Box<drumlin_tables::Error>),
    #[error(transparent)]
    Repo(#[from] Box<drumlin_repo::Error>),
}

macro_rules! from_boxed {
    ($($source:ty => $variant:ident)*) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Error::$variant(Box::new(error))
            }
        }
    )*};
}
from_boxed!(drumlin_asof::Error => AsOf drumlin_online::Error => Online drumlin_tables::Error => Tables drumlin_repo::Error => Repo);

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Definitions { .. }
            | Error::TrainingSetName { .. }
            | Error::SpineColumn { .. }
            | Error::Input { .. }
            | Error::Column { .. } => ErrorKind::InvalidInput,
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::TrainingSetExists { .. } => ErrorKind::AlreadyExists,
            Error::OtherDefinition { .. } | Error::Interrupted { .. } | Error::NothingToVerify { .. } => {
                ErrorKind::Precondition
            }
            Error::TrainingSetFormat { .. } => ErrorKind::Unsupported,
            Error::TrainingSetDamaged { .. } => ErrorKind::Corrupt,
            Error::RowCount { .. } => ErrorKind::Internal,
            Error::Io { source, .. } => ErrorKind::of_io(source),
            Error::Arrow { source, .. } => kind_beneath(source),
            Error::Parquet { source, .. } => kind_beneath(source),
            Error::Query { source, .. } => kind_beneath(source.as_ref()),
            Error::AsOf(source) => source.kind(),
            Error::Online(source) => source.kind(),
            Error::Tables(source) => source.kind(),
            Error::Repo(source) => source.kind(),
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        match self {
            Error::AsOf(source) => source.cures(),
            Error::Online(source) => source.cures(),
            Error::OtherDefinition { view } | Error::Interrupted { view } => {
                vec![Cure::run(Verb::OnlineMaterialize).with("views", view)]
            }
            Error::NothingToVerify { .. } => vec![Cure::run(Verb::OnlineMaterialize)],
            Error::Tables(source) => source.cures(),
            Error::Repo(source) => source.cures(),
            _ => self.hint().map(Cure::say).into_iter().collect(),
        }
    }

    /// A command to type, or what to change in the one that was typed.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Definitions { problems } => problems
                .first()
                .map(|problem| format!("edit {} and run: drumlin apply", problem.file)),
            Error::NotFound {
                similar: Some(similar), ..
            } => Some(format!("did you mean {similar:?}?")),
            Error::NotFound { list, .. } => Some((*list).to_owned()),
            Error::TrainingSetExists { name } => Some(format!(
                "drumlin train show {name}  # or create it under another name, or with --replace"
            )),
            Error::TrainingSetName { .. } => Some("use letters, digits, '_', '-' and '.'".into()),
            Error::SpineColumn { known, .. } => Some(format!("its columns are: {}", known.join(", "))),
            Error::Input { hint, .. } => hint.clone(),
            Error::TrainingSetDamaged { .. } => Some("drumlin fsck".into()),
            Error::AsOf(source) => source.hint(),
            Error::Tables(source) => source.hint(),
            _ => None,
        }
    }

    pub(crate) fn arrow(what: impl Into<String>) -> impl FnOnce(arrow::error::ArrowError) -> Error {
        let what = what.into();
        move |source| Error::Arrow { what, source }
    }
    pub(crate) fn query(what: impl Into<String>) -> impl FnOnce(DataFusionError) -> Error {
        let what = what.into();
        move |source| match asof_beneath(source) {
            Ok(error) => Error::AsOf(error),
            Err(source) => Error::Query {
                what,
                source: Box::new(source),
            },
        }
    }
    pub(crate) fn parquet(doing: &'static str) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
        move |source| Error::Parquet { doing, source }
    }
}

/// The as-of join's own error, when that is what the engine passes on.
fn asof_beneath(error: DataFusionError) -> Result<Box<drumlin_asof::Error>, DataFusionError> {
    match error {
        DataFusionError::External(source) => source
            .downcast::<drumlin_asof::Error>()
            .map_err(DataFusionError::External),
        DataFusionError::Context(context, source) => {
            asof_beneath(*source).map_err(|source| DataFusionError::Context(context, Box::new(source)))
        }
        other => Err(other),
    }
}

/// The kind of the deepest error that says one of its own: ours first, then the file system's.
fn kind_beneath(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    let mut found = ErrorKind::Internal;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<drumlin_tables::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<drumlin_repo::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<drumlin_asof::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<drumlin_online::Error>() {
            return error.kind();
        } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
            found = ErrorKind::of_io(error);
        } else if let Some(DataFusionError::ResourcesExhausted(_)) = error.downcast_ref::<DataFusionError>() {
            found = ErrorKind::Unavailable;
        }
        next = error.source();
    }
    found
}
