//! skeleton
use crate::{bucket::Bucket, error::Result, writer::ContentWriter};
use bytes::Bytes;
use drumlin_model::{File, Location, PackId};
use futures::stream::BoxStream;
use std::{ops::Range, path::PathBuf};

/// Something that a check found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key of the object.
    pub object: String,
    pub detail: String,
}

#[derive(Clone, Debug)]
pub struct ChunkStore {
    bucket: Bucket,
    cache: Option<PathBuf>,
}
impl ChunkStore {
    pub fn new(bucket: Bucket, cache: Option<PathBuf>) -> Self {
        Self { bucket, cache }
    }
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
    pub fn writer(&self) -> ContentWriter {
        let _ = &self.cache;
        todo!()
    }
    pub async fn read(&self, _file: &File, _at: &Location) -> Result<Bytes> {
        todo!()
    }
    pub async fn read_ranges(&self, _file: &File, _at: &Location, _ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        todo!()
    }
    pub fn stream(&self, _file: &File, _at: &Location) -> BoxStream<'static, Result<Bytes>> {
        todo!()
    }
    pub fn read_many(&self, _files: Vec<(File, Location)>) -> BoxStream<'static, Result<(usize, Bytes)>> {
        todo!()
    }
    pub async fn check_pack(&self, _pack: PackId) -> Result<Vec<Problem>> {
        todo!()
    }
    pub async fn check_blob(&self, _id: drumlin_model::FileId) -> Result<Vec<Problem>> {
        todo!()
    }
    pub async fn check_index(&self) -> Result<Vec<Problem>> {
        todo!()
    }
    pub async fn list_packs(&self) -> Result<Vec<PackId>> {
        todo!()
    }
    pub async fn list_blobs(&self) -> Result<Vec<drumlin_model::FileId>> {
        todo!()
    }
    /// Whether the content can be found (by hint or index), without reading it.
    pub async fn has(&self, _file: &File, _at: &Location) -> Result<bool> {
        todo!()
    }
}
