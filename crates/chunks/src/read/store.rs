//! `ChunkStore`: content by its id. Reads here, verified; writes through a `ContentWriter`.
//! Above, `repo` keeps ids and locations in trees; below, `fetch`, `plan` and `index` find the bytes.
//! Invariant: a read returns the bytes whose hash was asked for, or an error.

use std::{path::PathBuf, sync::Arc};

use drumlin_model::Timestamp;

use crate::{
    bucket::Bucket,
    format::{outboard::Outboard, recipe::Recipe},
    index::Index,
    recent::Recent,
    write::{pack_ids::PackIds, writer::ContentWriter},
};

/// Kept chunk lists: enough for 20 GB of files.
const RECIPE_BYTES_MAX: usize = 32 << 20;
/// Kept outboards: enough for 32 GB of blobs.
const OUTBOARD_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug)]
pub struct ChunkStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    index: Arc<Index>,
    /// So that reading a long file piece by piece fetches its chunk list once.
    recipes: Recent<Recipe>,
    outboards: Recent<Outboard>,
}

impl ChunkStore {
    /// `cache` is a local folder for what the index fetches; it may be shared by the processes of one clone.
    pub fn new(bucket: Bucket, cache: Option<PathBuf>) -> Self {
        let index = Arc::new(Index::new(bucket.clone(), cache));
        Self {
            inner: Arc::new(Inner {
                bucket,
                index,
                recipes: Recent::new(RECIPE_BYTES_MAX),
                outboards: Recent::new(OUTBOARD_BYTES_MAX),
            }),
        }
    }

    pub fn bucket(&self) -> &Bucket {
        &self.inner.bucket
    }

    pub(crate) fn index(&self) -> &Index {
        &self.inner.index
    }

    pub(crate) fn recipes(&self) -> &Recent<Recipe> {
        &self.inner.recipes
    }

    pub(crate) fn outboards(&self) -> &Recent<Outboard> {
        &self.inner.outboards
    }

    /// A new writer, whose packs are named by the time: `began` is the present. Has to be called within a tokio runtime, which
    /// the writer then uploads on.
    pub fn writer(&self, began: Timestamp) -> ContentWriter {
        let ids = PackIds::since(began);
        ContentWriter::new(self.inner.bucket.clone(), self.inner.index.clone(), ids)
    }
}
