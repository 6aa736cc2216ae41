//! Keys of an object store and paths of a tree: the same text, byte for byte, each way.
//! A tree's paths are the narrower of the two (lengths, control characters, `.drumlin`), so only keys can fail to fit.

use drumlin_model::RepoPath;
use object_store::path::Path;

use crate::error::Error;

/// The key of a path. Never goes through `Path::from`, which would escape characters that are part of the name.
pub fn object_path(path: &RepoPath) -> Path {
    Path::parse(path.as_str()).expect("every path of a tree is a valid key")
}

/// The path of a key, or why no tree can hold it.
pub fn repo_path(key: &Path) -> Result<RepoPath, Error> {
    RepoPath::new(key.as_ref()).map_err(|source| Error::Key {
        key: key.to_string(),
        source,
    })
}
