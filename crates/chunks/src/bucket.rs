//! `Bucket`: the objects of one repository, by key. A newtype, so that the store beneath is never handed where a session is meant.
//! `durable_dir` is the local kind; `store` and `writer` keep packs, blobs and index objects in it. Each request is a span at debug level.
//! Invariant: an object is visible whole or not at all, and a `put` that returned survives a crash.

use std::{fmt, ops::Range, path::Path as FilePath, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use drumlin_model::{FileId, Timestamp};
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use object_store::{
    GetResult, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, memory::InMemory,
    path::Path,
};
use tracing::{Instrument, debug_span, field::Empty, instrument};

use crate::{
    disk::{durable_dir::DurableDir, durable_file},
    error::{Error, Result},
    format::{hash_tree::BlockHasher, outboard::Outboard},
    limits::Limits,
    task,
};

/// Parts of a streamed upload: at least the 5 MiB that buckets ask for, and few enough that 5 GB need 640 of the 10,000 allowed.
const PART_LEN: usize = 8 << 20;

/// How often an object is put that is said to exist and does not.
const PUT_ATTEMPTS_MAX: u32 = 4;

/// Whether a create-only put wrote the object or found it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Written,
    Existed,
}

/// What a listing says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    /// In bytes.
    pub size: u64,
    pub modified: Timestamp,
}

#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The folder that holds the objects as files, where there is one: they can be mapped then.
    folder: Option<Arc<PathBuf>>,
    limits: Limits,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.store)
    }
}

impl Bucket {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            folder: None,
            limits: Limits::DISK,
        }
    }

    pub fn memory() -> Self {
        Self::new(Arc::new(InMemory::new()))
    }

    /// The objects below a local folder, which is made when it is not there.
    pub fn directory(folder: &FilePath) -> Result<Self> {
        let store = DurableDir::open(folder)?;
        let folder = Some(Arc::new(store.folder().to_path_buf()));
        Ok(Self {
            store: Arc::new(store),
            folder,
            limits: Limits::DISK,
        })
    }

    /// The same bucket with other numbers of requests at once.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How many requests may be on their way at once.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The store beneath, for wrappers.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The file that an object is, if it is one on this machine.
    pub(crate) fn local_file(&self, key: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(key))
    }

    /// Writes an object unless one has that key already. Content-named objects may be put twice.
    #[instrument(level = "debug", skip_all, fields(key = key, bytes = bytes.len()))]
    pub async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Put> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let payload = PutPayload::from_bytes(bytes.clone());
            match self.store.put_opts(&path(key), payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(Put::Written),
                // A bucket may say so of another request that is on its way, and that then fails. So what is there is looked at.
                Err(source @ object_store::Error::AlreadyExists { .. }) => {
                    if self.folder.is_some() || self.head(key).await?.is_some() {
                        return Ok(Put::Existed);
                    }
                    if attempts == PUT_ATTEMPTS_MAX {
                        return Err(Error::store("write", key, source));
                    }
                }
                Err(source) => return Err(Error::store("write", key, source)),
            }
        }
    }

    /// Writes an object from a file, part by part, unless one has that key already.
    /// Two at once may both write; so the key has to name the content.
    pub async fn put_file_new(&self, key: &str, file: &FilePath) -> Result<Put> {
        self.put_file_checked(key, file, None).await
    }

    /// The same, and nothing becomes visible if the bytes read do not have the hash that is expected.
    #[instrument(level = "debug", skip_all, fields(key = key))]
    pub(crate) async fn put_file_checked(&self, key: &str, file: &FilePath, expected: Option<FileId>) -> Result<Put> {
        if self.head(key).await?.is_some() {
            self.settle(key).await?;
            return Ok(Put::Existed);
        }
        let mut upload = self
            .store
            .put_multipart(&path(key))
            .await
            .map_err(|source| Error::store("write", key, source))?;
        let sent = async {
            let sent = send_parts(upload.as_mut(), key, file, self.limits.parts).await?;
            match expected {
                Some(expected) if expected != sent => Err(Error::FileChanged {
                    path: file.to_path_buf(),
                }),
                _ => upload
                    .complete()
                    .await
                    .map_err(|source| Error::store("write", key, source)),
            }
        }
        .await;
        if let Err(error) = sent {
            // The first error is the one to tell; what is left of the upload is not visible.
            let _ = upload.abort().await;
            return Err(error);
        }
        Ok(Put::Written)
    }

    /// Makes an object durable that was found: its writer may have died between the file's name and the folder's sync.
    async fn settle(&self, key: &str) -> Result<()> {
        let Some(path) = self.local_file(key) else {
            return Ok(());
        };
        let sync =
            move || durable_file::sync_parent(&path).map_err(|source| Error::file("sync the folder of", path, source));
        task::blocking("sync a folder", sync).await
    }

    /// Writes an object, in place of any that has the key.
    #[instrument(level = "debug", skip_all, fields(key = key, bytes = bytes.len()))]
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let put = self.store.put(&path(key), PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(|source| Error::store("write", key, source))
    }

    /// The whole object, however long it is: for one that this process wrote. `get_at_most` is for all others.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        self.get_at_most(key, u64::MAX).await
    }

    /// The whole object, unless it is longer than `limit` bytes: then it is damaged, because nobody writes such. At most
    /// about `limit` bytes come into memory, whatever the store says and sends.
    pub async fn get_at_most(&self, key: &str, limit: u64) -> Result<Bytes> {
        let span = debug_span!("get_at_most", key, bytes = Empty);
        let get = async {
            let got = self.store.get(&path(key)).await;
            let got = got.map_err(|source| Error::store("read", key, source))?;
            read_at_most(key, got, limit).await
        };
        let bytes = get.instrument(span.clone()).await?;
        span.record("bytes", bytes.len());
        Ok(bytes)
    }

    /// The bytes of a range; fewer come back when the object ends within it.
    #[instrument(level = "debug", skip_all, fields(key = key, start = range.start, end = range.end))]
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.store
            .get_range(&path(key), range)
            .await
            .map_err(|source| Error::store("read", key, source))
    }

    #[instrument(level = "debug", skip_all, fields(key = key, ranges = ranges.len(), bytes = ranges.iter().map(|range| range.end - range.start).sum::<u64>()))]
    pub async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store
            .get_ranges(&path(key), ranges)
            .await
            .map_err(|source| Error::store("read", key, source))
    }

    /// What stands at the key, if anything does.
    #[instrument(level = "debug", skip_all, fields(key = key))]
    pub async fn head(&self, key: &str) -> Result<Option<ObjectInfo>> {
        match self.store.head(&path(key)).await {
            Ok(meta) => Ok(Some(info(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(Error::store("look at", key, source)),
        }
    }

    /// Removes an object; that it is not there is no error.
    #[instrument(level = "debug", skip_all, fields(key = key))]
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::store("delete", key, source)),
        }
    }

    /// All objects below a folder of keys (`packs`), in no order.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<ObjectInfo>> {
        tracing::debug!(prefix, "list");
        let key = prefix.to_string();
        let prefix = (!prefix.is_empty()).then(|| Path::from(prefix));
        let failed = move |source| Error::Store {
            action: "list",
            key: key.clone(),
            source,
        };
        self.store.list(prefix.as_ref()).map_ok(info).map_err(failed).boxed()
    }

    /// The objects directly below a folder of keys whose names start with `start` and go on, in no order. A bucket lists
    /// in the order of keys, so of those it is asked for the one page that they stand on.
    pub fn list_named(&self, folder: &str, start: &str) -> BoxStream<'static, Result<ObjectInfo>> {
        let first = format!("{folder}/{start}");
        let failed = {
            let key = first.clone();
            move |source| Error::Store {
                action: "list",
                key: key.clone(),
                source,
            }
        };
        let objects = self.store.list_with_offset(Some(&path(folder)), &path(&first));
        let is_ordered = self.folder.is_none();
        let before_the_end = {
            let first = first.clone();
            move |object: &ObjectInfo| future::ready(Ok(!is_ordered || object.key.starts_with(&first)))
        };
        objects
            .map_ok(info)
            .map_err(failed)
            .try_take_while(before_the_end)
            .try_filter(move |object| future::ready(object.key.starts_with(&first)))
            .boxed()
    }
}

