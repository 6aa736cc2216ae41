//! Versioning: refs, snapshots, sessions, commits, merge, undo and checks, over the chunks of the floor below.
//! `objects` above shows snapshots and sessions as object stores; `worktree` as a folder.
//! Invariant: the only change of shared state is one swap of the root; everything else that is written is new.

pub mod clock;
mod commit;
mod commits;
pub mod error;
pub mod fsck;
pub mod logs;
pub mod merge;
pub mod operations;
mod outputs;
mod overlay;
pub mod refs;
pub mod repo;
mod root;
pub mod session;
pub mod snapshot;
pub mod trees;
mod walk;

pub use clock::{Clock, SystemClock};
pub use commits::{ProvenanceRead, Recorded};
pub use error::{Error, Result};
pub use fsck::Report;
pub use merge::Merged;
pub use overlay::Change;
pub use repo::{Repo, Resolved};
pub use session::{CommitInfo, OnConflict, Session};
pub use snapshot::Snapshot;
pub use trees::{Changes, Conflict, PathDiff};
