//! What can be wrong with stored bytes, and the kinds of error that every crate sorts its own errors into.
//! The edges (exit codes, HTTP) map from `ErrorKind` alone.

/// What sort of trouble an error is; each edge has one table from this to its own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    NotFound,
    AlreadyExists,
    Conflict,
    Precondition,
    InvalidInput,
    Denied,
    Unsupported,
    Unavailable,
    Corrupt,
    Internal,
}

impl ErrorKind {
    pub const ALL: [ErrorKind; 10] = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::Precondition,
        ErrorKind::InvalidInput,
        ErrorKind::Denied,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::Corrupt,
        ErrorKind::Internal,
    ];

    /// The kind of a plain I/O error.
    pub fn of_io(error: &std::io::Error) -> ErrorKind {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
            Io::StorageFull | Io::QuotaExceeded | Io::TimedOut | Io::ResourceBusy => ErrorKind::Unavailable,
            Io::InvalidInput | Io::NotADirectory | Io::IsADirectory => ErrorKind::InvalidInput,
            _ => ErrorKind::Internal,
        }
    }
}

/// Stored or typed bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("not a {noun} (64 hex digits): {text:?}")]
    Id { noun: &'static str, text: String },
    #[error("{object} is damaged: {detail}")]
    Damaged { object: String, detail: String },
    #[error("{object} has format {found}; this program reads up to format {newest}")]
    TooNew { object: String, found: u32, newest: u32 },
    /// It could not be read back, so it is not written.
    #[error("{object} would have {found} {unit}; at most {most} are read back")]
    TooLarge {
        object: &'static str,
        found: usize,
        most: usize,
        unit: &'static str,
    },
    /// It says of itself that a program has to know something which this one does not.
    #[error("{object} cannot be {action} by this program, which does not know the {what} {name:?}")]
    Unknown {
        object: String,
        action: &'static str,
        what: &'static str,
        name: String,
    },
}

impl FormatError {
    pub fn damaged(object: impl Into<String>, detail: impl Into<String>) -> Self {
        FormatError::Damaged {
            object: object.into(),
            detail: detail.into(),
        }
    }

    /// Refuses bytes that are longer than the longest that is ever written.
    pub(crate) fn check_len(object: &str, bytes: &[u8], most: usize) -> Result<(), FormatError> {
        if bytes.len() <= most {
            return Ok(());
        }
        let detail = format!("it has {} bytes, and at most {most} are ever written", bytes.len());
        Err(Self::damaged(object, detail))
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            FormatError::Id { .. } => ErrorKind::InvalidInput,
            FormatError::Damaged { .. } => ErrorKind::Corrupt,
            FormatError::TooNew { .. } | FormatError::Unknown { .. } | FormatError::TooLarge { .. } => {
                ErrorKind::Unsupported
            }
        }
    }
}
