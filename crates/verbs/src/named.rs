//! `Named`: a thing and the version that it is meant at, `NAME@REF`. Files, tables and training sets are named so.

use std::{fmt, str::FromStr};

use drumlin_model::{RefExpr, RefNameError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The name of a thing, and the version where one is given: `flights`, `raw/planes.csv@v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    /// Without one, the default of the verb: in most cases the current branch.
    pub at: Option<RefExpr>,
}

impl FromStr for Named {
    type Err = RefNameError;

    /// What stands behind the last `@` is the version.
    fn from_str(text: &str) -> Result<Self, RefNameError> {
        let (name, at) = match text.rsplit_once('@') {
            Some((name, at)) => (name, Some(at.parse()?)),
            None => (text, None),
        };
        let name = name.to_owned();
        Ok(Self { name, at })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}@{at}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
