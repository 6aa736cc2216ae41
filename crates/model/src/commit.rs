//! `Commit`: a tree, its parents, its generation and time, and the id of its provenance. Small: walks read thousands.
//! `provenance` says what made it. The id is the hash of the stored bytes (`document`).
//! Invariant: a commit's generation is greater than that of each of its ancestors.

use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    error::FormatError,
    id::{CommitId, ProvenanceId, TreeId},
    time::Timestamp,
};

/// The newest commit format that this program writes and reads.
pub const COMMIT_FORMAT: u32 = 1;
/// The longest commit that is read, in bytes. One with `PARENTS_MAX` parents takes a tenth; the rest is for fields to come.
pub const COMMIT_LEN_MAX: usize = 64 << 10;
/// The most parents of a commit: a merge has two, and a merge of more heads at once than this is no work of people.
pub const PARENTS_MAX: usize = 64;
/// The greatest generation: every program that reads JSON keeps numbers up to here exact.
pub const GENERATION_MAX: u64 = 1 << 53;

const DOCUMENT: Document = Document {
    noun: "commit",
    magic: "drumlin commit ",
    format: COMMIT_FORMAT,
    len_max: COMMIT_LEN_MAX,
};
/// What a commit takes for each parent, and for all else, at most, in bytes.
const PARENT_LEN: usize = 4 + 2 + 64 + 2;
const REST_LEN_MAX: usize = 1024;
const _: () = assert!(PARENTS_MAX * PARENT_LEN + REST_LEN_MAX <= COMMIT_LEN_MAX);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub tree: TreeId,
    /// None for a first commit; the first parent is the branch that was written to.
    pub parents: Vec<CommitId>,
    /// 1 for a commit without parents, else one more than the greatest of the parents. An ancestor always has a smaller
    /// one, whatever the clocks said, so a walk knows where it may stop.
    pub generation: u64,
    /// When it was finished, as the writer's clock said.
    pub time: Timestamp,
    /// What made it: an object of its own, which may be erased without a change of any commit.
    pub provenance: ProvenanceId,
}

/// A commit that cannot be: it would have more than `PARENTS_MAX` parents.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a commit of {count} parents; at most {PARENTS_MAX} are possible")]
pub struct TooManyParents {
    pub count: usize,
}

impl Commit {
    /// A commit on top of others, each given with its generation.
    pub fn on(
        parents: impl IntoIterator<Item = (CommitId, u64)>,
        tree: TreeId,
        time: Timestamp,
        provenance: ProvenanceId,
    ) -> Result<Self, TooManyParents> {
        let (parents, generations): (Vec<_>, Vec<_>) = parents.into_iter().unzip();
        if parents.len() > PARENTS_MAX {
            return Err(TooManyParents { count: parents.len() });
        }
        Ok(Self {
            tree,
            parents,
            generation: 1 + generations.into_iter().max().unwrap_or(0),
            time,
            provenance,
        })
    }

    /// The bytes to store; their hash is the commit's id.
    pub fn to_bytes(&self) -> Vec<u8> {
        DOCUMENT.write(self)
    }

    /// Reads a commit back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: CommitId, bytes: &[u8]) -> Result<Self, FormatError> {
        let commit: Self = DOCUMENT.read(&id, bytes, CommitId::of)?;
        let damaged = |detail: String| Err(FormatError::damaged(format!("commit {id}"), detail));
        if commit.parents.len() > PARENTS_MAX {
            return damaged(format!("it has {} parents", commit.parents.len()));
        }
        let is_first = commit.parents.is_empty();
        if !(1..GENERATION_MAX).contains(&commit.generation) || is_first != (commit.generation == 1) {
            let count = commit.parents.len();
            return damaged(format!("it has generation {} and {count} parents", commit.generation));
        }
        Ok(commit)
    }
}
