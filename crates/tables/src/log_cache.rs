//! `LogCache`: the bytes of Delta logs, by content, and `CachedLog`, the store that reads them through it.
//! `table` opens tables over it; `engine` holds one cache for all of them.
//! Invariant: what is served was read under the etag that the path has now, and an etag is the hash of its bytes.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_chunks::Recent;
use drumlin_model::{Placed, RepoPath, names::DELTA_LOG};
use drumlin_repo::Snapshot;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
    path::Path,
};

use crate::error::{Error, Result};

/// All that is held, in bytes.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// The largest file that is held, in bytes: a checkpoint of some 10,000 data files.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// The longest run of log entries that is fetched ahead; a log without checkpoints may be longer.
const FILES_AHEAD_MAX: usize = 4096;

/// Log files by the hash of their bytes.
#[derive(Debug)]
pub(crate) struct LogCache {
    held: Recent<String, Bytes>,
}

impl Default for LogCache {
    fn default() -> Self {
        let held = Recent::new(CACHE_BYTES_MAX);
        Self { held }
    }
}

impl LogCache {
    fn get(&self, etag: &str) -> Option<Bytes> {
        self.held.get(etag)
    }

    fn put(&self, etag: String, bytes: Bytes) {
        let len = bytes.len();
        if len as u64 <= FILE_BYTES_MAX {
            self.held.insert(etag, bytes, len);
        }
    }

    /// Fetches what a reader of the table's newest version will ask for: the files since the last checkpoint, those of
    /// one pack in one request. Asked one by one, each would be a request.
    pub(crate) async fn fetch_ahead(&self, snapshot: &Snapshot, table: &RepoPath) -> Result<()> {
        let Ok(log) = table.join(DELTA_LOG) else { return Ok(()) };
        let entries: Vec<(RepoPath, Placed)> = snapshot.list(Some(&log), None).try_collect().await?;
        let checkpoint = entries
            .iter()
            .filter_map(|(path, _)| checkpoint_version(path.name()))
            .max();
        let wanted = entries.into_iter().filter(|(path, placed)| {
            let absent = || etag(placed).is_some_and(|etag| self.get(&etag).is_none());
            is_since(path.name(), checkpoint) && placed.entry.size() <= FILE_BYTES_MAX && absent()
        });
        let wanted: Vec<_> = wanted.take(FILES_AHEAD_MAX).collect();
        let tags: Vec<_> = wanted.iter().map(|(_, placed)| etag(placed)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut files = snapshot.read_many(wanted);
        while let Some((index, bytes)) = files.try_next().await.map_err(Error::from)? {
            if let Some(tag) = tags.get(index).cloned().flatten() {
                self.put(tag, bytes);
            }
        }
        Ok(())
    }
}

fn etag(placed: &Placed) -> Option<String> {
    placed.entry.as_file().map(|_| drumlin_objects::etag(&placed.entry))
}

fn checkpoint_version(name: &str) -> Option<u64> {
    name.split_once(".checkpoint.")?.0.parse().ok()
}

/// Whether a reader that starts at this checkpoint needs the file of this name.
fn is_since(name: &str, checkpoint: Option<u64>) -> bool {
    let version = name
        .strip_suffix(".json")
        .and_then(|version| version.parse::<u64>().ok());
    match version {
        Some(version) => checkpoint.is_none_or(|checkpoint| version > checkpoint),
        None => name == "_last_checkpoint" || checkpoint_version(name).is_some_and(|v| Some(v) == checkpoint),
    }
}

/// A store whose log files come from the cache; all else passes through.
#[derive(Debug)]
pub(crate) struct CachedLog<S> {
    inner: S,
    cache: Arc<LogCache>,
}

impl<S: ObjectStore> CachedLog<S> {
    pub(crate) fn new(inner: S, cache: Arc<LogCache>) -> Self {
        Self { inner, cache }
    }

    /// The whole file, when it is one that the cache may hold.
    async fn log_file(&self, location: &Path) -> StoreResult<Option<(ObjectMeta, Bytes)>> {
        if !is_log(location) {
            return Ok(None);
        }
        let meta = self.inner.head(location).await?;
        let Some(tag) = meta.e_tag.clone().filter(|_| meta.size <= FILE_BYTES_MAX) else {
            return Ok(None);
        };
        let bytes = match self.cache.get(&tag) {
            Some(bytes) => bytes,
            None => {
                let bytes = self.inner.get(location).await?.bytes().await?;
                self.cache.put(tag, bytes.clone());
                bytes
            }
        };
        Ok(Some((meta, bytes)))
    }
}

fn is_log(location: &Path) -> bool {
    location.parts().any(|part| part.as_ref() == DELTA_LOG)
}

fn is_plain(options: &GetOptions) -> bool {
    let conditions = [&options.if_match, &options.if_none_match, &options.version];
    let times = options.if_modified_since.is_some() || options.if_unmodified_since.is_some();
    !options.head && !times && conditions.into_iter().all(Option::is_none)
}

impl<S: fmt::Display> fmt::Display for CachedLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for CachedLog<S> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        let bytes = is_log(location).then(|| Bytes::from(payload.clone()));
        let put = self.inner.put_opts(location, payload, options).await?;
        if let (Some(tag), Some(bytes)) = (put.e_tag.clone(), bytes) {
            self.cache.put(tag, bytes);
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if !is_plain(&options) {
            return self.inner.get_opts(location, options).await;
        }
        let Some((meta, bytes)) = self.log_file(location).await? else {
            return self.inner.get_opts(location, options).await;
        };
        let range = match options.range.as_ref().map(|range| range.as_range(meta.size)) {
            None => 0..meta.size,
            Some(Ok(range)) => range,
            // Past the end: the store says so in its own words.
            Some(Err(_)) => return self.inner.get_opts(location, options).await,
        };
        let part = bytes.slice(range.start as usize..range.end as usize);
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(part) }).boxed());
        Ok(GetResult {
            payload,
            meta,
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        let within = |size: u64| ranges.iter().all(|range| range.start <= range.end && range.end <= size);
        match self.log_file(location).await? {
            Some((meta, bytes)) if within(meta.size) => Ok(ranges
                .iter()
                .map(|range| bytes.slice(range.start as usize..range.end as usize))
                .collect()),
            _ => self.inner.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
