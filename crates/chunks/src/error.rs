//! What can go wrong between bytes and the bucket, sorted into kinds.
//! The text names the thing; the cause is the source; what mends it is in the cures.

use std::{error::Error as StdError, io, ops::Range, path::PathBuf, sync::Arc};

use drumlin_model::{Cure, ErrorKind, File, FileId, FormatError, Verb};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store below refused or failed. For a write, whether it took effect is not known.
    #[error("could not {action} the object {key}")]
    Store {
        action: &'static str,
        key: String,
        source: object_store::Error,
    },
    #[error("there is no object {key}")]
    NoObject { key: String, source: object_store::Error },
    #[error("could not {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A tree names content that is in no pack and no blob.
    #[error("the content {id} is nowhere in this repository")]
    Missing { id: FileId },
    /// Stored bytes are not what was written.
    #[error("{object} is damaged: {detail}")]
    Corrupt { object: String, detail: String },
    #[error("stored bytes cannot be read")]
    Format { source: FormatError },
    #[error("bytes {}..{} are asked of content that has {size}", range.start, range.end)]
    Range { range: Range<u64>, size: u64 },
    /// A text that should say where a repository is.
    #[error("{text:?} names no place of a repository: {why}")]
    Place { text: String, why: &'static str },
    #[error("{place} is in a bucket, and this program opens repositories in folders only")]
    NotAFolder { place: String },
    /// A file was read twice and differed.
    #[error("{} changed while it was being added", path.display())]
    FileChanged { path: PathBuf },
    /// A recipe has room for so many segments.
    #[error("a file may have at most {len_max} bytes")]
    FileTooLong { len_max: u64 },
    /// The writer lost bytes that it had accepted; nothing that it returned since the last flush may be used.
    #[error("an earlier write to the repository failed")]
    WriterFailed { source: Arc<Error> },
    /// A background task ended without an answer.
    #[error("the task that was to {task} stopped")]
    Stopped {
        task: &'static str,
        source: tokio::task::JoinError,
    },
    /// The runtime that the task was started on is gone.
    #[error("the task that was to {task} was abandoned")]
    Abandoned { task: &'static str },
}

impl Error {
    pub(crate) fn store(action: &'static str, key: &str, source: object_store::Error) -> Self {
        let key = key.to_string();
        match source {
            object_store::Error::NotFound { .. } => Error::NoObject { key, source },
            source => Error::Store { action, key, source },
        }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::File {
            action,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn corrupt(object: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::Corrupt {
            object: object.into(),
            detail: detail.into(),
        }
    }

    /// The content has another length than the tree says.
    pub(crate) fn wrong_size(file: &File, found: u64) -> Self {
        Self::corrupt(
            format!("the content {}", file.id),
            format!("it has {found} bytes instead of {}", file.size),
        )
    }

    pub(crate) fn not_its_hash(id: &FileId) -> Self {
        Self::corrupt(format!("the content {id}"), "its bytes do not have its hash")
    }

    /// A block of the content is not what the id says.
    pub(crate) fn wrong_block(id: &FileId, at: u64) -> Self {
        let detail = format!("the block at byte {at} does not have its hash");
        Self::corrupt(format!("the content {id}"), detail)
    }

    /// That an object is not there means that the content of `id` is lost.
    pub(crate) fn or_missing(self, id: FileId) -> Self {
        match self {
            Error::NoObject { .. } => Error::Missing { id },
            error => error,
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Store { source, .. } => kind_of_store(source),
            Error::NoObject { .. } => ErrorKind::NotFound,
            Error::File { source, .. } => ErrorKind::of_io(source),
            Error::Missing { .. } | Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Format { source } => source.kind(),
            Error::Range { .. } | Error::Place { .. } | Error::FileTooLong { .. } => ErrorKind::InvalidInput,
            Error::NotAFolder { .. } => ErrorKind::Unsupported,
            Error::FileChanged { .. } => ErrorKind::Precondition,
            Error::WriterFailed { source } => source.kind(),
            Error::Stopped { .. } | Error::Abandoned { .. } => ErrorKind::Internal,
        }
    }

    /// What mends it, best first, where that is known.
    pub fn cures(&self) -> Vec<Cure> {
        match self {
            Error::Missing { .. } | Error::Corrupt { .. } | Error::Format { .. } => vec![Cure::run(Verb::Fsck)],
            Error::FileChanged { path } => vec![Cure::run(Verb::Add).with("paths", path.display().to_string())],
            Error::WriterFailed { source } => source.cures(),
            Error::File { path, source, .. } if source.kind() == io::ErrorKind::StorageFull => vec![Cure::MakeRoom {
                folder: path.display().to_string(),
            }],
            _ => Vec::new(),
        }
    }
}

impl From<FormatError> for Error {
    fn from(source: FormatError) -> Self {
        match source {
            FormatError::Damaged { object, detail } => Error::Corrupt { object, detail },
            source => Error::Format { source },
        }
    }
}

/// The kind of an error of `object_store`: its own variant, or the plain I/O error somewhere below it.
fn kind_of_store(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        Store::Precondition { .. } | Store::NotModified { .. } => ErrorKind::Precondition,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::Denied,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
        Store::InvalidPath { .. } => ErrorKind::InvalidInput,
        Store::JoinError { .. } => ErrorKind::Internal,
        other => io_cause(other).map_or(ErrorKind::Unavailable, |io| match ErrorKind::of_io(io) {
            ErrorKind::Internal => ErrorKind::Unavailable,
            kind => kind,
        }),
    }
}

fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}
