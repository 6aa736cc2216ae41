//! Every flipped byte is found, by the check and by the reads that it concerns; nothing wrong is ever returned.

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore};
use drumlin_model::{Cure, ErrorKind, File, FileId, Location, PackId, Verb};
use futures::{StreamExt, TryStreamExt};

use crate::support::{NOW, add, assert_corrupt, file, file_of, keys, noise, one, store, streamed, text};

/// The object with one byte changed.
async fn flip(bucket: &Bucket, key: &str, whole: &Bytes, at: usize) {
    let mut bytes = whole.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bucket.put(key, bytes.into()).await.unwrap();
}

/// A pack that holds small content, raw and compressed, and a long file with its chunk list.
async fn small_pack(bucket: &Bucket) -> (PackId, Vec<(Bytes, File, Location)>) {
    let chunks = store(bucket);
    let writer = chunks.writer(NOW);
    let mut files = Vec::new();
    for content in [noise(1, 300), text(1, 400), text(2, 140_000)] {
        let (id, size, at) = writer.add_bytes(content.clone()).await.unwrap();
        files.push((content, file(id, size), at));
    }
    writer.flush().await.unwrap();
    let packs = chunks.list_packs().await.unwrap();
    (packs[0], files)
}

/// Which bytes of the pack a location covers.
fn covered(at: &Location) -> std::ops::Range<usize> {
    match *at {
        Location::Chunk { offset, stored, .. } | Location::Recipe { offset, stored, .. } => {
            offset as usize..offset as usize + stored as usize
        }
        _ => 0..0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_a_pack() {
    let bucket = Bucket::memory();
    let (pack, files) = small_pack(&bucket).await;
    let key = format!("packs/{pack}");
    let whole = bucket.get(&key).await.unwrap();
    assert_eq!(store(&bucket).check_pack(pack).await.unwrap(), []);
    let mut concerned = [0; 3];
    // Most bytes are those of the long file's two chunks, which are alike: of those, every 7th will do.
    let small = covered(&files[0].2).end.max(covered(&files[1].2).end);
    let dense = |at: &usize| *at <= small || *at + 2000 >= whole.len() || at.is_multiple_of(7);
    for at in (0..whole.len()).filter(dense) {
        flip(&bucket, &key, &whole, at).await;
        let fresh = store(&bucket);
        assert_ne!(
            fresh.check_pack(pack).await.unwrap(),
            [],
            "byte {at} of {}",
            whole.len()
        );
        for (number, (content, file, location)) in files.iter().enumerate() {
            let read = fresh.read(file, location).await;
            match read {
                Ok(read) => assert_eq!(read, content, "byte {at} of {}", whole.len()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                    concerned[number] += 1;
                }
            }
            if covered(location).contains(&at) {
                assert_corrupt(fresh.read(file, location).await, &format!("byte {at}"));
            }
        }
    }
    assert!(
        concerned[0] >= 300 && concerned[1] >= 50 && concerned[2] > 1000,
        "{concerned:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_a_blob() {
    let bucket = Bucket::memory();
    let content = text(5, 700);
    let (id, size, at) = store(&bucket).writer(NOW).add_blob(content.clone()).await.unwrap();
    let (file, key) = (file(id, size), format!("blobs/{id}"));
    assert_eq!(store(&bucket).check_blob(id).await.unwrap(), []);
    for byte in 0..content.len() {
        flip(&bucket, &key, &content, byte).await;
        let fresh = store(&bucket);
        assert_eq!(fresh.check_blob(id).await.unwrap().len(), 1, "byte {byte}");
        assert_corrupt(fresh.read(&file, &at).await, "read");
        assert_corrupt(streamed(&fresh, &file, &at).await, "stream");
    }
    for cut in [0, 1, content.len() - 1] {
        bucket.put(&key, content.slice(..cut)).await.unwrap();
        let fresh = store(&bucket);
        assert_eq!(fresh.check_blob(id).await.unwrap().len(), 1, "cut at {cut}");
        assert_corrupt(fresh.read(&file, &at).await, "read");
        assert_corrupt(streamed(&fresh, &file, &at).await, "stream");
        assert_corrupt(
            fresh.read_ranges(&file, &at, std::slice::from_ref(&(0..size))).await,
            "range",
        );
    }
    bucket.delete(&key).await.unwrap();
    assert_corrupt(store(&bucket).read(&file, &at).await, "no blob");
    assert_eq!(store(&bucket).check_blob(id).await.unwrap().len(), 1);
}

/// A blob of some blocks, its id, and the keys of its two objects.
async fn blocks_blob(bucket: &Bucket) -> (Bytes, File, Location, [String; 2]) {
    let content = noise(9, 3 * BLOCK_LEN + 700);
    let (id, size, at) = store(bucket).writer(NOW).add_blob(content.clone()).await.unwrap();
    (
        content,
        file(id, size),
        at,
        [format!("blobs/{id}"), format!("outboards/{id}")],
    )
}

const BLOCK_LEN: usize = 64 << 10;

/// What a range gives is right, or it is an error; and an error only where the range meets the damaged block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_a_blob_are_verified() {
    let bucket = Bucket::memory();
    let (content, file, at, [key, _]) = blocks_blob(&bucket).await;
    let ranges = [0..1, 65_535..65_537, 100_000..140_000, 196_608..197_308, 0..file.size];
    for byte in (0..content.len())
        .step_by(4_099)
        .chain([65_535, 65_536, 196_607, 196_608, 197_307])
    {
        flip(&bucket, &key, &content, byte).await;
        let fresh = store(&bucket);
        for range in &ranges {
            let read = fresh.read_ranges(&file, &at, std::slice::from_ref(range)).await;
            let blocks = range.start / BLOCK_LEN as u64..range.end.div_ceil(BLOCK_LEN as u64);
            if blocks.contains(&((byte / BLOCK_LEN) as u64)) {
                assert_corrupt(read, &format!("byte {byte}, {range:?}"));
            } else {
                assert_eq!(read.unwrap(), [content.slice(range.start as usize..range.end as usize)]);
            }
        }
        assert_corrupt(fresh.read_ranges(&file, &at, &ranges).await, "together");
        let mut pieces = fresh.stream(&file, &at);
        while let Some(piece) = pieces.next().await {
            assert_corrupt(piece, "no piece comes before its hash is known to be right");
        }
        assert_eq!(fresh.check_blob(file.id).await.unwrap().len(), 1, "byte {byte}");
    }
}

/// A damaged outboard is told of, and costs nothing but time: the blob has its own hash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_an_outboard() {
    let bucket = Bucket::memory();
    let (content, file, at, [key, outboard]) = blocks_blob(&bucket).await;
    let whole = bucket.get(&outboard).await.unwrap();
    assert_eq!(whole.len(), 12 + 4 * 32);
    let longer = Bytes::from([&whole[..], &[0]].concat());
    let flipped = (0..whole.len()).map(|byte| {
        let mut bytes = whole.to_vec();
        bytes[byte] ^= 1 << (byte % 8);
        Bytes::from(bytes)
    });
    for bad in flipped.chain([Bytes::new(), whole.slice(..100), longer]) {
        bucket.put(&outboard, bad).await.unwrap();
        let fresh = store(&bucket);
        let problems = fresh.check_blob(file.id).await.unwrap();
        assert!(problems.len() == 1 && problems[0].object == outboard, "{problems:?}");
        let read = fresh.read_ranges(&file, &at, &[70_000..70_010, 5..6]).await.unwrap();
        assert_eq!(read, [content.slice(70_000..70_010), content.slice(5..6)]);
    }
    bucket.delete(&outboard).await.unwrap();
    let mut wrong = content.to_vec();
    wrong[0] ^= 1;
    bucket.put(&key, wrong.into()).await.unwrap();
    assert_corrupt(
        store(&bucket).read_ranges(&file, &at, &[70_000..70_010, 5..6]).await,
        "neither",
    );
    bucket.delete(&key).await.unwrap();
    assert_corrupt(
        store(&bucket).read_ranges(&file, &at, &[70_000..70_010, 5..6]).await,
        "no blob",
    );
    // Adding the content again mends both.
    store(&bucket).writer(NOW).add_blob(content.clone()).await.unwrap();
    assert_eq!(store(&bucket).check_blob(file.id).await.unwrap(), []);
    bucket.put(&outboard, vec![7; whole.len()].into()).await.unwrap();
    store(&bucket).writer(NOW).add_blob(content).await.unwrap();
    assert_eq!(bucket.get(&outboard).await.unwrap(), whole);
}

/// A damaged index object is told of, and costs nothing but time: the packs have their own tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_an_index_object() {
    let bucket = Bucket::memory();
    let chunks = store(&bucket);
    let files = many_packs(&chunks, 0..66).await;
    let key = keys(&bucket, "index")
        .await
        .pop()
        .expect("more than 64 packs are merged");
    let whole = bucket.get(&key).await.unwrap();
    assert_eq!(chunks.check_index().await.unwrap(), []);
    for byte in 0..whole.len() {
        flip(&bucket, &key, &whole, byte).await;
        let fresh = store(&bucket);
        assert_eq!(
            fresh.check_index().await.unwrap().len(),
            1,
            "byte {byte} of {}",
            whole.len()
        );
        if byte % 97 == 0 {
            for (content, file, _) in &files {
                assert_eq!(&fresh.read(file, &Location::Unknown).await.unwrap(), content);
            }
        }
    }
}

