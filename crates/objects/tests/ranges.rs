//! A ranged read fetches the chunks that it needs, and not the pack that they lie in.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_chunks::{Bucket, ObjectRoot, Scratch, Storage};
use drumlin_objects::SnapshotStore;
use drumlin_testkit::TestRepo;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, memory::InMemory, path::Path,
};

use crate::support::{self, noise, path};

/// Adds up the bytes that leave a store in memory.
#[derive(Debug, Default)]
struct Meter {
    inner: InMemory,
    bytes: AtomicU64,
}

impl Meter {
    fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Meter {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }
    async fn put_multipart_opts(&self, key: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(key, opts).await
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        self.bytes.fetch_add(
            if head { 0 } else { result.range.end - result.range.start },
            Ordering::Relaxed,
        );
        Ok(result)
    }
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let read = self.inner.get_ranges(location, ranges).await?;
        self.bytes
            .fetch_add(read.iter().map(|bytes| bytes.len() as u64).sum(), Ordering::Relaxed);
        Ok(read)
    }
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// One file of 20 MB that is cut into chunks of at most 128 KiB, in one pack, and one of 8 MB that is a blob.
const FILE_LEN: usize = 20 << 20;
const BLOB_LEN: usize = 8 << 20;
const CHUNK_LEN_MAX: u64 = 128 << 10;

/// A store with cold caches over what was committed, and what it reads.
async fn cold() -> (SnapshotStore, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let root = Arc::new(ObjectRoot::new(meter.clone()));
    let storage = Storage {
        bucket: Bucket::new(meter.clone()),
        root,
        cache: None,
        scratch: Scratch::temporary(),
    };
    let repo = TestRepo::create(storage).await;
    let session = repo.session("main").await;
    session.write(&path("file"), noise(1, FILE_LEN)).await.unwrap();
    session.write_blob(&path("blob"), noise(2, BLOB_LEN)).await.unwrap();
    support::commit(&session).await;
    let snapshot = repo.reopen().await.session("main").await.base();
    meter.take();
    (SnapshotStore::new(snapshot), meter)
}

#[tokio::test]
async fn a_range_of_a_chunked_file_costs_its_chunks() {
    let (store, meter) = cold().await;
    let key = Path::from("file");
    store.head(&key).await.unwrap();
    let metadata = meter.take();
    assert!(metadata < 16 << 10, "{metadata} bytes to find one file of two");
    let read = store.get_range(&key, 10_000_000..10_000_100).await.unwrap();
    assert_eq!(read, noise(1, FILE_LEN).slice(10_000_000..10_000_100));
    let bytes = meter.take();
    // The chunk or two that hold the range, and the list of the file's chunks: about 40 bytes for each of 320.
    assert!(
        bytes <= 2 * CHUNK_LEN_MAX + (32 << 10),
        "{bytes} bytes for a range of 100"
    );
}

#[tokio::test]
async fn many_ranges_are_one_plan() {
    let (store, meter) = cold().await;
    let ranges = [0..10, FILE_LEN as u64 - 10..FILE_LEN as u64, 9_000_000..9_000_500];
    let read = store.get_ranges(&Path::from("file"), &ranges).await.unwrap();
    let content = noise(1, FILE_LEN);
    for (read, range) in read.iter().zip(&ranges) {
        assert_eq!(read, &content[range.start as usize..range.end as usize]);
    }
    let bytes = meter.take();
    assert!(
        bytes <= 4 * CHUNK_LEN_MAX + (48 << 10),
        "{bytes} bytes for three ranges"
    );
}

#[tokio::test]
async fn a_range_of_a_blob_costs_its_blocks() {
    let (store, meter) = cold().await;
    let key = Path::from("blob");
    store.head(&key).await.unwrap();
    meter.take();
    let read = store.get_range(&key, 5_000_000..5_004_096).await.unwrap();
    assert_eq!(read, noise(2, BLOB_LEN).slice(5_000_000..5_004_096));
    // The block of 64 KiB or the two that hold the range, and once 32 bytes for each block there is.
    assert_eq!(meter.take(), (64 << 10) + 12 + 32 * 128);
    store.get_range(&key, 5_000_000..5_004_096).await.unwrap();
    assert_eq!(meter.take(), 64 << 10);
}

#[tokio::test]
async fn a_long_range_comes_in_pieces() {
    let (store, _) = cold().await;
    let options = object_store::GetOptions::new().with_range(Some(5..FILE_LEN as u64));
    let object = store.get_opts(&Path::from("file"), options).await.unwrap();
    let pieces: Vec<Bytes> = object.into_stream().boxed().try_collect().await.unwrap();
    assert!(
        pieces.iter().all(|piece| piece.len() <= 8 << 20),
        "no piece is larger than what one request fetches"
    );
    assert_eq!(pieces.concat(), noise(1, FILE_LEN).slice(5..));
}
