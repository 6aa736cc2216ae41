//! `ChunkStore`: content by its id. Reads here, verified; writes through a `ContentWriter`.
//! Above, `repo` keeps ids and locations in trees; below, `fetch`, `plan` and `index` find the bytes.
//! Invariant: a read returns the bytes whose hash was asked for, or an error.

use std::{path::PathBuf, sync::Arc};

use drumlin_model::{FileId, Timestamp};

use crate::{
    bucket::Bucket,
    format::{
        outboard::Outboard,
        recipe::{Recipe, Segments},
        segment::Segment,
    },
    index::Index,
    recent::Recent,
    write::{pack_ids::PackIds, writer::ContentWriter},
};

/// Kept recipes, those of 16 TiB among them.
const RECIPE_BYTES_MAX: usize = 16 << 20;
/// Kept segments: enough for 16 GB of files.
const SEGMENT_BYTES_MAX: usize = 32 << 20;
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
    /// So that reading a long file piece by piece fetches its recipe once.
    recipes: Recent<FileId, Arc<Recipe>>,
    /// By file and number.
    segments: Recent<(FileId, u64), Arc<Segment>>,
    outboards: Recent<FileId, Arc<Outboard>>,
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
                segments: Recent::new(SEGMENT_BYTES_MAX),
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

    pub(crate) fn recipes(&self) -> &Recent<FileId, Arc<Recipe>> {
        &self.inner.recipes
    }

    pub(crate) fn segments(&self) -> &Recent<(FileId, u64), Arc<Segment>> {
        &self.inner.segments
    }

    pub(crate) fn outboards(&self) -> &Recent<FileId, Arc<Outboard>> {
        &self.inner.outboards
    }

    /// A new writer, whose packs are named by the time: `began` is the present. Has to be called within a tokio runtime, which
    /// the writer then uploads on.
    pub fn writer(&self, began: Timestamp) -> ContentWriter {
        self.writer_with(PackIds::since(began), Segments::default())
    }

    /// The same with ids for its packs and segments of another length: for tests, because readers read all of them.
    pub fn writer_with(&self, ids: PackIds, segments: Segments) -> ContentWriter {
        ContentWriter::new(self.inner.bucket.clone(), self.inner.index.clone(), ids, segments)
    }
}
