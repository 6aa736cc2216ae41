//! `ErrorAnswer`: an error as every surface sends it: a word for its kind, a sentence, and its cures as data.

use std::error::Error as StdError;

use drumlin_model::{Cure, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;

/// What a program reads when a verb failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorAnswer {
    pub error: ErrorView,
}

/// A failed verb.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorView {
    pub kind: ErrorWord,
    /// What went wrong, with which thing, and why.
    pub message: String,
    /// The best cure in the words of the surface; none when nothing is known to help.
    pub hint: Option<String>,
    /// What mends it, the best first.
    #[schemars(with = "Vec<CureShape>")]
    pub cures: Vec<Cure>,
}

/// The word for a kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorWord {
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

impl From<ErrorKind> for ErrorWord {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => ErrorWord::NotFound,
            ErrorKind::AlreadyExists => ErrorWord::AlreadyExists,
            ErrorKind::Conflict => ErrorWord::Conflict,
            ErrorKind::Precondition => ErrorWord::Precondition,
            ErrorKind::InvalidInput => ErrorWord::InvalidInput,
            ErrorKind::Denied => ErrorWord::Denied,
            ErrorKind::Unsupported => ErrorWord::Unsupported,
            ErrorKind::Unavailable => ErrorWord::Unavailable,
            ErrorKind::Corrupt => ErrorWord::Corrupt,
            ErrorKind::Internal => ErrorWord::Internal,
        }
    }
}

/// What an error and the errors below it say, each once.
pub fn message(error: &dyn StdError) -> String {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !messages.last().is_some_and(|last| last.contains(&text)) {
            messages.push(text);
        }
        source = cause.source();
    }
    messages.join(": ")
}

/// The shape of `drumlin_model::Cure`, whose floor knows no schemas.
#[derive(JsonSchema)]
#[serde(tag = "cure", rename_all = "snake_case")]
#[expect(dead_code, reason = "it is read by the schema generator alone")]
enum CureShape {
    /// Ask for another verb.
    Run {
        verb: String,
        /// The arguments to give it, by the names that its request has.
        arguments: Vec<ArgumentShape>,
        /// What that does, where the verb alone does not say it.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Ask again, with this argument.
    Give { argument: String, value: String },
    /// Ask again, without this argument.
    Leave { argument: String },
    /// Ask again, with one of these.
    Choose { what: String, one_of: Vec<String> },
    /// A name that is there, close to the one that is not.
    DidYouMean { name: String },
    /// Change this file, then ask again.
    Edit { file: String },
    /// The disk below this folder is full.
    MakeRoom { folder: String },
    /// Whoever runs this may not read or write here.
    Permit { path: String },
    /// A sentence that holds on every surface.
    Say { text: String },
}

/// An argument of a verb. A flag has no value.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is read by the schema generator alone")]
struct ArgumentShape {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}