/// Contents, a pack each; 66 are more than are left unmerged.
async fn many_packs(chunks: &ChunkStore, seeds: std::ops::Range<u64>) -> Vec<(Bytes, File, Location)> {
    let writer = chunks.writer(NOW);
    let mut files = Vec::new();
    for seed in seeds {
        let content = noise(seed, 90);
        let (id, size, at) = writer.add_bytes(content.clone()).await.unwrap();
        writer.flush().await.unwrap();
        files.push((content, file(id, size), at));
    }
    files
}

/// Merging tables forgets no copy: when one is damaged, the other is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_index_knows_both_copies() {
    let (bucket, other) = (Bucket::memory(), Bucket::memory());
    let first = many_packs(&store(&other), 0..1).await;
    for key in keys(&other, "packs").await {
        bucket.put(&key, other.get(&key).await.unwrap()).await.unwrap();
    }
    let second = many_packs(&store(&bucket), 0..66).await;
    assert_eq!(keys(&bucket, "index").await.len(), 1);
    let content = &second[0].0;
    for (broken, whole) in [(&first[0], &second[0]), (&second[0], &first[0])] {
        let (Location::Chunk { pack, .. }, file) = (broken.2, &broken.1) else {
            panic!("{broken:?}")
        };
        assert_ne!(broken.2, whole.2);
        let key = format!("packs/{pack}");
        let bytes = bucket.get(&key).await.unwrap();
        bucket.put(&key, vec![0; bytes.len()].into()).await.unwrap();
        for at in [broken.2, Location::Unknown] {
            assert_eq!(&store(&bucket).read(file, &at).await.unwrap(), content);
        }
        bucket.put(&key, bytes).await.unwrap();
    }
}

