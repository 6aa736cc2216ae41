//! `CommandError`: what a person reads when a command fails: what is wrong, with which thing, and what to type.
//! One table gives each `ErrorKind` its exit code.

use std::{error::Error as StdError, fmt};

use drumlin_model::{Cure, ErrorKind, Verb};

/// The exit code of wrong words on the command line, as the argument parser has it.
pub const EXIT_USAGE: u8 = 2;

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    pub kind: ErrorKind,
    /// What went wrong, and why.
    message: String,
    /// What mends it, the best first.
    cures: Vec<Cure>,
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

/// The cure of last resort, so that no error of these kinds ends without one.
fn general_cure(kind: ErrorKind) -> Option<Cure> {
    match kind {
        ErrorKind::NotFound => Some(Cure::run(Verb::Status).why("shows where you are")),
        ErrorKind::Conflict => Some(Cure::run(Verb::Log).with("limit", "5").why("shows what moved")),
        ErrorKind::InvalidInput => Some(Cure::say("drumlin help    (lists the verbs; each has examples)")),
        ErrorKind::Unsupported => Some(Cure::say("drumlin --version    (a newer one may know it)")),
        ErrorKind::Unavailable => Some(Cure::MakeRoom { folder: ".".to_owned() }),
        ErrorKind::Denied => Some(Cure::Permit {
            path: ".drumlin".to_owned(),
        }),
        ErrorKind::Corrupt => Some(Cure::run(Verb::Fsck).why("checks every byte of the repository")),
        ErrorKind::AlreadyExists | ErrorKind::Precondition | ErrorKind::Internal => None,
    }
}

impl CommandError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cures: Vec::new(),
        }
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }
    /// The same error, with one more cure.
    #[must_use]
    pub fn with_cure(mut self, cure: Cure) -> Self {
        self.cures.push(cure);
        self
    }
    /// The same error, with a cure in the words of the command line.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.with_cure(Cure::say(hint))
    }
    /// An error of a lower floor, with its causes.
    pub fn from_error(kind: ErrorKind, cures: Vec<Cure>, error: &(dyn StdError + 'static)) -> Self {
        let message = drumlin_verbs::message(error);
        Self { kind, message, cures }
    }
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self {
            kind: ErrorKind::of_io(&error),
            message: format!("{what}: {error}"),
            cures: Vec::new(),
        }
    }
    /// What mends it, the best first; where nothing is known of it, what helps with errors of its kind.
    pub fn cures(&self) -> Vec<Cure> {
        if self.cures.is_empty() {
            return general_cure(self.kind).into_iter().collect();
        }
        self.cures.clone()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<drumlin_verbs::Error> for CommandError {
    fn from(error: drumlin_verbs::Error) -> Self {
        CommandError::from_error(error.kind(), error.cures(), &error)
    }
}

impl From<drumlin_model::RefNameError> for CommandError {
    fn from(error: drumlin_model::RefNameError) -> Self {
        CommandError::invalid(error.to_string()).with_cure(Cure::run(Verb::BranchList).why("lists the branches"))
    }
}

impl From<drumlin_model::PathError> for CommandError {
    fn from(error: drumlin_model::PathError) -> Self {
        let cure = Cure::run(Verb::Status).why("paths start at the repository's folder");
        CommandError::invalid(error.to_string()).with_cure(cure)
    }
}
