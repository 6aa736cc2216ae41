//! What is written is what is read, by every way in and every way out, against a model that keeps the bytes.

use std::ops::Range;

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore, Error, Storage};
use drumlin_model::{ErrorKind, File, FileId, Location};
use futures::TryStreamExt;
use proptest::prelude::*;

use crate::support::{NOW, add, file, file_of, noise, store, streamed, text};

/// Lengths at which something changes: nothing, one byte, one block of a blob, two, four, one chunk, two, several windows.
const LENGTHS: [usize; 12] = [
    0, 1, 63, 4_096, 65_536, 65_537, 131_072, 131_073, 196_609, 1_000_000, 4_194_304, 20_000_000,
];

async fn assert_reads(store: &ChunkStore, content: &Bytes, file: &File, at: &Location) {
    assert_eq!(store.read(file, at).await.unwrap(), content);
    assert_eq!(streamed(store, file, at).await.unwrap(), content);
    let len = content.len() as u64;
    let ranges = [0..len, 0..0, len / 2..len, len / 3..len / 3 + len.min(1), len..len];
    let got = store.read_ranges(file, at, &ranges).await.unwrap();
    for (range, got) in ranges.iter().zip(got) {
        assert_eq!(got, content[range.start as usize..range.end as usize]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_length_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::directory(&folder.path().join("repo")).unwrap();
    for (number, len) in LENGTHS.into_iter().enumerate() {
        for content in [noise(number as u64, len), text(number as u64, len)] {
            let store = store(&storage.bucket);
            let writer = store.writer(NOW);
            let path = folder.path().join("content");
            std::fs::write(&path, &content).unwrap();
            let mut pieces = writer.file();
            for piece in content.chunks(700_001) {
                pieces.push(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            let added = [
                writer.add_bytes(content.clone()).await.unwrap(),
                writer.add_file(&path).await.unwrap(),
                pieces.finish().await.unwrap(),
                writer.add_blob(content.clone()).await.unwrap(),
                writer.add_blob_file(&path).await.unwrap(),
            ];
            assert_eq!(added[0], added[1], "one content is stored once");
            assert_eq!(added[0], added[2], "one content is stored once");
            writer.flush().await.unwrap();
            for (id, size, at) in added {
                assert_eq!((id, size), (FileId::of(&content), len as u64));
                assert_reads(&store, &content, &file(id, size), &at).await;
                assert_reads(
                    &self::store(&storage.bucket),
                    &content,
                    &file(id, size),
                    &Location::Unknown,
                )
                .await;
            }
        }
    }
    let store = store(&storage.bucket);
    for pack in store.list_packs().await.unwrap() {
        assert_eq!(store.check_pack(pack).await.unwrap(), []);
    }
    for blob in store.list_blobs().await.unwrap() {
        assert_eq!(store.check_blob(blob).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_range_outside_is_refused() {
    let store = store(&Bucket::memory());
    let (file, at) = add(&store, &noise(1, 1000)).await;
    for range in [0..1001, 1001..1001, Range { start: 5, end: 4 }] {
        let error = store.read_ranges(&file, &at, &[range]).await.unwrap_err();
        assert!(matches!(error, Error::Range { size: 1000, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files_at_once_with_all_kinds_of_location() {
    let store = store(&Bucket::memory());
    let writer = store.writer(NOW);
    let contents: Vec<Bytes> = (0..300)
        .map(|n| {
            if n % 50 == 0 {
                noise(n, 300_000)
            } else {
                text(n, n as usize * 9)
            }
        })
        .collect();
    let mut files = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let (id, size, at) = match number % 7 {
            3 => writer.add_blob(content.clone()).await.unwrap(),
            _ => writer.add_bytes(content.clone()).await.unwrap(),
        };
        files.push((file(id, size), if number % 11 == 0 { Location::Unknown } else { at }));
    }
    writer.flush().await.unwrap();
    let mut got: Vec<(usize, Bytes)> = store.read_many(files).try_collect().await.unwrap();
    got.sort_by_key(|(number, _)| *number);
    assert_eq!(got.len(), contents.len());
    for (number, bytes) in got {
        assert_eq!(bytes, contents[number]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_write_at_once() {
    let store = store(&Bucket::memory());
    let writer = store.writer(NOW);
    let tasks = (0..64u64).map(|n| {
        let writer = writer.clone();
        tokio::spawn(async move { writer.add_bytes(noise(n % 48, 900_000)).await.unwrap() })
    });
    let added = futures::future::try_join_all(tasks).await.unwrap();
    let summary = writer.flush().await.unwrap();
    assert_eq!((summary.bytes_added, summary.bytes_new), (64 * 900_000, 48 * 900_000));
    assert!(summary.packs >= 2, "{summary:?}");
    for (number, (id, size, at)) in added.into_iter().enumerate() {
        let content = noise(number as u64 % 48, 900_000);
        assert_eq!(id, FileId::of(&content));
        assert_eq!(store.read(&file(id, size), &at).await.unwrap(), content);
    }
}

#[tokio::test]
async fn an_empty_flush_sends_nothing() {
    let store = store(&Bucket::memory());
    let writer = store.writer(NOW);
    assert_eq!(
        writer.add_bytes(Bytes::new()).await.unwrap(),
        (FileId::of(b""), 0, Location::Unknown)
    );
    assert_eq!(writer.flush().await.unwrap().packs, 0);
    assert!(store.list_packs().await.unwrap().is_empty());
    assert_eq!(store.read(&file_of(b""), &Location::Unknown).await.unwrap(), "");
}

/// A content of a given kind; a length and a seed make it.
fn content() -> impl Strategy<Value = Bytes> {
    let len = prop_oneof![3 => 0usize..300, 3 => 0usize..200_000, 1 => 0usize..1_500_000];
    (any::<bool>(), 0u64..20, len)
        .prop_map(|(random, seed, len)| if random { noise(seed, len) } else { text(seed, len) })
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(Bytes),
    Pieces(Bytes, usize),
    Blob(Bytes),
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => content().prop_map(Step::Bytes),
        3 => (content(), 1usize..400_000).prop_map(|(content, piece)| Step::Pieces(content, piece)),
        1 => content().prop_map(Step::Blob),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// The model: what was added, and where it was said to be.
async fn run(steps: Vec<Step>, cuts: Vec<(prop::sample::Index, prop::sample::Index)>) {
    let bucket = Bucket::memory();
    let mut chunks = store(&bucket);
    let mut writer = chunks.writer(NOW);
    let mut model: Vec<(Bytes, File, Location)> = Vec::new();
    for step in steps {
        let (content, (id, size, at)) = match step {
            Step::Flush => {
                writer.flush().await.unwrap();
                continue;
            }
            Step::Reopen => {
                writer.flush().await.unwrap();
                chunks = store(&bucket);
                writer = chunks.writer(NOW);
                continue;
            }
            Step::Bytes(content) => (content.clone(), writer.add_bytes(content).await.unwrap()),
            Step::Blob(content) => (content.clone(), writer.add_blob(content).await.unwrap()),
            Step::Pieces(content, piece) => {
                let mut file = writer.file();
                for piece in content.chunks(piece) {
                    file.push(Bytes::copy_from_slice(piece)).await.unwrap();
                }
                (content, file.finish().await.unwrap())
            }
        };
        model.push((content, file(id, size), at));
    }
    writer.flush().await.unwrap();
    for (content, file, at) in &model {
        assert_eq!(*file, file_of(content));
        assert_eq!(&chunks.read(file, at).await.unwrap(), content);
        assert_eq!(&streamed(&chunks, file, at).await.unwrap(), content);
        let cut = |index: &prop::sample::Index| index.index(content.len() + 1) as u64;
        let ranges: Vec<Range<u64>> = cuts
            .iter()
            .map(|(a, b)| cut(a).min(cut(b))..cut(a).max(cut(b)))
            .collect();
        let got = chunks.read_ranges(file, at, &ranges).await.unwrap();
        for (range, got) in ranges.iter().zip(got) {
            assert_eq!(got, content[range.start as usize..range.end as usize]);
        }
        assert_eq!(chunks.check_content(file, at).await.unwrap(), []);
    }
    for pack in chunks.list_packs().await.unwrap() {
        assert_eq!(chunks.check_pack(pack).await.unwrap(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn reads_are_what_was_written(
        steps in prop::collection::vec(step(), 1..12),
        cuts in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(run(steps, cuts));
    }
}
