//! How many requests reads and writes cost, because a bucket charges for each in time and money.

use bytes::Bytes;
use drumlin_chunks::Bucket;
use drumlin_model::Location;
use drumlin_testkit::counting_store::Requests;
use futures::TryStreamExt;

use crate::support::{NOW, add, file, file_of, noise, store, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_file_is_one_read() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let content = text(1, 7_000);
    let (file, at) = add(&store(&bucket), &content).await;
    requests.take();
    assert_eq!(store(&bucket).read(&file, &at).await.unwrap(), content);
    assert_eq!(requests.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_a_long_file_is_its_recipe_and_one_read() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let content = noise(1, 50_000_000);
    let (file, at) = add(&store(&bucket), &content).await;
    requests.take();
    let fresh = store(&bucket);
    let range = 20_000_000..20_500_000;
    let got = fresh
        .read_ranges(&file, &at, std::slice::from_ref(&range))
        .await
        .unwrap();
    assert_eq!(got, [content.slice(range.start as usize..range.end as usize)]);
    assert_eq!(requests.take().len(), 2);
    fresh
        .read_ranges(&file, &at, std::slice::from_ref(&(0..10)))
        .await
        .unwrap();
    assert_eq!(requests.take().len(), 1, "the recipe is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_a_blob_is_its_outboard_and_one_read() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let content = noise(1, 10_000_000);
    let (id, size, at) = store(&bucket).writer(NOW).add_blob(content.clone()).await.unwrap();
    assert_eq!(requests.take().len(), 2, "the blob and its outboard");
    let (file, fresh) = (file(id, size), store(&bucket));
    let ranges = [5_000_000..5_000_100, 5_000_050..5_100_000];
    let got = fresh.read_ranges(&file, &at, &ranges).await.unwrap();
    assert_eq!(
        got,
        ranges
            .clone()
            .map(|range| content.slice(range.start as usize..range.end as usize))
    );
    assert_eq!(requests.take().len(), 2);
    fresh.read_ranges(&file, &at, &ranges[..1]).await.unwrap();
    assert_eq!(requests.take().len(), 1, "the outboard is kept");
    let small = store(&bucket)
        .writer(NOW)
        .add_blob(content.slice(..65_536))
        .await
        .unwrap();
    assert_eq!(requests.take().len(), 1, "one block needs no outboard");
    let file = self::file(small.0, small.1);
    let got = fresh.read_ranges(&file, &at, &[7..9, 8..11]).await.unwrap();
    assert_eq!(got, [content.slice(7..9), content.slice(8..11)]);
    assert_eq!(requests.take().len(), 1);
}

/// 10,000 small files are written and read by the megabyte, not by the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_share_requests() {
    let (counted, requests) = Requests::store(Bucket::memory().object_store());
    let bucket = Bucket::new(counted);
    let chunks = store(&bucket);
    let writer = chunks.writer(NOW);
    let mut files = Vec::new();
    for number in 0..10_000 {
        let (id, size, at) = writer.add_bytes(noise(number, 7_000)).await.unwrap();
        files.push((file(id, size), at));
    }
    writer.flush().await.unwrap();
    let written = requests.take();
    assert!(written.len() <= 5, "{written:?}");
    let got: Vec<(usize, Bytes)> = store(&bucket).read_many(files).try_collect().await.unwrap();
    assert_eq!(got.len(), 10_000);
    assert!(got.iter().all(|(number, bytes)| *bytes == noise(*number as u64, 7_000)));
    let read = requests.take().len();
    assert!(read <= 70_000_000 / 4_000_000 + 20, "{read} requests");
}

/// A table of up to 1,455 rows comes with one read, a longer one with two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_one_read_and_a_long_one_two() {
    for (files, reads) in [(1_455, 1), (1_456, 2), (3_000, 2)] {
        let (counted, requests) = Requests::store(Bucket::memory().object_store());
        let bucket = Bucket::new(counted);
        let writer = store(&bucket).writer(NOW);
        for number in 0..files {
            writer.add_bytes(noise(number, 40)).await.unwrap();
        }
        writer.flush().await.unwrap();
        requests.take();
        let content = noise(7, 40);
        let read = store(&bucket).read(&file_of(&content), &Location::Unknown).await;
        assert_eq!(read.unwrap(), content);
        assert_eq!(
            requests.take().len(),
            2 + reads + 1,
            "two lists, the table of {files} rows, the content"
        );
    }
}
