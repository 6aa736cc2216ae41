//! `RepoPath`: where an entry stands in a tree. Relative, `/`-separated UTF-8, kept byte for byte as given.
//! Invariant: a value of this type names a place inside the repository on every system that we check out to.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The longest path, in bytes: what an S3 key holds, less room for a ref.
pub const PATH_LEN_MAX: usize = 900;
/// The longest name between two slashes, in bytes: what common file systems hold.
pub const NAME_LEN_MAX: usize = 255;
/// The folder beside a working copy that holds Drumlin's own files; never part of a tree.
pub const OWN_FOLDER: &str = ".drumlin";

/// A validated path inside a repository. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RepoPath(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PathError {
    #[error("a path must not be empty")]
    Empty,
    #[error("path {path:?} must be relative to the repository, without a slash at either end")]
    Slash { path: String },
    #[error("path {path:?} has the name {name:?}, which is not allowed")]
    Name { path: String, name: String },
    #[error("path {path:?} holds a control character")]
    Control { path: String },
    #[error("path {path:?} is too long ({len} bytes; a path may have {PATH_LEN_MAX}, a name {NAME_LEN_MAX})")]
    TooLong { path: String, len: usize },
}

impl RepoPath {
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        let shown = || path.chars().take(120).collect::<String>();
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.len() > PATH_LEN_MAX {
            return Err(PathError::TooLong {
                path: shown(),
                len: path.len(),
            });
        }
        if path.starts_with('/') || path.ends_with('/') {
            return Err(PathError::Slash { path: shown() });
        }
        if path.contains(|c: char| c.is_control()) {
            return Err(PathError::Control { path: shown() });
        }
        for name in path.split('/') {
            if matches!(name, "" | "." | ".." | OWN_FOLDER) {
                return Err(PathError::Name {
                    path: shown(),
                    name: name.to_owned(),
                });
            }
            if name.len() > NAME_LEN_MAX {
                return Err(PathError::TooLong {
                    path: shown(),
                    len: name.len(),
                });
            }
        }
        Ok(Self(path))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The last name of the path.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().expect("split yields at least one part")
    }
    /// The folder that holds this path; none at the top.
    pub fn parent(&self) -> Option<RepoPath> {
        self.0.rsplit_once('/').map(|(parent, _)| RepoPath(parent.to_owned()))
    }
    /// Every folder above this path, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = RepoPath> {
        std::iter::successors(self.parent(), RepoPath::parent)
    }
    pub fn join(&self, below: &str) -> Result<RepoPath, PathError> {
        RepoPath::new(format!("{}/{below}", self.0))
    }
    /// Whether this path is `folder` itself or stands anywhere below it.
    pub fn is_within(&self, folder: &RepoPath) -> bool {
        self.0
            .strip_prefix(&folder.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RepoPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        RepoPath::new(text)
    }
}

/// Maps by path can be asked for a range of text.
impl Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RepoPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RepoPath::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
