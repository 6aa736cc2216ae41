//! Files that are longer than a segment: every boundary, every lie and every flip, the longest file, and what a range costs.
//! The segments of these tests are short, so that files of many segments are quick to write. Readers read any length.

use std::ops::Range;

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore, ContentWriter, Error, PackIds, Segments};
use drumlin_model::{ErrorKind, File, FileId, Location, PackId};
use drumlin_testkit::counting_store::Requests;
use futures::TryStreamExt;

use crate::support::{NOW, assert_corrupt, file, noise, one, store, streamed, text};

const BLOCK: usize = 64 << 10;

fn divided(len: usize, count_max: u64) -> Segments {
    let len = len as u64;
    Segments { len, count_max }
}

fn writer(store: &ChunkStore, segments: Segments) -> ContentWriter {
    store.writer_with(PackIds::since(NOW), segments)
}

async fn add(store: &ChunkStore, segments: Segments, content: &Bytes) -> (File, Location) {
    let writer = writer(store, segments);
    let (id, size, at) = writer.add_bytes(content.clone()).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!((id, size), (FileId::of(content), content.len() as u64));
    (file(id, size), at)
}

/// Ranges that begin or end at, just before or just after each multiple of `step`, and some across several.
fn ranges_at(step: usize, len: usize) -> Vec<Range<u64>> {
    let edges = (0..=len).step_by(step).chain([len]);
    let near = edges.flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1]);
    let points: Vec<u64> = near.filter(|point| *point <= len).map(|point| point as u64).collect();
    let short = points.iter().map(|&start| start..(start + 2).min(len as u64));
    let wide = points.windows(7).map(|points| points[0]..points[6]);
    short.chain(wide).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_boundary_is_read_as_it_was_written() {
    for segment in [BLOCK, 2 * BLOCK, 4 * BLOCK] {
        let lens = [
            131_073,
            3 * BLOCK,
            4 * BLOCK - 1,
            4 * BLOCK,
            4 * BLOCK + 1,
            8 * BLOCK,
            9 * BLOCK + 17,
            1_000_003,
        ];
        for (number, len) in lens.into_iter().enumerate() {
            let bucket = Bucket::memory();
            for content in [noise(number as u64, len), text(number as u64, len), vec![0; len].into()] {
                let (file, at) = add(&store(&bucket), divided(segment, 1 << 16), &content).await;
                let fresh = store(&bucket);
                assert_eq!(fresh.read(&file, &at).await.unwrap(), content);
                assert_eq!(streamed(&fresh, &file, &Location::Unknown).await.unwrap(), content);
                let ranges = ranges_at(BLOCK, len);
                let got = fresh.read_ranges(&file, &at, &ranges).await.unwrap();
                for (range, got) in ranges.iter().zip(got) {
                    assert_eq!(
                        got,
                        content[range.start as usize..range.end as usize],
                        "{len} {segment} {range:?}"
                    );
                }
                for range in &ranges {
                    let got = fresh
                        .read_ranges(&file, &at, std::slice::from_ref(range))
                        .await
                        .unwrap();
                    assert_eq!(got, [content.slice(range.start as usize..range.end as usize)]);
                }
                assert_eq!(fresh.check_content(&file, &at).await.unwrap(), []);
            }
            let fresh = store(&bucket);
            for pack in fresh.list_packs().await.unwrap() {
                assert_eq!(fresh.check_pack(pack).await.unwrap(), []);
            }
        }
    }
}

/// A segment of 256 MiB, one byte less and one byte more, with the lengths that every writer uses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boundary_of_real_segments() {
    let (bucket, segment) = (Bucket::memory(), Segments::default().len as usize);
    for len in [segment - 1, segment, segment + 1] {
        let content = Bytes::from(vec![0; len]);
        let (file, at) = crate::support::add(&store(&bucket), &content).await;
        let fresh = store(&bucket);
        let ranges = [0..1, segment as u64 - 2..len as u64, 100_000_000..100_000_009];
        let got = fresh.read_ranges(&file, &at, &ranges).await.unwrap();
        assert!(
            got.iter()
                .zip(&ranges)
                .all(|(got, range)| got.len() as u64 == range.end - range.start)
        );
        assert!(got.iter().all(|got| got.iter().all(|byte| *byte == 0)));
        assert_eq!(fresh.check_content(&file, &at).await.unwrap(), []);
    }
}

