//! Where the objects of this crate stand in the bucket: their folders and keys.
//! Everything that reads or writes one names it by these.

use drumlin_model::{FileId, PackId};

/// Packs, each under its random id.
pub(crate) const PACKS: &str = "packs/";
/// Index objects, each under its hash.
pub(crate) const INDEX: &str = "index/";
/// Blobs, each under the id of the file that it is.
pub(crate) const BLOBS: &str = "blobs/";
/// Outboards, each under the id of its blob.
const OUTBOARDS: &str = "outboards/";

pub(crate) fn pack_key(pack: &PackId) -> String {
    format!("{PACKS}{pack}")
}

pub(crate) fn index_key(name: &str) -> String {
    format!("{INDEX}{name}")
}

pub(crate) fn blob_key(id: &FileId) -> String {
    format!("{BLOBS}{id}")
}

pub(crate) fn outboard_key(id: &FileId) -> String {
    format!("{OUTBOARDS}{id}")
}
