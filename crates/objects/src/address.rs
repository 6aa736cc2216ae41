//! `Address`: `drumlin://repository/ref/path`, the one way to name a place in a repository in a URL.
//! The authority is the repository and the first segment is the ref, as in `s3://repository/ref/path` at a gateway.
//! Invariant: what prints, parses back to the same address, also by way of a URL library.

use std::{fmt, str::FromStr};

use drumlin_model::{Cure, ErrorKind, PathError, RefExpr, RefNameError, RepoPath};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The scheme of every address.
pub const SCHEME: &str = "drumlin";
/// The longest repository name, in bytes: what a host name may have.
pub const REPOSITORY_LEN_MAX: usize = 253;

/// What would end a URL's path or is changed by URL libraries on the way.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A place in a repository at a ref; without a path, the top of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub repository: String,
    pub reference: RefExpr,
    pub path: Option<RepoPath>,
}

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("{text:?} is not an address: {why}")]
    Form { text: String, why: &'static str },
    #[error("the address {text:?} has a bad ref")]
    Reference { text: String, source: RefNameError },
    #[error("the address {text:?} has a bad path")]
    Path { text: String, source: PathError },
}

impl AddressError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        vec![Cure::say(format!(
            "write {SCHEME}://REPOSITORY/REF/PATH, for example {SCHEME}://data/main/tables/flights"
        ))]
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let form = |why| AddressError::Form { text: shown(text), why };
        let rest = text
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix("://"))
            .ok_or_else(|| form("it does not start with drumlin://"))?;
        if rest.contains(['?', '#']) {
            return Err(form("it has a query or a fragment; write '?' as %3F and '#' as %23"));
        }
        let (repository, rest) = rest.split_once('/').unwrap_or((rest, ""));
        check_repository(repository).map_err(form)?;
        let (reference, path) = rest.split_once('/').unwrap_or((rest, ""));
        if reference.is_empty() {
            return Err(form("it names no ref after the repository"));
        }
        let reference = unescape(reference)
            .ok_or_else(|| form("its escapes are not UTF-8"))?
            .parse()
            .map_err(|source| AddressError::Reference {
                text: shown(text),
                source,
            })?;
        let path = match path.strip_suffix('/').unwrap_or(path) {
            "" => None,
            path => {
                let path = unescape(path).ok_or_else(|| form("its escapes are not UTF-8"))?;
                Some(RepoPath::new(path).map_err(|source| AddressError::Path {
                    text: shown(text),
                    source,
                })?)
            }
        };
        Ok(Address {
            repository: repository.to_owned(),
            reference,
            path,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}/{}", self.repository, self.reference)?;
        match &self.path {
            Some(path) => write!(f, "/{}", utf8_percent_encode(path.as_str(), ESCAPED)),
            None => Ok(()),
        }
    }
}

/// The authority holds the repository alone: URL registries drop a user part, so two refs would share one key.
fn check_repository(name: &str) -> Result<(), &'static str> {
    if name.contains('@') {
        return Err("the ref stands after the repository, not as repository@ref");
    }
    if name.is_empty() || name.len() > REPOSITORY_LEN_MAX {
        return Err("the repository must have 1 to 253 bytes");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        return Err("the repository may have ASCII letters, digits, '-', '_' and '.'");
    }
    Ok(())
}

fn unescape(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