/// The body of an answer, unless it is longer than `limit` bytes.
pub(crate) async fn read_at_most(key: &str, got: GetResult, limit: u64) -> Result<Bytes> {
    let too_long = || {
        Error::corrupt(
            key,
            format!("it is longer than the {limit} bytes that are ever written"),
        )
    };
    let failed = |source| Error::store("read", key, source);
    if got.meta.size > limit {
        return Err(too_long());
    }
    if matches!(got.payload, GetResultPayload::File(..)) {
        return got.bytes().await.map_err(failed);
    }
    let mut pieces = got.into_stream();
    let first = pieces.try_next().await.map_err(failed)?.unwrap_or_default();
    let Some(second) = pieces.try_next().await.map_err(failed)? else {
        return if first.len() as u64 > limit {
            Err(too_long())
        } else {
            Ok(first)
        };
    };
    let mut body = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        body.extend_from_slice(&piece);
        if body.len() as u64 > limit {
            return Err(too_long());
        }
        next = pieces.try_next().await.map_err(failed)?;
    }
    Ok(body.freeze())
}

fn path(key: &str) -> Path {
    Path::from(key)
}

fn info(meta: object_store::ObjectMeta) -> ObjectInfo {
    ObjectInfo {
        key: meta.location.to_string(),
        size: meta.size,
        modified: Timestamp::from_micros(meta.last_modified.timestamp_micros()),
    }
}

/// Reads the file and sends its parts; the id of what was sent.
async fn send_parts(upload: &mut dyn MultipartUpload, key: &str, file: &FilePath, parts_max: usize) -> Result<FileId> {
    let mut parts = futures::stream::FuturesUnordered::new();
    let mut hashes = BlockHasher::default();
    let mut reader = task::open(file.to_path_buf()).await?;
    loop {
        let part;
        (reader, hashes, part) = task::read_part(reader, hashes, file.to_path_buf(), PART_LEN).await?;
        if part.is_empty() {
            break;
        }
        parts.push(upload.put_part(PutPayload::from_bytes(part)));
        if parts.len() >= parts_max {
            parts
                .try_next()
                .await
                .map_err(|source| Error::store("write", key, source))?;
        }
    }
    while parts
        .try_next()
        .await
        .map_err(|source| Error::store("write", key, source))?
        .is_some()
    {}
    Ok(Outboard::of_hashed(hashes).0)
}
