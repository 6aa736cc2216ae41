//! Bytes in, content-addressed chunks out: cutting, hashing, compressing, packing, indexing, fetching, checking.
//! Below stands a `Bucket` (any object store) and a `RootStore` (one mutable object); above, `repo` gives names to what is kept here.
//! Invariant: no byte leaves this crate unverified, and nothing that a writer returned is promised before `flush`.

mod blob;
pub mod bucket;
mod bytes_reader;
mod cache;
pub mod check;
pub mod cutter;
mod durable_dir;
mod durable_file;
pub mod error;
mod fetch;
mod file_builder;
mod index;
mod outboard;
mod pack;
mod packs;
pub mod place;
mod plan;
pub mod progress;
mod recent;
mod recipe;
mod record;
pub mod root_store;
pub mod storage;
pub mod store;
mod stream;
mod table;
mod task;
pub mod writer;

pub use bucket::{Bucket, ObjectInfo, Put};
pub use check::Problem;
pub use error::{Error, Result};
pub use place::Place;
pub use progress::{NoProgress, Progress, Unit};
pub use root_store::{DirectoryRoot, ObjectRoot, RootStore, RootVersion, Swap};
pub use storage::{Scratch, Storage};
pub use store::ChunkStore;
pub use writer::{Added, ContentWriter, FileWriter, WriteSummary};
