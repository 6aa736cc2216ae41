//! `Root`: the one mutable object of a repository: its refs and the newest operations. Changed by compare-and-swap alone.
//! Stored as a line `drumlin root FORMAT HASH` and JSON with that BLAKE3 hash, so that a torn or flipped byte is seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::FormatError,
    id::{CommitId, OperationId, TreeId},
    reference::RefName,
    time::Timestamp,
};

/// The newest root format that this program writes and reads; also the format of the repository.
pub const ROOT_FORMAT: u32 = 1;
const MAGIC: &str = "drumlin root ";
/// The largest root that is written and read, in bytes: about 100,000 refs.
pub const ROOT_LEN_MAX: usize = 32 << 20;

/// The newest format of a page of older operations.
pub const OPERATIONS_FORMAT: u32 = 1;
const OPERATIONS_MAGIC: &str = "drumlin operations ";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub refs: Refs,
    /// The newest operations, oldest first. Never empty once a repository exists.
    pub operations: Vec<Operation>,
    /// The object that holds the operations before those, which names the one before it in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_operations: Option<OperationId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refs {
    pub branches: BTreeMap<RefName, RefTarget>,
    pub tags: BTreeMap<RefName, RefTarget>,
}

/// A commit, and its tree beside it so that reading a path needs no look at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefTarget {
    pub commit: CommitId,
    pub tree: TreeId,
}

/// One change of the root: enough to recognise it after a lost answer, to show it, and to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    pub time: Timestamp,
    pub actor: String,
    /// The verb: `commit`, `merge`, `branch create`, `undo`.
    pub verb: String,
    /// What it did, for people.
    pub summary: String,
    pub changes: Vec<RefChange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefChange {
    pub kind: RefKind,
    pub name: RefName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RefTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RefTarget>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    Branch,
    Tag,
}

/// A run of operations that were moved out of the root, oldest first. Named by its newest operation, so that every
/// writer who moves the same run writes the same object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationPage {
    pub operations: Vec<Operation>,
    /// The page before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<OperationId>,
}

impl Root {
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(
            MAGIC,
            ROOT_FORMAT,
            &serde_json::to_vec(self).expect("a root has only string keys"),
        )
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        FormatError::check_len("the root", bytes, ROOT_LEN_MAX)?;
        let json = unseal(MAGIC, ROOT_FORMAT, "the root", bytes)?;
        serde_json::from_slice(json).map_err(|error| FormatError::damaged("the root", error.to_string()))
    }
}

impl OperationPage {
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("operations have only string keys");
        seal(OPERATIONS_MAGIC, OPERATIONS_FORMAT, &json)
    }

    /// Reads the page `id` back: its newest operation is the one that names it.
    pub fn from_bytes(id: OperationId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = format!("the page of operations {id}");
        let json = unseal(OPERATIONS_MAGIC, OPERATIONS_FORMAT, &object, bytes)?;
        let page: Self =
            serde_json::from_slice(json).map_err(|error| FormatError::damaged(&object, error.to_string()))?;
        if page.operations.last().map(|newest| newest.id) != Some(id) {
            return Err(FormatError::damaged(
                object,
                "it holds other operations than its name says",
            ));
        }
        Ok(page)
    }
}

/// `MAGIC FORMAT HASH` on a line, then the JSON that has that hash.
fn seal(magic: &str, format: u32, json: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{magic}{format} {}\n", blake3::hash(json).to_hex()).into_bytes();
    bytes.extend_from_slice(json);
    bytes
}

fn unseal<'a>(magic: &str, newest: u32, object: &str, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
    let damaged = |detail: &str| FormatError::damaged(object, detail);
    let line_end = bytes
        .iter()
        .position(|&b| b == b'\n')
        .ok_or_else(|| damaged("it has no first line"))?;
    let line = std::str::from_utf8(&bytes[..line_end]).map_err(|_| damaged("its first line is not text"))?;
    let (format, hash) = line
        .strip_prefix(magic)
        .and_then(|rest| rest.split_once(' '))
        .ok_or_else(|| damaged("it does not start as it should"))?;
    let format = format.parse().map_err(|_| damaged("its format is not a number"))?;
    if format > newest {
        let object = if magic == MAGIC { "the repository" } else { object };
        return Err(FormatError::TooNew {
            object: object.into(),
            found: format,
            newest,
        });
    }
    let json = &bytes[line_end + 1..];
    if blake3::hash(json).to_hex().as_str() != hash {
        return Err(damaged("its bytes do not have the hash of its first line"));
    }
    Ok(json)
}

impl Refs {
    pub fn get(&self, kind: RefKind, name: &RefName) -> Option<RefTarget> {
        self.of(kind).get(name).copied()
    }
    pub fn of(&self, kind: RefKind) -> &BTreeMap<RefName, RefTarget> {
        match kind {
            RefKind::Branch => &self.branches,
            RefKind::Tag => &self.tags,
        }
    }
    pub fn of_mut(&mut self, kind: RefKind) -> &mut BTreeMap<RefName, RefTarget> {
        match kind {
            RefKind::Branch => &mut self.branches,
            RefKind::Tag => &mut self.tags,
        }
    }
}
