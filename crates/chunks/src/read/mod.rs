//! The read side: content by its id, verified.
//! `files` is what the floors above call. Below it `fetch` reads records of packs, `stream` long files, `blob` blobs, by the reads
//! that `plan` finds cheapest; `check` is what `fsck` calls. All are methods of `store`'s `ChunkStore`.

mod blob;
pub(crate) mod check;
mod fetch;
mod files;
mod plan;
pub(crate) mod store;
mod stream;
