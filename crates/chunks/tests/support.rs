//! Content to store and short ways to say what tests do.

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore, Error, Result};
use drumlin_model::{ErrorKind, File, FileId, Location, Timestamp};
use futures::TryStreamExt;

/// When the writers of these tests begin: 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Bytes that no compressor shortens: SplitMix64 from a seed.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// Lines that a compressor shortens well, and no two alike.
pub fn text(seed: u64, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len + 64);
    for line in 0u64.. {
        if bytes.len() >= len {
            break;
        }
        let number = (seed + line).wrapping_mul(2_654_435_761) % 1_000_003;
        bytes.extend_from_slice(format!("{seed},{line},station-{},{number}\n", number % 97).as_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

pub fn file(id: FileId, size: u64) -> File {
    File {
        id,
        size,
        executable: false,
    }
}

pub fn file_of(content: &[u8]) -> File {
    file(FileId::of(content), content.len() as u64)
}

pub fn store(bucket: &Bucket) -> ChunkStore {
    ChunkStore::new(bucket.clone(), None)
}

/// Adds and flushes one content.
pub async fn add(store: &ChunkStore, content: &Bytes) -> (File, Location) {
    let writer = store.writer(NOW);
    let (id, size, at) = writer.add_bytes(content.clone()).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!((id, size), (FileId::of(content), content.len() as u64));
    (file(id, size), at)
}

pub async fn streamed(store: &ChunkStore, file: &File, at: &Location) -> Result<Bytes> {
    let parts: Vec<Bytes> = store.stream(file, at).try_collect().await?;
    Ok(parts.concat().into())
}

/// The keys of a folder, sorted.
pub async fn keys(bucket: &Bucket, folder: &str) -> Vec<String> {
    let mut keys: Vec<String> = bucket.list(folder).map_ok(|info| info.key).try_collect().await.unwrap();
    keys.sort();
    keys
}

/// One range, as those ask who read many at once.
pub fn one(range: std::ops::Range<u64>) -> [std::ops::Range<u64>; 1] {
    [range]
}

#[track_caller]
pub fn assert_corrupt<T: std::fmt::Debug>(result: Result<T>, what: &str) {
    match result {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}"),
        Ok(value) => panic!("{what}: read {value:?}"),
    }
}

/// The text of an error and of all its causes.
pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
