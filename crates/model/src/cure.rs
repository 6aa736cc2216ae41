//! `Cure`: what mends an error, as data. A library says which verb or argument helps; each surface says it in its own
//! words: `drumlin log main` at the command line, `repo.log("main")` in Python, a field's name over HTTP.

use serde::Serialize;

use crate::names::Verb;

/// One way out of an error. An error lists the best one first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cure", rename_all = "snake_case")]
pub enum Cure {
    /// Ask for another verb.
    Run {
        verb: Verb,
        /// The arguments to give it, by the names that its request has.
        arguments: Vec<Argument>,
        /// What that does, where the verb alone does not say it.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Ask again, with this argument.
    Give { argument: &'static str, value: String },
    /// Ask again, without this argument.
    Leave { argument: &'static str },
    /// Ask again, with one of these.
    Choose { what: &'static str, one_of: Vec<String> },
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

/// An argument of a verb: its name in the request, and its value as text. A flag has no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Argument {
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Cure {
    /// Run `verb`, to which arguments are added with `with` and `flag`.
    pub fn run(verb: Verb) -> Self {
        Cure::Run {
            verb,
            arguments: Vec::new(),
            why: None,
        }
    }

    pub fn give(argument: &'static str, value: impl Into<String>) -> Self {
        Cure::Give {
            argument,
            value: value.into(),
        }
    }

    pub fn choose(what: &'static str, one_of: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Cure::Choose {
            what,
            one_of: one_of.into_iter().map(Into::into).collect(),
        }
    }

    pub fn did_you_mean(name: impl Into<String>) -> Self {
        Cure::DidYouMean { name: name.into() }
    }

    pub fn edit(file: impl Into<String>) -> Self {
        Cure::Edit { file: file.into() }
    }

    pub fn say(text: impl Into<String>) -> Self {
        Cure::Say { text: text.into() }
    }

    /// An argument of a `Run`; others stay as they are.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        let value = Some(value.into());
        self.argument(Argument { name, value })
    }

    /// An argument of a `Run` that has no value.
    #[must_use]
    pub fn flag(self, name: &'static str) -> Self {
        self.argument(Argument { name, value: None })
    }

    /// What a `Run` does; others stay as they are.
    #[must_use]
    pub fn why(mut self, text: impl Into<String>) -> Self {
        if let Cure::Run { why, .. } = &mut self {
            *why = Some(text.into());
        }
        self
    }

    fn argument(mut self, argument: Argument) -> Self {
        if let Cure::Run { arguments, .. } = &mut self {
            arguments.push(argument);
        }
        self
    }
}
