//! `Root`: the one mutable object of a repository: what the repository is, its refs and the newest operations.
//! Changed by compare-and-swap alone. `refs` and `operation` are its parts; `stored` says how its bytes begin.
//! Invariant: what a program does not know stays as it is, and a program that would misread or spoil a repository is
//! told so by `requires` and `settings`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::FormatError,
    id::{OperationId, RepositoryId},
    operation::Operation,
    reference::RefName,
    refs::Refs,
    stored::{Rest, Sealed},
    time::Timestamp,
};

/// The newest root format that this program writes and reads; also the format of the repository.
pub const ROOT_FORMAT: u32 = 1;
/// The largest root that is written and read, in bytes: about 100,000 refs.
pub const ROOT_LEN_MAX: usize = 32 << 20;

/// The hash that names objects. Another one cannot be read: nothing would have its id.
pub const HASH: &str = "blake3";
/// How content is cut into chunks: the crate and form, then least, average and greatest length, and the normalization.
pub const CUTTER: &str = "fastcdc-2020/8192/65536/131072/1";
/// How trees are cut into ranges: by the hash of a path; entries on average, entries at most, weight at most.
pub const TREE_CUTTER: &str = "path-blake3/2048/8192/1048576";

/// The features in `requires` that this program knows. None so far: what is in page 001 needs no mention.
const FEATURES: [&str; 0] = [];
const OBJECT: &str = "the repository";

const SEALED: Sealed = Sealed {
    magic: "drumlin root ",
    format: ROOT_FORMAT,
    len_max: ROOT_LEN_MAX,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Random, chosen when the repository is made: two repositories are the same one when they have the same id.
    pub id: RepositoryId,
    /// When the repository was made.
    pub created: Timestamp,
    #[serde(default)]
    pub requires: Requires,
    pub settings: Settings,
    pub refs: Refs,
    /// The newest operations, oldest first. Never empty once a repository exists.
    pub operations: Vec<Operation>,
    /// The object that holds the operations before those, which names the one before it in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_operations: Option<OperationId>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// Features that a program has to know before it touches the repository, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requires {
    /// Who does not know one of these must not read.
    #[serde(default)]
    pub read: BTreeSet<String>,
    /// Who does not know one of these must not write.
    #[serde(default)]
    pub write: BTreeSet<String>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// What was decided when the repository was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The hash that names objects. A program that does not know it must not read.
    pub hash: String,
    /// Where content is cut. A program that does not know it must not write: equal content would be stored twice.
    pub cutter: String,
    /// Where trees are cut. A program that does not know it must not write: equal trees would get two ids.
    pub tree_cutter: String,
    /// The branch that a clone checks out.
    pub default_branch: RefName,
    #[serde(flatten)]
    pub rest: Rest,
}

/// As much of a root as says whether this program may read it.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    requires: Requires,
    settings: HeadSettings,
}

#[derive(Deserialize)]
struct HeadSettings {
    hash: String,
}

impl Settings {
    /// What this program chooses for a new repository.
    pub fn new(default_branch: RefName) -> Self {
        Self {
            hash: HASH.to_owned(),
            cutter: CUTTER.to_owned(),
            tree_cutter: TREE_CUTTER.to_owned(),
            default_branch,
            rest: Rest::new(),
        }
    }
}

impl Root {
    /// The bytes to store. Whoever stores them refuses more than `ROOT_LEN_MAX`.
    pub fn to_bytes(&self) -> Vec<u8> {
        SEALED.seal(self)
    }

    /// Reads a root back, unless it says that this program must not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let json = SEALED.unseal("the root", bytes).map_err(|error| match error {
            FormatError::TooNew { found, newest, .. } => FormatError::TooNew {
                object: OBJECT.to_owned(),
                found,
                newest,
            },
            other => other,
        })?;
        match serde_json::from_slice::<Self>(json) {
            Ok(root) => check_read(&root.requires, &root.settings.hash).map(|()| root),
            Err(error) => {
                // What makes it unreadable may be what it requires.
                if let Ok(head) = serde_json::from_slice::<Head>(json) {
                    check_read(&head.requires, &head.settings.hash)?;
                }
                Err(FormatError::damaged("the root", error.to_string()))
            }
        }
    }

    /// Refuses when this program would spoil the repository by writing to it.
    pub fn check_write(&self) -> Result<(), FormatError> {
        for (what, found, known) in [
            ("cutter", &self.settings.cutter, CUTTER),
            ("tree cutter", &self.settings.tree_cutter, TREE_CUTTER),
        ] {
            if found != known {
                return Err(unknown("changed", what, found));
            }
        }
        check_features("changed", &self.requires.write)
    }
}

fn check_read(requires: &Requires, hash: &str) -> Result<(), FormatError> {
    check_features("read", &requires.read)?;
    if hash == HASH {
        Ok(())
    } else {
        Err(unknown("read", "hash", hash))
    }
}

fn check_features(action: &'static str, required: &BTreeSet<String>) -> Result<(), FormatError> {
    match required.iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
        Some(feature) => Err(unknown(action, "feature", feature)),
        None => Ok(()),
    }
}

fn unknown(action: &'static str, what: &'static str, name: &str) -> FormatError {
    FormatError::Unknown {
        object: OBJECT.to_owned(),
        action,
        what,
        name: name.to_owned(),
    }
}
