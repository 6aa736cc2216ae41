//! `Commit`: a tree, its parents and its provenance. Stored as one line that names the format, then JSON,
//! so that an auditor needs no tool of ours to read one. The id is the hash of those bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::FormatError,
    id::{CommitId, TreeId},
    path::RepoPath,
    time::Timestamp,
};

/// The newest commit format that this program writes and reads.
pub const COMMIT_FORMAT: u32 = 1;
const MAGIC: &str = "drumlin commit ";
/// The largest commit that is written and read, in bytes: provenance is names, not data.
pub const COMMIT_LEN_MAX: usize = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub tree: TreeId,
    /// None for the first commit; the first parent is the branch that was written to.
    pub parents: Vec<CommitId>,
    pub message: String,
    pub provenance: Provenance,
}

/// What made a commit: the record from which lineage is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The verb, as on the command line: `commit`, `table append`, `apply`, `train create`.
    pub operation: String,
    /// Who asked for it.
    pub actor: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// What was written: files, or folders whose whole content is one thing (a table, a training set).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<RepoPath>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The Git commit of the code that ran, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Something that was read: a path of this repository at a commit, or an address outside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// A repository path, or a URL or file path outside the repository.
    pub name: String,
    /// The commit that the path was read at; none for what is outside the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The version of the thing itself where it has one: a table version, a content hash, an etag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The outputs that it went into; all of them when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub into: Vec<RepoPath>,
}

/// The state of the code's own version control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub git_commit: String,
    /// Whether files differed from that commit.
    pub dirty: bool,
}

impl Commit {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}{COMMIT_FORMAT}\n").into_bytes();
        serde_json::to_writer_pretty(&mut bytes, self).expect("a commit has only string keys");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a commit back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: CommitId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = || format!("commit {id}");
        FormatError::check_len(&object(), bytes, COMMIT_LEN_MAX)?;
        if CommitId::of(bytes) != id {
            return Err(FormatError::damaged(object(), "its bytes do not have its hash"));
        }
        let line_end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
        let format = std::str::from_utf8(&bytes[..line_end])
            .ok()
            .and_then(|line| line.strip_prefix(MAGIC)?.parse().ok())
            .ok_or_else(|| FormatError::damaged(object(), "it does not start as a commit does"))?;
        if format > COMMIT_FORMAT {
            return Err(FormatError::TooNew {
                object: object(),
                found: format,
                newest: COMMIT_FORMAT,
            });
        }
        serde_json::from_slice(&bytes[line_end..]).map_err(|error| FormatError::damaged(object(), error.to_string()))
    }
}
