//! The nouns of Drumlin as pure data, and the bytes that they are stored as.
//! Everything above imports this crate; it imports nothing of ours, does no I/O, reads no clock, spawns nothing.
//! Invariant: an object's id is a function of its bytes alone, and never of where they are stored.

pub mod attributes;
pub mod by;
pub mod commit;
pub mod cure;
mod document;
pub mod entry;
pub mod error;
pub mod feature;
pub mod id;
pub mod names;
pub mod operation;
pub mod path;
pub mod provenance;
pub mod reference;
pub mod refs;
pub mod root;
pub mod stored;
pub mod time;
pub mod tree;

pub use attributes::{AttributeError, Attributes};
pub use by::By;
pub use commit::{Commit, TooManyParents};
pub use cure::{Argument, Cure};
pub use entry::{Entry, EntryKind, External, File, Location, Placed};
pub use error::{ErrorKind, FormatError};
pub use id::{ChangesId, ChunkId, CommitId, FileId, OperationId, PackId, ProvenanceId, RangeId, RepositoryId, TreeId};
pub use names::Verb;
pub use operation::{Changes, Operation, OperationPage, RefChange};
pub use path::{PathError, RepoPath};
pub use provenance::{Code, Input, Nonce, Provenance};
pub use reference::{RefExpr, RefName, RefNameError};
pub use refs::{Ref, RefKind, RefTarget, Refs, Remote};
pub use root::{Requires, Root, Settings};
pub use stored::Rest;
pub use time::Timestamp;