/// What is known is stored once: the segments of a file that is added again, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_added_again_stores_nothing() {
    let bucket = Bucket::memory();
    let content = noise(3, 3_000_000);
    let first = add(&store(&bucket), divided(4 * BLOCK, 100), &content).await;
    let again = store(&bucket);
    let writer = writer(&again, divided(4 * BLOCK, 100));
    let (id, _, at) = writer.add_bytes(content).await.unwrap();
    let summary = writer.flush().await.unwrap();
    assert_eq!((id, at), (first.0.id, first.1));
    assert_eq!((summary.bytes_new, summary.bytes_stored, summary.packs), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_file_and_one_byte_more() {
    let segments = divided(BLOCK, 16);
    assert_eq!(segments.file_len_max(), 16 * BLOCK as u64);
    let bucket = Bucket::memory();
    let longest = noise(4, 16 * BLOCK);
    let (file, at) = add(&store(&bucket), segments, &longest).await;
    assert_eq!(store(&bucket).read(&file, &at).await.unwrap(), longest);
    let (chunks, more) = (store(&bucket), noise(5, 16 * BLOCK + 1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more");
    std::fs::write(&path, &more).unwrap();
    let writer = writer(&chunks, segments);
    let mut pieces = writer.file();
    let pushed = match pieces.push(more.clone()).await {
        Ok(()) => pieces.finish().await,
        Err(error) => Err(error),
    };
    for refused in [writer.add_bytes(more).await, writer.add_file(&path).await, pushed] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, Error::FileTooLong { len_max } if len_max == 16 * BLOCK as u64),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    // The writer goes on being usable.
    let (id, size, at) = writer.add_bytes(longest.clone()).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(chunks.read(&self::file(id, size), &at).await.unwrap(), longest);
}

/// One request for the recipe, one for the segment and one for the bytes, however many segments there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_a_file_of_many_segments_is_three_requests() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let content = noise(6, 30_000_000);
    let (file, at) = add(&store(&bucket), divided(BLOCK, 1 << 16), &content).await;
    requests.take();
    let fresh = store(&bucket);
    // In the middle of a segment's only block.
    let start = 20_000_000 / BLOCK as u64 * BLOCK as u64 + 1_000;
    let range = start..start + 1_000;
    let got = fresh
        .read_ranges(&file, &at, std::slice::from_ref(&range))
        .await
        .unwrap();
    assert_eq!(got, [content.slice(range.start as usize..range.end as usize)]);
    let seen = requests.take();
    assert_eq!(seen.len(), 3, "{seen:?}");
    fresh
        .read_ranges(&file, &at, std::slice::from_ref(&range))
        .await
        .unwrap();
    assert_eq!(requests.take().len(), 1, "recipe and segment are kept");
}

/// The one pack of a bucket, its key, and the rows of its table: id, kind, and where the record is.
async fn only_pack(bucket: &Bucket) -> (PackId, String, Bytes, Vec<([u8; 32], u8, Range<usize>)>) {
    let packs = store(bucket).list_packs().await.unwrap();
    let [pack] = packs[..] else { panic!("{packs:?}") };
    let key = format!("packs/{pack}");
    let whole = bucket.get(&key).await.unwrap();
    let trailer = whole.len() - 48;
    let count = u32::from_le_bytes(whole[trailer..trailer + 4].try_into().unwrap()) as usize;
    let rows = whole[trailer - count * 45..trailer].chunks_exact(45).map(|row| {
        let number = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().unwrap()) as usize;
        let start = number(33);
        (row[..32].try_into().unwrap(), row[32], start..start + number(37))
    });
    (pack, key, whole.clone(), rows.collect())
}

/// A flip in the recipe is met by every read; one in a segment or chunk by the reads of what it is about, and by no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flips_are_found_by_the_reads_that_they_concern() {
    let bucket = Bucket::memory();
    let content = noise(7, 12 * BLOCK + 777);
    let (file, at) = add(&store(&bucket), divided(4 * BLOCK, 100), &content).await;
    let (pack, key, whole, rows) = only_pack(&bucket).await;
    let kinds = |kind: u8| rows.iter().filter(move |row| row.1 == kind).map(|row| row.2.clone());
    assert_eq!((kinds(1).count(), kinds(2).count()), (1, 4));
    let ranges: Vec<Range<u64>> = (0..13)
        .map(|block| block * BLOCK as u64 + 5..block * BLOCK as u64 + 105)
        .collect();
    let failing = async |byte: usize| -> Vec<usize> {
        let mut bytes = whole.to_vec();
        bytes[byte] ^= 1 << (byte % 8);
        bucket.put(&key, bytes.into()).await.unwrap();
        let fresh = store(&bucket);
        assert_ne!(fresh.check_pack(pack).await.unwrap(), [], "byte {byte}");
        let mut failed = Vec::new();
        for (number, range) in ranges.iter().enumerate() {
            match fresh.read_ranges(&file, &at, std::slice::from_ref(range)).await {
                Ok(got) => assert_eq!(got, [content.slice(range.start as usize..range.end as usize)]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {byte}: {error}");
                    failed.push(number);
                }
            }
        }
        failed
    };
    for byte in kinds(1).next().unwrap() {
        let failed = failing(byte).await;
        assert_eq!(failed.len(), ranges.len(), "byte {byte} of the recipe");
    }
    for record in kinds(2) {
        for byte in record.step_by(13) {
            let failed = failing(byte).await;
            let first = failed[0] / 4 * 4;
            assert_eq!(
                failed,
                (first..(first + 4).min(13)).collect::<Vec<_>>(),
                "byte {byte} of a segment"
            );
        }
    }
    for record in kinds(0) {
        let failed = failing(record.start + record.len() / 2).await;
        // A chunk has at most 128 KiB, so it meets at most three blocks.
        assert!((1..=3).contains(&failed.len()) && failed.is_sorted(), "{failed:?}");
        assert_eq!(failed[failed.len() - 1] - failed[0], failed.len() - 1, "{failed:?}");
    }
}

