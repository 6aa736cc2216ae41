//! What every bucket and every root promises. A new kind of store is one more line of `conformance!`.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use drumlin_chunks::{Bucket, Put, RootStore, Storage, Swap};
use drumlin_model::ErrorKind;

use crate::support::{keys, noise};

/// Runs the whole suite against what an expression makes: a storage, and whatever has to live as long. Fresh for each test.
macro_rules! conformance {
    ($kind:ident, $make:expr) => {
        mod $kind {
            conformance!(@ $make, bucket_create_only, bucket_overwrite, bucket_ranges, bucket_list_and_delete);
            conformance!(@ $make, bucket_files, bucket_create_races, root_compare_and_swap, root_races);
        }
    };
    (@ $make:expr, $($test:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let (storage, _guard) = $make;
            super::$test(storage).await;
        }
    )*};
}

conformance!(memory, (drumlin_chunks::Storage::memory(), ()));
conformance!(directory, {
    let folder = tempfile::tempdir().unwrap();
    (
        drumlin_chunks::Storage::directory(&folder.path().join("not/there/yet")).unwrap(),
        folder,
    )
});

async fn bucket_create_only(storage: Storage) {
    let bucket = storage.bucket;
    assert_eq!(
        bucket.put_new("packs/a", Bytes::from("one")).await.unwrap(),
        Put::Written
    );
    assert_eq!(
        bucket.put_new("packs/a", Bytes::from("two")).await.unwrap(),
        Put::Existed
    );
    assert_eq!(bucket.get("packs/a").await.unwrap(), "one");
    assert_eq!(bucket.put_new("packs/empty", Bytes::new()).await.unwrap(), Put::Written);
    assert_eq!(bucket.get("packs/empty").await.unwrap(), "");
}

async fn bucket_overwrite(storage: Storage) {
    let bucket = storage.bucket;
    bucket.put("ranges/a", Bytes::from("one")).await.unwrap();
    bucket.put("ranges/a", Bytes::from("twice")).await.unwrap();
    assert_eq!(bucket.get("ranges/a").await.unwrap(), "twice");
    let info = bucket.head("ranges/a").await.unwrap().unwrap();
    assert_eq!((info.key.as_str(), info.size), ("ranges/a", 5));
}

async fn bucket_ranges(storage: Storage) {
    let bucket = storage.bucket;
    let content = noise(1, 100_000);
    bucket.put_new("packs/a", content.clone()).await.unwrap();
    assert_eq!(bucket.get_range("packs/a", 10..20).await.unwrap(), content[10..20]);
    let ranges = [99_999..100_000, 0..1, 500..70_000];
    let got = bucket.get_ranges("packs/a", &ranges).await.unwrap();
    for (range, got) in ranges.iter().zip(got) {
        assert_eq!(got, content[range.start as usize..range.end as usize]);
    }
    assert_eq!(bucket.get_at_most("packs/a", 100_000).await.unwrap(), content);
    let too_long = bucket.get_at_most("packs/a", 99_999).await.unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::Corrupt);
    for error in [
        bucket.get("packs/b").await.unwrap_err(),
        bucket.get_at_most("packs/b", 1).await.unwrap_err(),
        bucket.get_range("packs/b", 0..1).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("packs/b"), "{error}");
    }
}

async fn bucket_list_and_delete(storage: Storage) {
    let bucket = storage.bucket;
    assert!(keys(&bucket, "packs").await.is_empty());
    for key in ["packs/a", "packs/b", "packs-not/c", "index/d"] {
        bucket.put_new(key, Bytes::from(key)).await.unwrap();
    }
    assert_eq!(keys(&bucket, "packs").await, ["packs/a", "packs/b"]);
    assert_eq!(
        keys(&bucket, "").await,
        ["index/d", "packs-not/c", "packs/a", "packs/b"]
    );
    bucket.delete("packs/a").await.unwrap();
    bucket.delete("packs/a").await.unwrap();
    assert_eq!(keys(&bucket, "packs").await, ["packs/b"]);
    assert_eq!(bucket.head("packs/a").await.unwrap(), None);
}

