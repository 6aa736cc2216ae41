//! `Operation`: one change of the root, which the operation log keeps. The newest stand in the root, older ones in pages.
//! `root` holds them; `repo` makes, moves and undoes them.
//! Invariant: an operation holds every ref that it changed as it was before and after, so it can be undone.

use serde::{Deserialize, Serialize};

use crate::{
    error::FormatError,
    id::{ChangesId, OperationId},
    reference::RefName,
    refs::{Ref, RefKind, RefTarget, Refs, Remote},
    stored::{Rest, Sealed},
    time::Timestamp,
};

/// The newest format of a page of older operations.
pub const OPERATIONS_FORMAT: u32 = 1;
/// The largest page that is written and read, in bytes. As much as the root may have: what was in it fits into a page.
pub const OPERATIONS_LEN_MAX: usize = 32 << 20;
/// The newest format of changes that stand outside their operation.
pub const CHANGES_FORMAT: u32 = 1;
/// The largest object of changes, in bytes: each ref of the largest root, before and after.
pub const CHANGES_LEN_MAX: usize = 128 << 20;

const PAGE: Sealed = Sealed {
    magic: "drumlin operations ",
    format: OPERATIONS_FORMAT,
    len_max: OPERATIONS_LEN_MAX,
};
const CHANGES_MAGIC: &str = "drumlin changes ";

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
    /// The refs that it changed, in order; empty when they stand in an object of their own.
    pub changes: Vec<RefChange>,
    /// The object that holds the changes, when there are too many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_in: Option<ChangesId>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// One ref before and after an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefChange {
    /// The other repository whose ref it is, as last seen; none for a ref of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RefName>,
    pub kind: RefKind,
    pub name: RefName,
    /// None when the ref was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Ref>,
    /// None when the ref is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Ref>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// A run of operations that were moved out of the root, oldest first. Named by its newest operation, so that every
/// writer who moves the same run writes the same object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationPage {
    pub operations: Vec<Operation>,
    /// The page before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<OperationId>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// The changes of one operation, as an object of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub changes: Vec<RefChange>,
    #[serde(flatten)]
    pub rest: Rest,
}

impl RefChange {
    /// A ref of this repository from one state to another.
    pub fn new(kind: RefKind, name: &RefName, before: Option<Ref>, after: Option<Ref>) -> Self {
        Self {
            remote: None,
            kind,
            name: name.clone(),
            before,
            after,
            rest: Rest::new(),
        }
    }

    /// A branch that goes to another commit, of that generation; what else is noted of it stays.
    pub fn moved(branch: &RefName, before: &Ref, to: RefTarget, generation: Option<u64>) -> Self {
        let after = before.moved_to(to, generation);
        Self::new(RefKind::Branch, branch, Some(before.clone()), Some(after))
    }

    /// The change that leads back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            remote: self.remote.clone(),
            ..Self::new(self.kind, &self.name, self.after.clone(), self.before.clone())
        }
    }

    /// The ref that this changes, as it is in `refs`.
    pub fn current<'a>(&self, refs: &'a Refs) -> Option<&'a Ref> {
        match &self.remote {
            None => refs.of(self.kind).get(&self.name),
            Some(remote) => refs.remotes.get(remote)?.of(self.kind).get(&self.name),
        }
    }

    /// Makes the change, whatever the ref is.
    pub fn make(&self, refs: &mut Refs) {
        let names = match &self.remote {
            None => refs.of_mut(self.kind),
            Some(remote) => refs.remotes.entry(remote.clone()).or_default().of_mut(self.kind),
        };
        match &self.after {
            Some(after) => names.insert(self.name.clone(), after.clone()),
            None => names.remove(&self.name),
        };
        refs.remotes.retain(|_, remote| *remote != Remote::default());
    }
}

impl OperationPage {
    /// The bytes to store. Whoever stores them refuses more than `OPERATIONS_LEN_MAX`.
    pub fn to_bytes(&self) -> Vec<u8> {
        PAGE.seal(self)
    }

    /// Reads the page `id` back: its newest operation is the one that names it.
    pub fn from_bytes(id: OperationId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = format!("the page of operations {id}");
        let json = PAGE.unseal(&object, bytes)?;
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

impl Changes {
    /// The id and the bytes to store. Whoever stores them refuses more than `CHANGES_LEN_MAX`.
    pub fn encode(&self) -> (ChangesId, Vec<u8>) {
        let mut bytes = format!("{CHANGES_MAGIC}{CHANGES_FORMAT}\n").into_bytes();
        serde_json::to_writer(&mut bytes, self).expect("changes have only string keys");
        (ChangesId::of(&bytes), bytes)
    }

    /// Reads changes back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: ChangesId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = || format!("the list of changes {id}");
        FormatError::check_len(&object(), bytes, CHANGES_LEN_MAX)?;
        if ChangesId::of(bytes) != id {
            return Err(FormatError::damaged(object(), "its bytes do not have its hash"));
        }
        let line_end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
        let format = std::str::from_utf8(&bytes[..line_end])
            .ok()
            .and_then(|line| line.strip_prefix(CHANGES_MAGIC)?.parse().ok())
            .ok_or_else(|| FormatError::damaged(object(), "it does not start as it should"))?;
        if format > CHANGES_FORMAT {
            return Err(FormatError::TooNew {
                object: object(),
                found: format,
                newest: CHANGES_FORMAT,
            });
        }
        serde_json::from_slice(&bytes[line_end..]).map_err(|error| FormatError::damaged(object(), error.to_string()))
    }
}
