//! Refs: the names of branches and tags, and the expressions by which people point at a commit.
//! Grammar of an expression: `NAME`, `HEX` (8 to 64 digits of a commit id), either followed by `~N` (the N-th first parent).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The longest ref name, in bytes.
pub const REF_NAME_LEN_MAX: usize = 100;
/// The fewest hex digits that may stand for a commit.
pub const COMMIT_PREFIX_LEN_MIN: usize = 8;
/// The longest expression, in bytes: each `~` is a step of the parser.
const EXPRESSION_LEN_MAX: usize = 1024;

/// The name of a branch or tag. No `/`, so that `ref/path` splits in one way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RefName(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a valid {what}: {why}")]
pub struct RefNameError {
    pub what: &'static str,
    pub text: String,
    pub why: &'static str,
}

impl RefName {
    pub fn new(name: impl Into<String>) -> Result<Self, RefNameError> {
        let name = name.into();
        let bad = |why| {
            Err(RefNameError {
                what: "name of a branch or tag",
                text: name.chars().take(120).collect(),
                why,
            })
        };
        if name.is_empty() || name.len() > REF_NAME_LEN_MAX {
            return bad("it must have 1 to 100 bytes");
        }
        if name.starts_with(['-', '.']) || name.ends_with(".lock") {
            return bad("it must not start with '-' or '.', or end in '.lock'");
        }
        if !name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
        {
            return bad("letters, digits, '-', '_', '.' and '+' are allowed");
        }
        if name.len() >= COMMIT_PREFIX_LEN_MIN && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return bad("it would be read as a commit id");
        }
        Ok(Self(name))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl FromStr for RefName {
    type Err = RefNameError;
    fn from_str(text: &str) -> Result<Self, RefNameError> {
        RefName::new(text)
    }
}
impl<'de> Deserialize<'de> for RefName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RefName::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What a person types to mean one commit; resolved once, to an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefExpr {
    Name(RefName),
    /// Hex digits at the start of a commit id (or all 64).
    CommitPrefix(String),
    /// The `steps`-th first parent.
    Ancestor {
        of: Box<RefExpr>,
        steps: u32,
    },
}

impl FromStr for RefExpr {
    type Err = RefNameError;
    fn from_str(text: &str) -> Result<Self, RefNameError> {
        if text.len() > EXPRESSION_LEN_MAX {
            return Err(RefNameError {
                what: "ref",
                text: text.chars().take(80).collect(),
                why: "it is too long",
            });
        }
        if let Some((of, steps)) = text.rsplit_once('~') {
            let steps = if steps.is_empty() { "1" } else { steps };
            let steps = steps.parse().map_err(|_| RefNameError {
                what: "ref",
                text: text.to_owned(),
                why: "'~' must be followed by a number",
            })?;
            return Ok(RefExpr::Ancestor {
                of: Box::new(of.parse()?),
                steps,
            });
        }
        let hex =
            text.len() >= COMMIT_PREFIX_LEN_MIN && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex {
            return Ok(RefExpr::CommitPrefix(text.to_ascii_lowercase()));
        }
        RefName::new(text).map(RefExpr::Name)
    }
}

impl fmt::Display for RefExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefExpr::Name(name) => name.fmt(f),
            RefExpr::CommitPrefix(prefix) => f.write_str(prefix),
            RefExpr::Ancestor { of, steps } => write!(f, "{of}~{steps}"),
        }
    }
}

impl Serialize for RefExpr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RefExpr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl From<RefName> for RefExpr {
    fn from(name: RefName) -> Self {
        RefExpr::Name(name)
    }
}
