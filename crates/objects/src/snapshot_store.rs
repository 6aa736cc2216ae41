//! `SnapshotStore`: one commit as an object store that only reads.
//! Reading is in `read`; this file says what a write gets. `SessionStore` is its writing sibling.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_model::{Placed, RepoPath};
use drumlin_repo::Snapshot;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};

use crate::{
    error::Error,
    read::{self, Source},
};

/// The objects of one commit. Every write is refused with a permission error whose hint is to open a session.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    snapshot: Snapshot,
}

impl SnapshotStore {
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

#[async_trait]
impl Source for Snapshot {
    async fn entry(&self, path: &RepoPath) -> drumlin_repo::Result<Option<Placed>> {
        Snapshot::entry(self, path).await
    }
    fn list(
        &self,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, drumlin_repo::Result<(RepoPath, Placed)>> {
        Snapshot::list(self, folder, start_after)
    }
    async fn read_ranges(
        &self,
        path: &RepoPath,
        placed: &Placed,
        ranges: &[Range<u64>],
    ) -> drumlin_repo::Result<Vec<Bytes>> {
        self.read_placed_ranges(path, placed, ranges).await
    }
    fn stream(&self, path: &RepoPath, placed: &Placed) -> BoxStream<'static, drumlin_repo::Result<Bytes>> {
        self.stream_placed(path, placed)
    }
}

impl fmt::Display for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotStore({})", self.snapshot.commit().short())
    }
}

pub(crate) fn read_only<T>(key: &Path) -> Result<T> {
    Err(Error::ReadOnly { key: key.to_string() }.into())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for SnapshotStore {
    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only(location)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only(location)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        read::get_opts(&self.snapshot, location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        read::get_ranges(&self.snapshot, location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|location| read_only(&location?)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        read::list(&self.snapshot, prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        read::list(&self.snapshot, prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        read::list_with_delimiter(&self.snapshot, prefix).await
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        read_only(to)
    }

    async fn rename_opts(&self, from: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        read_only(from)
    }
}
