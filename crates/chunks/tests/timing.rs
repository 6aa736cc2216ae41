//! How fast content goes in and out, beside plain copies of the same files. Run with `-- --ignored --nocapture timing`.
#![expect(clippy::print_stdout, reason = "measurements are for whoever runs them")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use drumlin_chunks::{Bucket, ChunkStore, NoProgress, Storage};
use drumlin_testkit::counting_store::Requests;
use futures::TryStreamExt;

use crate::support::{NOW, file, noise, store, text};

fn rate(what: &str, bytes: u64, took: Duration) {
    let mb_per_s = bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "{what}: {:.2} s, {mb_per_s:.0} MB/s, peak {} MB",
        took.as_secs_f64(),
        peak_mb()
    );
}

/// The most memory that this process ever had, as Linux tells it.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kb.unwrap_or(0u64) / 1000
}

/// Lets what was written before reach the disk, so that it does not compete with what is measured.
fn settle() {
    assert!(std::process::Command::new("sync").status().unwrap().success());
}

fn copy(from: &Path, to: &Path) -> Duration {
    let start = Instant::now();
    assert!(
        std::process::Command::new("cp")
            .arg("-r")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
    start.elapsed()
}

#[ignore = "takes a minute and 10 GB of disk; measures, asserts little"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timing_of_small_files() {
    const FILES: u64 = 50_000;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let path = |number: u64| files.join(format!("{number:05}"));
    for number in 0..FILES {
        let content = if number % 2 == 0 {
            noise(number, 7_000)
        } else {
            text(number, 7_000)
        };
        std::fs::write(path(number), content).unwrap();
    }
    rate(
        "cp -r of 50,000 files",
        FILES * 7_000,
        copy(&files, &folder.path().join("copy")),
    );
    let storage = Storage::directory(&folder.path().join("repo")).unwrap();
    let chunks = store(&storage.bucket);
    settle();
    let start = Instant::now();
    let writer = chunks.writer(NOW);
    let halves = (0..2).map(|half| {
        let (writer, paths) = (writer.clone(), (half..FILES).step_by(2).map(path).collect::<Vec<_>>());
        tokio::task::spawn_blocking(move || {
            let add = |path| writer.add_file_blocking(path, &NoProgress).unwrap();
            paths.iter().map(|path| add(path)).collect::<Vec<_>>()
        })
    });
    let added = futures::future::try_join_all(halves).await.unwrap().concat();
    rate("add of 50,000 files, not flushed", FILES * 7_000, start.elapsed());
    writer.flush().await.unwrap();
    rate("add of 50,000 files", FILES * 7_000, start.elapsed());
    let files: Vec<_> = added.into_iter().map(|(id, size, at)| (file(id, size), at)).collect();
    let start = Instant::now();
    let read = store(&storage.bucket)
        .read_many(files)
        .try_fold(0, |sum, (_, content)| async move { Ok(sum + content.len()) });
    assert_eq!(read.await.unwrap() as u64, FILES * 7_000);
    rate("read of 50,000 files", FILES * 7_000, start.elapsed());
}

async fn long_file(name: &str, content: impl Fn(u64) -> bytes::Bytes) {
    use std::io::Write;
    const PARTS: u64 = 256;
    const PART_LEN: u64 = 8 << 20;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("file");
    let mut out = std::fs::File::create(&path).unwrap();
    (0..PARTS).for_each(|part| out.write_all(&content(part)).unwrap());
    rate(
        &format!("cp of 2 GB {name}"),
        PARTS * PART_LEN,
        copy(&path, &folder.path().join("copy")),
    );
    let storage = Storage::directory(&folder.path().join("repo")).unwrap();
    let chunks: ChunkStore = store(&storage.bucket);
    settle();
    let start = Instant::now();
    let writer = chunks.writer(NOW);
    let (id, size, at) = writer.add_file(&path).await.unwrap();
    writer.flush().await.unwrap();
    rate(&format!("add of 2 GB {name}"), size, start.elapsed());
    let start = Instant::now();
    let read = chunks
        .stream(&file(id, size), &at)
        .try_fold(0, |sum, part| async move { Ok(sum + part.len()) });
    assert_eq!(read.await.unwrap() as u64, size);
    rate(&format!("stream of 2 GB {name}"), size, start.elapsed());
    assert!(peak_mb() < 300, "{} MB at the peak", peak_mb());
}

#[ignore = "takes a minute and 10 GB of disk; measures, asserts little"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timing_of_a_long_file_of_noise() {
    long_file("noise", |part| noise(part, 8 << 20)).await;
}

#[ignore = "takes a minute and 10 GB of disk; measures, asserts little"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timing_of_a_long_file_of_text() {
    long_file("text", |part| text(part, 8 << 20)).await;
}

/// 100 GB of zeros that take no room: many segments, one chunk.
#[ignore = "takes minutes; measures, asserts little"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timing_of_a_range_of_a_sparse_file() {
    const SIZE: u64 = 100 << 30;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("file");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    let storage = Storage::directory(&folder.path().join("repo")).unwrap();
    let start = Instant::now();
    let writer = store(&storage.bucket).writer(NOW);
    let (id, size, at) = writer.add_file(&path).await.unwrap();
    let summary = writer.flush().await.unwrap();
    rate("add of 100 GB of zeros", size, start.elapsed());
    println!("stored: {summary:?}");
    let (counted, requests) = Requests::store(storage.bucket.object_store());
    let fresh = store(&Bucket::new(counted));
    for round in ["first", "second"] {
        let start = Instant::now();
        let range = SIZE / 2..SIZE / 2 + 1000;
        let read = fresh.read_ranges(&file(id, size), &at, &[range]).await.unwrap();
        assert_eq!(read[0], vec![0; 1000]);
        println!(
            "{round} range of 1 KB: {:?}, {} requests",
            start.elapsed(),
            requests.take().len()
        );
    }
}
