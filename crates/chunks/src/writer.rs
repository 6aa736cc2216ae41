//! skeleton
use crate::error::Result;
use bytes::Bytes;
use drumlin_model::{FileId, Location};
use std::path::Path;

/// What was added: the content's id, its size in bytes, and where it will be after the next `flush`.
pub type Added = (FileId, u64, Location);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Content that was accepted since the last flush, in bytes.
    pub bytes_added: u64,
    /// Of those, bytes that no pack or blob held before.
    pub bytes_new: u64,
    /// What was sent to the bucket, in bytes.
    pub bytes_stored: u64,
    pub packs: u64,
    pub blobs: u64,
}

#[derive(Clone, Debug)]
pub struct ContentWriter {}
impl ContentWriter {
    pub async fn add_bytes(&self, _content: Bytes) -> Result<Added> {
        todo!()
    }
    pub async fn add_file(&self, _path: &Path) -> Result<Added> {
        todo!()
    }
    /// `add_file` for a thread that may block, for instance one of a pool that walks a folder.
    pub fn add_file_blocking(&self, _path: &Path) -> Result<Added> {
        todo!()
    }
    pub fn file(&self) -> FileWriter {
        todo!()
    }
    pub async fn add_blob(&self, _content: Bytes) -> Result<Added> {
        todo!()
    }
    pub async fn add_blob_file(&self, _path: &Path) -> Result<Added> {
        todo!()
    }
    pub async fn flush(&self) -> Result<WriteSummary> {
        todo!()
    }
}

#[derive(Debug)]
pub struct FileWriter {}
impl FileWriter {
    pub async fn push(&mut self, _bytes: Bytes) -> Result<()> {
        todo!()
    }
    pub async fn finish(self) -> Result<Added> {
        todo!()
    }
}
