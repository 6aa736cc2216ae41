//! `WatchedStore`: an object store that shows every request to a watcher, before and after the store beneath does it.
//! `CountingStore` and `FaultyStore` are its two watchers.
//! Invariant: every way to reach the store beneath passes the watcher, and counts as a bucket would bill it.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart, coalesce_ranges, path::Path,
};

/// What was asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Get,
    Head,
    Put,
    /// One request of a streamed upload: its start, a part, its end.
    Upload,
    Delete,
    List,
    Copy,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: Verb,
    /// The object, or the prefix of a listing.
    pub key: String,
}

/// Sees each request twice; an error takes the place of the answer. An error `after` is an answer that got lost.
pub trait Watcher: fmt::Debug + Send + Sync + 'static {
    fn before(&self, request: &Request) -> Result<()>;
    fn after(&self, request: &Request) -> Result<()>;
}

#[derive(Debug)]
pub struct WatchedStore<W> {
    inner: Arc<dyn ObjectStore>,
    watcher: Arc<W>,
}

impl<W: Watcher> WatchedStore<W> {
    pub fn new(inner: Arc<dyn ObjectStore>, watcher: Arc<W>) -> Self {
        Self { inner, watcher }
    }

    async fn watch<T>(&self, verb: Verb, key: &Path, call: impl Future<Output = Result<T>>) -> Result<T> {
        watch(&*self.watcher, verb, key, call).await
    }
}

async fn watch<T>(watcher: &impl Watcher, verb: Verb, key: &Path, call: impl Future<Output = Result<T>>) -> Result<T> {
    let request = Request {
        verb,
        key: key.to_string(),
    };
    watcher.before(&request)?;
    let answer = call.await;
    watcher.after(&request)?;
    answer
}

impl<W: Watcher> fmt::Display for WatchedStore<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.inner)
    }
}

#[async_trait]
impl<W: Watcher> ObjectStore for WatchedStore<W> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.watch(Verb::Put, location, self.inner.put_opts(location, payload, opts))
            .await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self
            .watch(Verb::Upload, location, self.inner.put_multipart_opts(location, opts))
            .await?;
        Ok(Box::new(WatchedUpload {
            inner: upload,
            watcher: self.watcher.clone(),
            key: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let verb = if options.head { Verb::Head } else { Verb::Get };
        self.watch(verb, location, self.inner.get_opts(location, options)).await
    }

    /// As a bucket does it: near ranges in one request, the others in one each.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetch = |range| self.watch(Verb::Get, location, self.inner.get_range(location, range));
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, watcher) = (self.inner.clone(), self.watcher.clone());
        let delete = move |location: Path| {
            let (inner, watcher) = (inner.clone(), watcher.clone());
            async move {
                watch(&*watcher, Verb::Delete, &location, inner.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let key = prefix.cloned().unwrap_or_default();
        self.watch(Verb::List, &key, self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.watch(Verb::Copy, to, self.inner.copy_opts(from, to, options))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.watch(Verb::Copy, to, self.inner.rename_opts(from, to, options))
            .await
    }
}

impl<W: Watcher> WatchedStore<W> {
    /// Watched when it is begun, like the request that it is.
    fn listing(
        &self,
        prefix: Option<&Path>,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = Request {
            verb: Verb::List,
            key: prefix.map(ToString::to_string).unwrap_or_default(),
        };
        match self
            .watcher
            .before(&request)
            .and_then(|()| self.watcher.after(&request))
        {
            Ok(()) => objects,
            Err(error) => stream::once(future::ready(Err(error))).boxed(),
        }
    }
}

#[derive(Debug)]
struct WatchedUpload<W> {
    inner: Box<dyn MultipartUpload>,
    watcher: Arc<W>,
    key: Path,
}

#[async_trait]
impl<W: Watcher> MultipartUpload for WatchedUpload<W> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (watcher, key, part) = (self.watcher.clone(), self.key.clone(), self.inner.put_part(data));
        Box::pin(async move { watch(&*watcher, Verb::Upload, &key, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        watch(&*self.watcher, Verb::Upload, &self.key, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        watch(&*self.watcher, Verb::Upload, &self.key, self.inner.abort()).await
    }
}
