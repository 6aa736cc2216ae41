//! `Provenance`: what made a commit, in words and versions: the record from which lineage is read.
//! A commit names it by the hash of its stored bytes (`document`); it is an object of its own.
//! Invariant: everything personal of a commit is in here, so that it can be erased and every other hash still verifies.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    document::Document,
    error::FormatError,
    id::{CommitId, ProvenanceId},
    path::RepoPath,
    time::Timestamp,
};

/// The newest provenance format that this program writes and reads.
pub const PROVENANCE_FORMAT: u32 = 1;
/// The longest provenance that is written and read, in bytes: it is names, not data.
pub const PROVENANCE_LEN_MAX: usize = 16 << 20;

const DOCUMENT: Document = Document {
    noun: "provenance",
    magic: "drumlin provenance ",
    format: PROVENANCE_FORMAT,
    len_max: PROVENANCE_LEN_MAX,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    pub message: String,
    /// The verb, as on the command line: `commit`, `table append`, `apply`, `train create`. See `names::Verb`.
    pub verb: String,
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
    /// Chosen at random by the writer.
    pub nonce: Nonce,
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

/// Random bytes in a provenance, so that nobody finds out an erased one by hashing guesses of what it said.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Nonce([u8; Nonce::LEN]);

impl Nonce {
    /// In bytes: more guesses than anybody can make.
    pub const LEN: usize = 16;

    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

impl FromStr for Nonce {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| FormatError::damaged("a nonce", "it is not 32 hex digits"))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Provenance {
    /// The bytes to store; their hash is the provenance's id.
    pub fn to_bytes(&self) -> Vec<u8> {
        DOCUMENT.write(self)
    }

    /// Reads a provenance back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: ProvenanceId, bytes: &[u8]) -> Result<Self, FormatError> {
        DOCUMENT.read(&id, bytes, ProvenanceId::of)
    }
}