async fn bucket_files(storage: Storage) {
    let bucket = storage.bucket;
    let folder = tempfile::tempdir().unwrap();
    for (name, len) in [("small", 10), ("parts", (8 << 20) * 2 + 5), ("whole-parts", 16 << 20)] {
        let (path, key) = (folder.path().join(name), format!("blobs/{name}"));
        let content = noise(2, len);
        std::fs::write(&path, &content).unwrap();
        assert_eq!(bucket.put_file_new(&key, &path).await.unwrap(), Put::Written);
        assert_eq!(bucket.put_file_new(&key, &path).await.unwrap(), Put::Existed);
        assert_eq!(bucket.get(&key).await.unwrap(), content);
    }
    let error = bucket
        .put_file_new("blobs/none", &folder.path().join("none"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(bucket.head("blobs/none").await.unwrap(), None);
}

/// Of many that create one key, one does, and its bytes stay.
async fn bucket_create_races(storage: Storage) {
    let writers = (0..8u8).map(|writer| {
        let bucket = storage.bucket.clone();
        tokio::spawn(async move {
            (
                writer,
                bucket
                    .put_new("packs/raced", vec![writer; 10_000].into())
                    .await
                    .unwrap(),
            )
        })
    });
    let results = futures::future::try_join_all(writers).await.unwrap();
    let written: Vec<u8> = results
        .iter()
        .filter(|(_, put)| *put == Put::Written)
        .map(|(writer, _)| *writer)
        .collect();
    assert_eq!(written.len(), 1, "{results:?}");
    assert_eq!(
        storage.bucket.get("packs/raced").await.unwrap(),
        vec![written[0]; 10_000]
    );
}

async fn root_compare_and_swap(storage: Storage) {
    let root = storage.root;
    assert_eq!(root.load().await.unwrap(), None);
    let Swap::Won(first) = root.swap(None, Bytes::from("one")).await.unwrap() else {
        panic!("nobody else is here")
    };
    assert_eq!(root.load().await.unwrap(), Some((Bytes::from("one"), first.clone())));
    assert_eq!(root.swap(None, Bytes::from("again")).await.unwrap(), Swap::Lost);
    let Swap::Won(second) = root.swap(Some(&first), Bytes::from("two")).await.unwrap() else {
        panic!("still at first")
    };
    assert_ne!(first, second);
    assert_eq!(root.swap(Some(&first), Bytes::from("late")).await.unwrap(), Swap::Lost);
    assert_eq!(root.load().await.unwrap(), Some((Bytes::from("two"), second)));
}

/// Eight threads, each with a runtime of its own, add their numbers to one list: none is lost.
async fn root_races(storage: Storage) {
    const THREADS: u32 = 8;
    const SWAPS: u32 = 25;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let root = storage.root.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                (0..SWAPS).for_each(|swap| runtime.block_on(append(&root, thread * SWAPS + swap)));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (bytes, _) = storage.root.load().await.unwrap().unwrap();
    let numbers = bytes
        .chunks_exact(4)
        .map(|number| u32::from_le_bytes(number.try_into().unwrap()));
    let numbers: Vec<u32> = numbers.collect();
    assert_eq!(numbers.len() as u32, THREADS * SWAPS);
    assert_eq!(
        numbers.iter().copied().collect::<BTreeSet<u32>>(),
        (0..THREADS * SWAPS).collect()
    );
}

async fn append(root: &Arc<dyn RootStore>, number: u32) {
    loop {
        let (mut bytes, version) = match root.load().await.unwrap() {
            Some((bytes, version)) => (bytes.to_vec(), Some(version)),
            None => (Vec::new(), None),
        };
        bytes.extend_from_slice(&number.to_le_bytes());
        if let Swap::Won(_) = root.swap(version.as_ref(), bytes.into()).await.unwrap() {
            return;
        }
    }
}

/// What a wrapper of a bucket is given is a bucket too: keys are the same below.
#[tokio::test]
async fn a_bucket_over_any_store_keeps_plain_keys() {
    let bucket = Bucket::memory();
    bucket.put_new("packs/a", Bytes::from("x")).await.unwrap();
    let again = Bucket::new(bucket.object_store());
    assert_eq!(again.get("packs/a").await.unwrap(), "x");
}