/// Where the rows of chunks begin in a recipe of one segment, or in a segment: after the number and ids of packs, the number of chunks, and
/// the bytes before.
fn rows_at(body: usize, record: &[u8]) -> usize {
    let packs = u32::from_le_bytes(record[body..body + 4].try_into().unwrap()) as usize;
    body + 4 + packs * 32 + 8
}

/// Exchanges two chunks of equal length in a list of chunks.
fn exchange(record: &mut [u8], rows: usize, first: usize, second: usize) {
    for byte in 0..48 {
        record.swap(rows + first * 48 + byte, rows + second * 48 + byte);
    }
}

/// Content of chunks of 128 KiB each, no two alike: the cutter finds no cut in runs of one byte.
fn even_chunks(count: u8) -> Bytes {
    (0..count)
        .flat_map(|chunk| vec![chunk; 128 << 10])
        .collect::<Vec<u8>>()
        .into()
}

/// The right chunks in the wrong order: every one has its hash, and the list has its own. The file's id says no.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_that_lies_is_found_by_a_range() {
    let bucket = Bucket::memory();
    let content = even_chunks(8);
    let (file, _) = crate::support::add(&store(&bucket), &content).await;
    let (_, _, whole, rows) = only_pack(&bucket).await;
    let place = rows.iter().find(|row| row.1 == 1).unwrap().2.clone();
    let mut record = whole[place].to_vec();
    let rows = rows_at(43, &record);
    exchange(&mut record, rows, 2, 5);
    let end = record.len() - 32;
    let hash = blake3::hash(&record[..end]);
    record[end..].copy_from_slice(hash.as_bytes());
    let pack = PackId::of(b"a lie");
    bucket
        .put(&format!("packs/{pack}"), record.clone().into())
        .await
        .unwrap();
    let lie = Location::Recipe {
        pack,
        offset: 0,
        stored: record.len() as u32,
    };
    let liar = store(&bucket);
    let block = |number: u64| number * BLOCK as u64 + 10..number * BLOCK as u64 + 20;
    for number in 0..16 {
        let read = liar.read_ranges(&file, &lie, &[block(number)]).await;
        if [4, 5, 10, 11].contains(&number) {
            assert_corrupt(read, &format!("block {number}"));
        } else {
            assert_eq!(
                read.unwrap()[0],
                content[block(number).start as usize..block(number).end as usize]
            );
        }
    }
    assert_corrupt(liar.read(&file, &lie).await, "whole");
    assert_corrupt(streamed(&liar, &file, &lie).await, "stream");
}

/// A segment of another file, with the hash that the recipe asks for: its values do not merge to what the recipe says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_of_another_file_is_refused() {
    let bucket = Bucket::memory();
    let content = even_chunks(8);
    let (file, _) = add(&store(&bucket), divided(256 << 10, 100), &content).await;
    let (_, _, whole, rows) = only_pack(&bucket).await;
    let place = rows.iter().find(|row| row.1 == 1).unwrap().2.clone();
    let mut record = whole[place].to_vec();
    // After the head: number and ids of packs, then rows of 76 bytes: value, id, pack, offset, stored. The first row leads to the second's.
    let start = 43 + 4 + 32;
    let second: Vec<u8> = record[start + 76 + 32..start + 2 * 76].to_vec();
    record[start + 32..start + 76].copy_from_slice(&second);
    let end = record.len() - 32;
    let hash = blake3::hash(&record[..end]);
    record[end..].copy_from_slice(hash.as_bytes());
    let pack = PackId::of(b"a lie");
    bucket
        .put(&format!("packs/{pack}"), record.clone().into())
        .await
        .unwrap();
    let lie = Location::Recipe {
        pack,
        offset: 0,
        stored: record.len() as u32,
    };
    let liar = store(&bucket);
    assert_corrupt(liar.read_ranges(&file, &lie, &one(0..10)).await, "the first segment");
    let right = liar.read_ranges(&file, &lie, &one(300_000..300_010)).await.unwrap();
    assert_eq!(right, [content.slice(300_000..300_010)]);
    assert_ne!(liar.check_content(&file, &lie).await.unwrap(), []);
}

/// A segment that is gone is missed by the check of the content that it is a part of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_with_segments_that_is_gone() {
    let bucket = Bucket::memory();
    let content = noise(8, 3_000_000);
    let (file, at) = add(&store(&bucket), divided(4 * BLOCK, 100), &content).await;
    let (_, key, _, _) = only_pack(&bucket).await;
    bucket.delete(&key).await.unwrap();
    let fresh = store(&bucket);
    assert_ne!(fresh.check_content(&file, &at).await.unwrap(), []);
    assert_corrupt(fresh.read_ranges(&file, &at, &one(0..1)).await, "gone");
    let many: Result<Vec<(usize, Bytes)>, Error> = fresh.read_many(vec![(file, at)]).try_collect().await;
    assert_eq!(many.unwrap_err().kind(), ErrorKind::Corrupt);
}
