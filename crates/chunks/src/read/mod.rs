//! The read side: content by its id, verified.
//! `files` is what the floors above call. Below it `content` finds out what a file consists of, `chunked` reads long
//! files and `blob` blobs, both by whole `blocks`, and `records` reads packs, by the reads that `plan` finds cheapest. `check` is what
//! `fsck` calls. All are methods of `store`'s `ChunkStore`.

mod blob;
mod blocks;
pub(crate) mod check;
mod chunked;
mod content;
mod files;
mod plan;
mod records;
pub(crate) mod store;
