//! What others put into a bucket costs an error, not the memory: every read is bounded by what is ever written.

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
use drumlin_chunks::{Bucket, ObjectRoot, RootStore, Storage};
use drumlin_model::{ErrorKind, File, FileId, Location, PackId};
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

use crate::support::{assert_corrupt, keys, noise, store};

const PIECE: u64 = 1 << 20;

/// Says of every object that it has `claimed` bytes, and sends `sent`. Counts what was asked of it.
#[derive(Debug)]
struct Endless {
    claimed: u64,
    sent: u64,
    served: Arc<AtomicU64>,
}

impl Endless {
    fn bucket(claimed: u64, sent: u64) -> (Arc<dyn ObjectStore>, Arc<AtomicU64>) {
        let served = Arc::new(AtomicU64::new(0));
        let store = Self {
            claimed,
            sent,
            served: served.clone(),
        };
        (Arc::new(store), served)
    }
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endless")
    }
}

fn refused() -> Error {
    Error::NotImplemented {
        operation: "all but get".to_string(),
        implementer: "Endless".to_string(),
    }
}

#[async_trait]
impl ObjectStore for Endless {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = match &options.range {
            Some(range) => range.as_range(self.claimed).unwrap(),
            None => 0..self.claimed,
        };
        let (served, sent) = (self.served.clone(), self.sent);
        let pieces = stream::iter((0..sent).step_by(PIECE as usize)).map(move |start| {
            let len = PIECE.min(sent - start);
            served.fetch_add(len, Ordering::SeqCst);
            Ok(Bytes::from(vec![0; len as usize]))
        });
        Ok(GetResult {
            payload: GetResultPayload::Stream(pieces.boxed()),
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: Default::default(),
                size: self.claimed,
                e_tag: Some("tag".to_string()),
                version: None,
            },
            range,
            attributes: Default::default(),
        })
    }
    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        Err(refused())
    }
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(refused())
    }
    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(refused())
    }
    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(refused()) }).boxed()
    }
    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { Err(refused()) }).boxed()
    }
    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(refused())
    }
    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(refused())
    }
}

const TERABYTE: u64 = 1 << 40;

#[tokio::test]
async fn an_object_that_is_longer_than_any_is_not_read() {
    for (claimed, sent) in [(TERABYTE, TERABYTE), (10, TERABYTE)] {
        let (store, served) = Endless::bucket(claimed, sent);
        let bucket = Bucket::new(store.clone());
        assert_corrupt(bucket.get_at_most("commits/a", 3 * PIECE).await, "an object");
        assert!(served.swap(0, Ordering::SeqCst) <= 4 * PIECE);
        let error = ObjectRoot::new(store).load().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(
            error.to_string().starts_with("root is damaged: it is longer than"),
            "{error}"
        );
        assert!(served.load(Ordering::SeqCst) <= 33 * PIECE);
    }
}

#[tokio::test]
async fn what_is_at_the_limit_is_read() {
    let bucket = Bucket::memory();
    for len in [0, 1, 1_000_000] {
        let content = noise(1, len);
        bucket.put("commits/a", content.clone()).await.unwrap();
        assert_eq!(bucket.get_at_most("commits/a", len as u64).await.unwrap(), content);
        if len > 0 {
            assert_corrupt(bucket.get_at_most("commits/a", len as u64 - 1).await, "one byte more");
        }
    }
    let error = bucket.get_at_most("commits/b", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A sparse file of 1 TB in place of the root, and of an index object.
#[tokio::test]
async fn long_files_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::directory(folder.path()).unwrap();
    let sparse = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().set_len(TERABYTE).unwrap();
    };
    sparse("root");
    assert_eq!(storage.root.load().await.unwrap_err().kind(), ErrorKind::Corrupt);
    let name = blake3::hash(b"x").to_string();
    sparse(&format!("index/{name}"));
    let problems = store(&storage.bucket).check_index().await.unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(keys(&storage.bucket, "index").await.len(), 1);
    let pack = PackId::of(b"x");
    sparse(&format!("packs/{pack}"));
    assert_eq!(store(&storage.bucket).check_pack(pack).await.unwrap().len(), 1);
}

/// A hint that tells of a record of 4 GB is not followed.
#[tokio::test]
async fn a_hint_of_a_record_that_is_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(folder.path()).unwrap();
    let pack = PackId::of(b"long");
    bucket.put(&format!("packs/{pack}"), Bytes::from("x")).await.unwrap();
    let path = folder.path().join(format!("packs/{pack}"));
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(TERABYTE)
        .unwrap();
    let (offset, stored) = (8, u32::MAX);
    for (size, at) in [
        (100, Location::Chunk { pack, offset, stored }),
        (1 << 30, Location::Recipe { pack, offset, stored }),
    ] {
        let file = File {
            id: FileId::of(b"y"),
            size,
            executable: false,
        };
        assert_corrupt(store(&bucket).read(&file, &at).await, "a record of 4 GB");
        let many: Vec<_> = store(&bucket).read_many(vec![(file, at)]).collect().await;
        assert!(many.len() == 1 && many[0].is_err());
    }
}
