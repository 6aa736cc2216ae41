//! What goes wrong between an object store's user and a tree, and how each says so in `object_store`'s terms.
//! Errors of the floors below pass through as the source.

use drumlin_model::{Cure, ErrorKind, PathError, RefNameError};
use object_store::{Error as StoreError, path::Path};

/// The name that `object_store` errors carry.
pub(crate) const STORE: &str = "Drumlin";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{key:?} cannot be a path of a repository")]
    Key { key: String, source: PathError },
    #[error("there is no object {key:?}")]
    Missing { key: String },
    #[error("the object {key:?} already exists")]
    Exists { key: String },
    #[error("the object {key:?} is not the one to update: its etag is {found:?}, not {expected:?}")]
    Changed {
        key: String,
        expected: Option<String>,
        found: Option<String>,
    },
    #[error("{key:?} is a symbolic link to {target:?}, which an object store cannot hold")]
    Symlink { key: String, target: String },
    #[error("{key:?} has no versions of its own; the ref says which one is read")]
    Version { key: String },
    #[error("{attribute} of {key:?} cannot be kept")]
    Attribute { key: String, attribute: String },
    #[error("the attributes of {key:?} cannot be kept")]
    Attributes {
        key: String,
        source: drumlin_model::AttributeError,
    },
    #[error("an update of {key:?} needs an etag to compare with")]
    NoEtag { key: String },
    #[error("cannot change {key:?}: this store reads one commit")]
    ReadOnly { key: String },
    #[error("a part of the upload of {key:?} was never written")]
    MissingPart { key: String },
    #[error("the upload of {key:?} has already ended")]
    Ended { key: String },
    #[error("the range asked of {key:?} is not within its {size} bytes")]
    Range {
        key: String,
        size: u64,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{name:?} is not a ref")]
    Reference { name: String, source: RefNameError },
    #[error("a listing of all refs at once is not offered")]
    NoReference,
    #[error("this store has read {limit} refs, its limit")]
    TooManyRefs { limit: usize },
    #[error("cannot keep the parts of the upload of {key:?} on disk")]
    Spool { key: String, source: std::io::Error },
    #[error("the repository could not serve {key:?}")]
    Repo {
        key: String,
        source: Box<drumlin_repo::Error>,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Key { .. }
            | Error::Attributes { .. }
            | Error::NoEtag { .. }
            | Error::Range { .. }
            | Error::Reference { .. } => ErrorKind::InvalidInput,
            Error::Missing { .. } => ErrorKind::NotFound,
            Error::Exists { .. } => ErrorKind::AlreadyExists,
            Error::Changed { .. } => ErrorKind::Precondition,
            Error::ReadOnly { .. } => ErrorKind::Denied,
            Error::Symlink { .. } | Error::Version { .. } | Error::NoReference | Error::Attribute { .. } => {
                ErrorKind::Unsupported
            }
            Error::MissingPart { .. } | Error::Ended { .. } => ErrorKind::Precondition,
            Error::TooManyRefs { .. } => ErrorKind::Unavailable,
            Error::Spool { source, .. } => ErrorKind::of_io(source),
            Error::Repo { source, .. } => source.kind(),
        }
    }

    /// What a caller may act on. An object of the bucket that is gone is damage, not the absence of what it held.
    fn kind_for_store(&self) -> ErrorKind {
        match self {
            Error::Repo { source, .. } => match &**source {
                drumlin_repo::Error::Chunks(lost) if lost.kind() == ErrorKind::NotFound => ErrorKind::Corrupt,
                source => source.kind(),
            },
            _ => self.kind(),
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        match self {
            Error::ReadOnly { .. } => vec![Cure::say("open a session on a branch and write through its store")],
            Error::NoReference => vec![Cure::say("list one ref: its name is the first part of the prefix")],
            Error::Repo { source, .. } => source.cures(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn repo(key: &Path) -> impl Fn(drumlin_repo::Error) -> Error + Send + Sync + 'static {
        let key = key.to_string();
        move |source| Error::Repo {
            key: key.clone(),
            source: Box::new(source),
        }
    }
}

impl From<Error> for StoreError {
    /// By kind alone, so that a caller that only knows `object_store` acts rightly; the whole error is the source.
    fn from(error: Error) -> Self {
        let path = match &error {
            Error::Key { key, .. }
            | Error::Missing { key }
            | Error::Exists { key }
            | Error::Changed { key, .. }
            | Error::Symlink { key, .. }
            | Error::Version { key }
            | Error::Attribute { key, .. }
            | Error::Attributes { key, .. }
            | Error::NoEtag { key }
            | Error::ReadOnly { key }
            | Error::MissingPart { key }
            | Error::Ended { key }
            | Error::Range { key, .. }
            | Error::Spool { key, .. }
            | Error::Repo { key, .. } => key.clone(),
            Error::Reference { name, .. } => name.clone(),
            Error::NoReference | Error::TooManyRefs { .. } => String::new(),
        };
        let kind = error.kind_for_store();
        let source = Box::new(error);
        match kind {
            ErrorKind::NotFound => StoreError::NotFound { path, source },
            ErrorKind::AlreadyExists => StoreError::AlreadyExists { path, source },
            ErrorKind::Precondition | ErrorKind::Conflict => StoreError::Precondition { path, source },
            ErrorKind::Denied => StoreError::PermissionDenied { path, source },
            ErrorKind::Unsupported => StoreError::NotSupported { source },
            ErrorKind::InvalidInput | ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal => {
                StoreError::Generic { store: STORE, source }
            }
        }
    }
}
