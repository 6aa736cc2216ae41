//! Snapshots and sessions as `object_store` stores, so that whatever reads Parquet or Delta reads a commit; and `Address`.
//! Below: `drumlin-repo`, which owns the meaning of a read and a write. Above: `drumlin-tables`, which registers these stores.
//! Invariant: a store is bound to one commit or one session, never to a moving name.
//!
//! What an object is, here:
//! - its key is the path in the tree, byte for byte (`object_store`'s own escapes are part of the name, as they are on S3);
//! - its etag is the first half of the [`FileId`](drumlin_model::FileId) and `-1`, so equal etags mean equal bytes. The end says what it says on S3,
//!   that this is no MD5: programs that would check one pass over it. It has no version;
//! - its content type and user metadata are the entry's [`Attributes`](drumlin_model::Attributes);
//! - `last_modified` is the time kept in the tree, the same whoever reads it;
//! - files and external entries are objects. Folders are not, and a symbolic link is neither listed nor followed:
//!   an object store has no such thing, and the text of its target must not be mistaken for data.

mod address;
mod attributes;
mod error;
mod key;
mod read;
mod reference_store;
mod session_store;
mod snapshot_store;
mod upload;

pub use address::{Address, AddressError};
pub use error::Error;
pub use key::{object_path, repo_path};
pub use read::etag;
pub use reference_store::RepoStore;
pub use session_store::{BLOB_LEN_MIN, SessionStore};
pub use snapshot_store::SnapshotStore;
