//! What goes wrong with features, sorted into kinds, with what mends it.
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
        /// The verb that says what there is.
        list: Verb,
    },
    #[error("the training set {name:?} already exists with other content")]
    TrainingSetExists { name: String },
    #[error("{name:?} cannot be the name of a training set")]
    TrainingSetName { name: String },
    #[error("{what} {value:?} {why}")]
    Input {
        what: &'static str,
        value: String,
        why: String,
        cures: Vec<Cure>,
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
            Error::Definitions { .. } | Error::TrainingSetName { .. } | Error::Input { .. } | Error::Column { .. } => {
                ErrorKind::InvalidInput
            }
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
        let cure = match self {
            Error::Definitions { problems } => match problems.first() {
                Some(problem) => Cure::edit(problem.file.to_string()),
                None => return Vec::new(),
            },
            Error::NotFound {
                similar: Some(similar), ..
            } => Cure::did_you_mean(similar),
            Error::NotFound { list, .. } => Cure::run(*list),
            Error::TrainingSetExists { name } => {
                return vec![
                    Cure::run(Verb::TrainShow).with("name", name),
                    Cure::say("make it under another name"),
                    Cure::give("replace", "true"),
                ];
            }
            Error::TrainingSetName { .. } => Cure::say("use letters, digits, '_', '-' and '.'"),
            Error::Input { cures, .. } => return cures.clone(),
            Error::NothingToVerify { .. } => Cure::run(Verb::OnlineMaterialize),
            Error::OtherDefinition { view } | Error::Interrupted { view } => {
                Cure::run(Verb::OnlineMaterialize).with("views", view)
            }
            Error::TrainingSetDamaged { .. } => Cure::run(Verb::Fsck),
            Error::AsOf(source) => return source.cures(),
            Error::Online(source) => return source.cures(),
            Error::Tables(source) => return source.cures(),
            Error::Repo(source) => return source.cures(),
            _ => return Vec::new(),
        };
        vec![cure]
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

/// The kind of the deepest error that says one of its own; the floor of tables does not know the join's and the store's.
fn kind_beneath(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    drumlin_tables::kind_beneath(error, |error| {
        let join = error
            .downcast_ref::<drumlin_asof::Error>()
            .map(drumlin_asof::Error::kind);
        join.or_else(|| Some(error.downcast_ref::<drumlin_online::Error>()?.kind()))
    })
}
