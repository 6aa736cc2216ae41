//! Bytes in, content-addressed chunks out: cutting, hashing, compressing, packing, indexing, fetching, checking.
//! Below stands a `Bucket` (any object store) and a `RootStore` (one mutable object); above, `repo` gives names to what is kept here.
//! Invariant: no byte leaves this crate unverified, and nothing that a writer returned is promised before `flush`.
//!
//! `write/` is the way in, `read/` the way out, `format/` the bytes between them; `disk/` is the local folder as a bucket.
//! `index` knows which record is in which pack, for both sides.

mod bucket;
mod disk;
mod error;
mod format;
mod index;
mod keys;
mod limits;
mod place;
pub mod progress;
mod read;
mod recent;
mod root_store;
mod storage;
mod task;
mod write;

pub use bucket::{Bucket, ObjectInfo, Put};
pub use disk::directory_root::DirectoryRoot;
pub use error::{Error, Result};
pub use format::{
    cutter::{CHUNK_LEN_MAX, CHUNK_LEN_MEAN, CHUNK_LEN_MIN, cut},
    recipe::{SEGMENTS_MAX, Segments},
    segment::SEGMENT_LEN,
};
pub use limits::Limits;
pub use place::Place;
pub use progress::{NoProgress, Progress, Task, Unit};
pub use read::{check::Problem, store::ChunkStore};
pub use recent::Recent;
pub use root_store::{ObjectRoot, RootStore, RootVersion, Swap};
pub use storage::{Scratch, Storage};
pub use write::{
    pack_ids::PackIds,
    packs::{Added, WriteSummary},
    writer::{ContentWriter, FileWriter},
};
