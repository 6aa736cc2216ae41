//! One content is stored once: within a writer, after it, and between clones that never saw each other's data.

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore};
use drumlin_model::{Location, PackId};
use drumlin_testkit::counting_store::Requests;
use drumlin_testkit::watched_store::Verb;

use crate::support::{NOW, add, file_of, keys, noise, store, text};

fn pack_of(at: &Location) -> PackId {
    match *at {
        Location::Chunk { pack, .. } | Location::Recipe { pack, .. } => pack,
        _ => panic!("{at:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_writer_always() {
    let store = store(&Bucket::memory());
    let writer = store.writer(NOW);
    let small = writer.add_bytes(noise(1, 500)).await.unwrap();
    let long = writer.add_bytes(noise(2, 3_000_000)).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(writer.add_bytes(noise(1, 500)).await.unwrap(), small);
    assert_eq!(writer.add_bytes(noise(2, 3_000_000)).await.unwrap(), long);
    let summary = writer.flush().await.unwrap();
    assert_eq!(
        (summary.bytes_added, summary.bytes_new, summary.packs),
        (3_000_500, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_long_file_stores_what_changed() {
    let store = store(&Bucket::memory());
    let before = noise(3, 8_000_000);
    add(&store, &before).await;
    let mut after = before[..4_000_000].to_vec();
    after.extend_from_slice(b"a line in the middle");
    after.extend_from_slice(&before[4_000_000..]);
    let writer = store.writer(NOW);
    writer.add_bytes(after.into()).await.unwrap();
    let summary = writer.flush().await.unwrap();
    assert!(summary.bytes_new <= 3 * 131_072, "{summary:?}");
}

/// The second clone reads tables and nothing else, and stores nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_clones_without_reading_pack_data() {
    let bucket = Bucket::memory();
    let content = noise(4, 80_000_000);
    let (_, first) = add(&store(&bucket), &content).await;
    let packs = keys(&bucket, "packs").await.len();
    assert_eq!(packs, 3, "80 MB fill two packs and begin a third");
    let (counted, requests) = Requests::store(bucket.object_store());
    let cache = tempfile::tempdir().unwrap();
    for (round, gets) in [(0, packs), (1, 0)] {
        let clone = ChunkStore::new(Bucket::new(counted.clone()), Some(cache.path().to_path_buf()));
        let writer = clone.writer(NOW);
        let (_, _, second) = writer.add_bytes(content.clone()).await.unwrap();
        let summary = writer.flush().await.unwrap();
        assert_eq!((second, summary.bytes_new, summary.bytes_stored), (first, 0, 0));
        let seen = requests.take();
        let of = |verb| seen.iter().filter(|request| request.verb == verb).count();
        assert_eq!(
            (of(Verb::Get), of(Verb::List), of(Verb::Put)),
            (gets, 2, 0),
            "round {round}: {seen:?}"
        );
    }
}

/// Asking costs more than writing a little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_write_does_not_ask() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let (_, first) = add(&store(&bucket), &noise(5, 900_000)).await;
    assert_eq!(requests.take().len(), 1, "one put");
    let (_, second) = add(&store(&bucket), &noise(5, 900_000)).await;
    assert_eq!(requests.take().len(), 1, "one put");
    assert_ne!(pack_of(&first), pack_of(&second));
}

/// With many packs, a fresh clone reads a few merged tables. Merging goes on as packs come, and leaves no litter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_merged() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let chunks = store(&bucket);
    let writer = chunks.writer(NOW);
    let mut contents: Vec<Bytes> = Vec::new();
    for number in 0..400 {
        contents.push(text(number, 100 + number as usize));
        writer.add_bytes(contents[number as usize].clone()).await.unwrap();
        writer.flush().await.unwrap();
    }
    assert_eq!(keys(&bucket, "packs").await.len(), 400);
    let objects = keys(&bucket, "index").await.len();
    assert!((1..=3).contains(&objects), "{objects} index objects");
    requests.take();
    let fresh = store(&bucket);
    for content in &contents {
        assert_eq!(
            &fresh.read(&file_of(content), &Location::Unknown).await.unwrap(),
            content
        );
    }
    let tables = requests.take().len() - contents.len();
    assert!(tables <= 2 + objects + 65, "{tables} requests for lists and tables");
}

/// A cache that somebody damaged or filled with rubbish is as good as none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_cache_does_no_harm() {
    let bucket = Bucket::memory();
    let content = noise(6, 3_000_000);
    let (file, _) = add(&store(&bucket), &content).await;
    let cache = tempfile::tempdir().unwrap();
    let cached = || ChunkStore::new(bucket.clone(), Some(cache.path().to_path_buf()));
    assert_eq!(cached().read(&file, &Location::Unknown).await.unwrap(), content);
    let footers = cache.path().join("footers");
    let mut seen = 0;
    for entry in std::fs::read_dir(&footers).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        seen += 1;
    }
    assert_eq!(seen, 1);
    assert_eq!(cached().read(&file, &Location::Unknown).await.unwrap(), content);
    std::fs::remove_dir_all(cache.path()).unwrap();
    std::fs::write(cache.path(), b"not even a folder").unwrap();
    assert_eq!(cached().read(&file, &Location::Unknown).await.unwrap(), content);
    std::fs::remove_file(cache.path()).unwrap();
}