/// An index object that is damaged on the disk is not merged into a new one that looks whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_object_is_not_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(folder.path()).unwrap();
    let mut files = many_packs(&store(&bucket), 0..66).await;
    let [key] = &keys(&bucket, "index").await[..] else {
        panic!("one object")
    };
    let path = folder.path().join(key);
    let mut bytes = std::fs::read(&path).unwrap();
    // The ids of some rows and the offsets of others. 24 bytes of head, 32 for each pack, 49 for each row.
    let rows = 24 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize * 32;
    (0..60).for_each(|row| bytes[rows + row * 49 + if row % 2 == 0 { 20 } else { 33 }] ^= 4);
    std::fs::write(&path, bytes).unwrap();
    let chunks = store(&bucket);
    assert_eq!(chunks.check_index().await.unwrap().len(), 1);
    for (content, file, _) in &files {
        assert_eq!(&chunks.read(file, &Location::Unknown).await.unwrap(), content);
    }
    let fresh = store(&bucket);
    fresh.check_content(&files[0].1, &Location::Unknown).await.unwrap();
    files.extend(many_packs(&fresh, 66..140).await);
    assert!(!path.exists(), "it was merged");
    let fresh = store(&bucket);
    assert_eq!(fresh.check_index().await.unwrap(), []);
    for (content, file, _) in &files {
        assert_eq!(&fresh.read(file, &Location::Unknown).await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_pack_cut_short_or_gone() {
    let bucket = Bucket::memory();
    let (pack, files) = small_pack(&bucket).await;
    let key = format!("packs/{pack}");
    let whole = bucket.get(&key).await.unwrap();
    for cut in [0, 1, 8, 200, whole.len() / 2, whole.len() - 1] {
        bucket.put(&key, whole.slice(..cut)).await.unwrap();
        let fresh = store(&bucket);
        assert_ne!(fresh.check_pack(pack).await.unwrap(), [], "cut at {cut}");
        for (content, file, at) in &files {
            match fresh.read(file, at).await {
                Ok(read) => assert_eq!(read, content),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {cut}: {error}"),
            }
            assert_corrupt(fresh.read(file, &Location::Unknown).await, "by a table that is gone");
        }
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    bucket.put(&key, longer.into()).await.unwrap();
    assert_ne!(store(&bucket).check_pack(pack).await.unwrap(), []);
    bucket.delete(&key).await.unwrap();
    assert_ne!(store(&bucket).check_pack(pack).await.unwrap(), []);
    for (_, file, at) in &files {
        assert_corrupt(store(&bucket).read(file, at).await, "gone");
        assert_ne!(store(&bucket).check_content(file, at).await.unwrap(), []);
    }
}

/// A stale hint: its pack is gone, or holds something else there. The index knows another copy.
#[tokio::test]
async fn a_stale_location_is_found_again() {
    let bucket = Bucket::memory();
    let contents = [noise(3, 5_000), text(3, 500_000)];
    for content in &contents {
        // Two writers that do not know of each other store less than they would ask for.
        let (file, first) = add(&store(&bucket), content).await;
        let (_, second) = {
            let other = Bucket::memory();
            let added = add(&store(&other), content).await;
            for key in keys(&other, "packs").await {
                bucket.put(&key, other.get(&key).await.unwrap()).await.unwrap();
            }
            added
        };
        let (Location::Chunk { pack, .. } | Location::Recipe { pack, .. }) = first else {
            panic!("{first:?}")
        };
        let key = format!("packs/{pack}");
        let whole = bucket.get(&key).await.unwrap();
        bucket.put(&key, vec![0; whole.len()].into()).await.unwrap();
        assert_eq!(&store(&bucket).read(&file, &first).await.unwrap(), content);
        bucket.delete(&key).await.unwrap();
        assert_eq!(&store(&bucket).read(&file, &first).await.unwrap(), content);
        assert_eq!(streamed(&store(&bucket), &file, &first).await.unwrap(), content);
        let many: Vec<(usize, Bytes)> = store(&bucket)
            .read_many(vec![(file.clone(), first)])
            .try_collect()
            .await
            .unwrap();
        assert_eq!(many, [(0, content.clone())]);
        assert_eq!(&store(&bucket).read(&file, &second).await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_hint_to_the_wrong_place_of_the_right_pack() {
    let bucket = Bucket::memory();
    let (_, files) = small_pack(&bucket).await;
    let (content, file, at) = &files[1];
    let Location::Chunk { pack, offset, stored } = *at else {
        panic!("{at:?}")
    };
    for wrong in [
        (offset + 1, stored),
        (0, stored),
        (offset, stored - 1),
        (u64::MAX, 1),
        (1 << 40, stored),
    ] {
        let wrong = Location::Chunk {
            pack,
            offset: wrong.0,
            stored: wrong.1,
        };
        assert_eq!(&store(&bucket).read(file, &wrong).await.unwrap(), content, "{wrong:?}");
    }
}

#[tokio::test]
async fn content_that_was_never_stored() {
    let chunks: ChunkStore = store(&Bucket::memory());
    for at in [Location::Unknown, Location::Blob] {
        let error = chunks.read(&file_of(b"never"), &at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            error.to_string(),
            format!("the content {} is nowhere in this repository", FileId::of(b"never"))
        );
        assert_eq!(error.cures(), [Cure::run(Verb::Fsck)]);
    }
}

/// A record that decompresses to far more than it may costs an error, not the memory.
#[tokio::test]
async fn a_decompression_bomb() {
    let bucket = Bucket::memory();
    let frame = zstd::bulk::compress(&vec![0; 512 << 20], 1).unwrap();
    let mut record = vec![1];
    record.extend_from_slice(&blake3::hash(&frame).as_bytes()[..8]);
    record.extend_from_slice(&frame);
    let pack = PackId::of(b"bomb");
    bucket
        .put(&format!("packs/{pack}"), record.clone().into())
        .await
        .unwrap();
    let at = Location::Chunk {
        pack,
        offset: 0,
        stored: record.len() as u32,
    };
    for size in [1, 131_072, 512 << 20, u64::MAX] {
        let file = file(FileId::of(b"bomb"), size);
        assert_corrupt(store(&bucket).read(&file, &at).await, "bomb");
    }
}

/// Hostile recipes: counts and lengths that do not fit what is there, or what is ever written.
#[tokio::test]
async fn hostile_recipes() {
    let bucket = Bucket::memory();
    let pack = PackId::of(b"lists");
    let body = |size: u64, log2: u8, numbers: &[u32], rest: &[u8]| {
        let mut body = vec![2, 1];
        body.extend_from_slice(FileId::of(b"list").as_bytes());
        body.extend_from_slice(&size.to_le_bytes());
        body.push(log2);
        for number in numbers {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(rest);
        let hash = blake3::hash(&body);
        body.extend_from_slice(hash.as_bytes());
        body
    };
    let (small, large) = (200_000, 1 << 40);
    for (size, record) in [
        (small, body(small, 28, &[], &[])),
        (small, body(small, 28, &[0, 0, 0], &[])),
        (small, body(small, 28, &[0, 0, 0], &[0; 4 * 32])),
        (small, body(small, 28, &[u32::MAX, 0, 0], &[])),
        (small, body(small, 28, &[0, u32::MAX, 0], &[])),
        (small, body(small, 28, &[0, 1, 0], &[0; 48 + 4 * 32])),
        (small, body(small, 28, &[0, 0, u32::MAX], &[0; 4 * 32])),
        (small, body(small, 15, &[0, 0, 0], &[0; 4 * 32])),
        (small, body(small, 29, &[0, 0, 0], &[0; 4 * 32])),
        (small, body(small, 255, &[0, 0, 0], &[0; 4 * 32])),
        (small, body(1_000, 28, &[0, 0, 0], &[0; 32])),
        (large, body(large, 28, &[0], &[])),
        (large, body(large, 28, &[0], &[0; 4096 * 76])),
        (large, body(large, 28, &[u32::MAX], &[])),
        (large, body(large, 16, &[0], &[])),
        (u64::MAX, body(u64::MAX, 28, &[0], &[])),
        (large, vec![2]),
        (large, vec![]),
    ] {
        let target = file(FileId::of(b"list"), size);
        bucket
            .put(&format!("packs/{pack}"), record.clone().into())
            .await
            .unwrap();
        let at = Location::Recipe {
            pack,
            offset: 0,
            stored: record.len() as u32,
        };
        assert_corrupt(store(&bucket).read(&target, &at).await, "list");
        assert_corrupt(streamed(&store(&bucket), &target, &at).await, "list");
        assert_corrupt(store(&bucket).read_ranges(&target, &at, &one(0..1)).await, "list");
    }
}
