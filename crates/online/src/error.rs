//! What goes wrong when features are served, sorted into kinds, each with what mends it.
//! The text names the thing; the cause is the source; the cure is data, which each surface says in its own words.

use std::error::Error as StdError;

use drumlin_model::{Cure, ErrorKind, Timestamp, Verb, names::did_you_mean};

use crate::limits::{BATCH_CHANGES_MAX, BATCH_LEN_MAX, KEY_LEN_MAX, VALUE_LEN_MAX};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store below refused or failed; `kind` is what its implementation makes of the source.
    #[error("cannot {doing}")]
    Store {
        doing: &'static str,
        kind: ErrorKind,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("another process materializes or verifies the online store {store}")]
    Busy { store: String },
    #[error("other writers of the online store {store} did not leave room for this one")]
    Crowded { store: String },
    #[error("a key of the online store has 1 to {KEY_LEN_MAX} bytes, and this one has {len}")]
    Key { len: usize },
    #[error("a value of the online store has at most {VALUE_LEN_MAX} bytes, and this one has {len}")]
    ValueLen { len: usize },
    #[error(
        "one write to the online store changes at most {BATCH_CHANGES_MAX} keys and {BATCH_LEN_MAX} bytes, and this one {changes} and {len}"
    )]
    BatchLen { changes: usize, len: usize },
    #[error("the online store {store} has format {found}; this program reads format {newest}")]
    Format { store: String, found: u32, newest: u32 },
    #[error("the online store {store} holds what this program did not write")]
    Foreign { store: String },
    #[error("the online store holds damaged bytes for view {view:?}")]
    Damaged { view: String },
    #[error("the online store is damaged: its record {name:?} is not what such a record is")]
    Record { name: &'static str },
    #[error("view {view:?} is not in the online store")]
    NotMaterialized { view: String },
    #[error("the online store does not keep what view {view:?} answered before {from}")]
    BeforeStore { view: String, from: Timestamp },
    #[error("view {view:?} cannot be served online: {why}")]
    NotServable { view: String, why: String },
    #[error("view {view:?} of the online store has no feature {feature:?}")]
    NoFeature {
        view: String,
        feature: String,
        known: Vec<String>,
    },
    /// A key, row or value that does not fit; `cures` say what does.
    #[error("{what} {value} {why}")]
    Input {
        what: &'static str,
        value: String,
        why: String,
        cures: Vec<Cure>,
    },
}

impl Error {
    /// For an implementation of the store: what it was doing, what sort of trouble it met, and the trouble.
    pub fn store(doing: &'static str, kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Store {
            doing,
            kind,
            source: source.into(),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Store { kind, .. } => *kind,
            Error::Busy { .. } | Error::Crowded { .. } => ErrorKind::Unavailable,
            Error::Key { .. } | Error::ValueLen { .. } | Error::BatchLen { .. } | Error::Input { .. } => {
                ErrorKind::InvalidInput
            }
            Error::Format { .. } | Error::Foreign { .. } | Error::NotServable { .. } => ErrorKind::Unsupported,
            Error::Damaged { .. } | Error::Record { .. } => ErrorKind::Corrupt,
            Error::NotMaterialized { .. } | Error::NoFeature { .. } => ErrorKind::NotFound,
            Error::BeforeStore { .. } => ErrorKind::Precondition,
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        let again = || {
            vec![
                Cure::say("delete the online store: it is a view"),
                Cure::run(Verb::OnlineMaterialize).why("builds it again"),
            ]
        };
        match self {
            Error::Busy { .. } | Error::Crowded { .. } => vec![Cure::say("try again when the other one is done")],
            Error::Format { .. } | Error::Foreign { .. } | Error::Record { .. } => again(),
            Error::Damaged { .. } => vec![
                Cure::run(Verb::OnlineMaterialize)
                    .flag("rebuild")
                    .why("the store is a view: it can be built again"),
            ],
            Error::NotMaterialized { view } => vec![Cure::run(Verb::OnlineMaterialize).with("views", view)],
            Error::BeforeStore { from, .. } => vec![
                Cure::give("now", from.to_string()),
                Cure::run(Verb::TrainCreate)
                    .with("known_at", "row")
                    .why("the join answers for every time"),
            ],
            Error::NoFeature { feature, known, .. } => match did_you_mean(feature, known.iter().map(String::as_str)) {
                Some(name) => vec![Cure::did_you_mean(name)],
                None => vec![Cure::choose("features", known.iter().cloned())],
            },
            Error::BatchLen { .. } => vec![Cure::say("send the rows in several pushes")],
            Error::Input { cures, .. } => cures.clone(),
            Error::Store { .. } | Error::Key { .. } | Error::ValueLen { .. } | Error::NotServable { .. } => Vec::new(),
        }
    }
}
