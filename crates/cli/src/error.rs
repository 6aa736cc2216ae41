//! `CommandError`: what a person reads when a command fails: what is wrong, with which thing, and what to type.
//! One table gives each `ErrorKind` its exit code.

use std::{error::Error as StdError, fmt};

use drumlin_model::ErrorKind;

/// The exit code of wrong words on the command line, as the argument parser has it.
pub const EXIT_USAGE: u8 = 2;

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    pub kind: ErrorKind,
    /// What went wrong, then each cause below it.
    pub messages: Vec<String>,
    /// A command to type, or what to change.
    pub hint: Option<String>,
}

/// The exit code for each kind of error.
pub fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Corrupt | ErrorKind::Internal => 255,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Precondition
        | ErrorKind::InvalidInput
        | ErrorKind::Denied
        | ErrorKind::Unsupported
        | ErrorKind::Unavailable => 1,
    }
}

/// The name of a kind in `--json` errors.
pub fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Precondition => "precondition",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::Denied => "denied",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Internal => "internal",
    }
}

/// The hint of last resort, so that no error of these kinds ends without one.
fn general_hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::NotFound => Some("drumlin status    (shows where you are)"),
        ErrorKind::Conflict => Some("drumlin log -n 5    (shows what moved), then run the command again"),
        ErrorKind::InvalidInput => Some("drumlin help    (lists the verbs; each has examples)"),
        ErrorKind::Unsupported => Some("drumlin --version    (a newer one may know it)"),
        ErrorKind::Unavailable => Some("df -h .    (is there room?), then run the command again"),
        ErrorKind::Denied => Some("ls -ld . .drumlin    (may you write here?)"),
        ErrorKind::Corrupt => Some("drumlin fsck    (checks every byte of the repository)"),
        _ => None,
    }
}

impl CommandError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            messages: vec![message.into()],
            hint: None,
        }
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// An error of a lower floor, with its causes.
    pub fn from_error(kind: ErrorKind, hint: Option<String>, error: &(dyn StdError + 'static)) -> Self {
        let mut messages = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !messages.last().is_some_and(|last| last.contains(&text)) {
                messages.push(text);
            }
            source = cause.source();
        }
        Self { kind, messages, hint }
    }
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self {
            kind: ErrorKind::of_io(&error),
            messages: vec![what.to_string(), error.to_string()],
            hint: None,
        }
    }
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| general_hint(self.kind))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages.join(": "))
    }
}

/// Errors of the floors below say their own kind and hint.
macro_rules! from_floor {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                CommandError::from_error(error.kind(), error.hint(), &error)
            }
        }
    )*};
}

from_floor!(
    drumlin_repo::Error,
    drumlin_worktree::Error,
    drumlin_chunks::Error,
    drumlin_tables::Error,
    drumlin_features::Error,
    drumlin_online::Error,
    drumlin_lineage::Error,
);

impl From<drumlin_model::RefNameError> for CommandError {
    fn from(error: drumlin_model::RefNameError) -> Self {
        CommandError::invalid(error.to_string()).with_hint("drumlin branch    (lists the branches)")
    }
}

impl From<drumlin_model::PathError> for CommandError {
    fn from(error: drumlin_model::PathError) -> Self {
        CommandError::invalid(error.to_string())
            .with_hint("drumlin status    (paths are relative to the repository's folder)")
    }
}
