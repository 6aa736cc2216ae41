//! What the verbs of the working copy cost: requests to the store, bytes written, files read.

use std::{fs, path::Path, sync::Arc, time::Instant};

use drumlin_chunks::{Bucket, NoProgress, Storage};
use drumlin_repo::Repo;
use drumlin_testkit::{Requests, info};
use drumlin_worktree::{Layout, WorkingCopy};

use crate::kit::{Kit, clock};

/// Another handle on the working copy in `folder`, and what it asks of the store.
async fn counting(folder: &Path) -> (WorkingCopy, Arc<Requests>) {
    let layout = Layout::discover(folder).unwrap();
    let storage = Storage::open(&layout.repository).unwrap();
    let (store, requests) = Requests::store(storage.bucket.object_store());
    let repo = Repo::open(
        Storage {
            bucket: Bucket::new(store),
            ..storage
        },
        clock(),
    )
    .await
    .unwrap();
    (
        WorkingCopy::open(layout.clone(), layout.folder, repo).unwrap(),
        requests,
    )
}

/// Files of 7 kB that do not compress away and do not repeat.
fn write_files(folder: &Path, count: u32) {
    let mut content = vec![0; 7 << 10];
    for file in 0..count {
        if file % 1000 == 0 {
            fs::create_dir_all(folder.join((file / 1000).to_string())).unwrap();
        }
        blake3::Hasher::new()
            .update(&file.to_le_bytes())
            .finalize_xof()
            .fill(&mut content);
        fs::write(folder.join(format!("{}/{file}.bin", file / 1000)), &content).unwrap();
    }
}

/// What the file system holds of a folder, in bytes.
fn disk_usage(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let size = |entry: fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            disk_usage(&entry.path())
        } else {
            metadata.blocks() * 512
        }
    };
    entries.map(size).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_add_commit_and_checkout() {
    let kit = Kit::new().await;
    write_files(kit.folder.path(), 5_000);
    let (copy, requests) = counting(kit.folder.path()).await;
    let added = copy.add(&[".".into()], &NoProgress).await.unwrap();
    assert_eq!(added.added, 5_000);
    copy.commit(info("many")).await.unwrap();
    assert!(requests.count() <= 25, "{:?}", requests.by_verb());

    requests.take();
    copy.add(&[".".into()], &NoProgress).await.unwrap();
    assert!(
        requests.count() <= 1,
        "an unchanged tree costs its walk: {:?}",
        requests.take()
    );

    fs::write(kit.at("3/3333.bin"), "changed").unwrap();
    let (copy, requests) = counting(kit.folder.path()).await;
    copy.add(&[".".into()], &NoProgress).await.unwrap();
    copy.commit(info("one")).await.unwrap();
    assert!(requests.count() <= 8, "{:?}", requests.take());

    let (copy, requests) = counting(kit.folder.path()).await;
    copy.checkout(&"main~2".parse().unwrap(), false, &NoProgress)
        .await
        .unwrap();
    assert_eq!(
        fs::read_dir(kit.folder.path()).unwrap().count(),
        1,
        "only `.drumlin` is left"
    );
    requests.take();
    copy.checkout(&"main".parse().unwrap(), false, &NoProgress)
        .await
        .unwrap();
    let bytes: usize = 5_000 * (7 << 10);
    assert!(requests.count() <= bytes / 4_000_000 + 20, "{:?}", requests.by_verb());
    assert!(copy.status().await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_file_among_many_costs_itself() {
    let kit = Kit::new().await;
    for file in 0..20_000 {
        if file % 1000 == 0 {
            fs::create_dir_all(kit.at(&(file / 1000).to_string())).unwrap();
        }
        fs::write(kit.at(&format!("{}/{file}", file / 1000)), "").unwrap();
    }
    kit.add_all().await;
    kit.commit("many").await;
    kit.write("7/7777", "changed");
    kit.add(&["7/7777"]).await.unwrap();
    let (size, began) = (disk_usage(&kit.at(".drumlin")), Instant::now());
    kit.commit("one").await;
    assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());
    assert!(disk_usage(&kit.at(".drumlin")) - size < 1 << 20);
}

/// By hand: `cargo test -p drumlin-repo -- --ignored --nocapture figures`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 50,000 files several times"]
async fn figures() {
    let kit = Kit::new().await;
    let (source, copied) = (kit.at("source"), kit.at("copied"));
    let count = 50_000;
    write_files(&source, count);
    let time = |what: &str, began: Instant| println!("{what}: {:?}", began.elapsed());
    let began = Instant::now();
    std::process::Command::new("cp")
        .arg("-r")
        .args([&source, &copied])
        .status()
        .unwrap();
    time("cp -r", began);
    fs::remove_dir_all(&copied).unwrap();
    for round in 0..2 {
        let began = Instant::now();
        let (copy, requests) = counting(kit.folder.path()).await;
        let added = copy.add(&[".".into()], &NoProgress).await.unwrap();
        time(
            &format!("add {round}: {} added, {} unchanged", added.added, added.unchanged),
            began,
        );
        if round == 0 {
            let began = Instant::now();
            copy.commit(info("all")).await.unwrap();
            time("commit", began);
        }
        println!("{:?}", requests.by_verb());
    }
    let began = Instant::now();
    kit.checkout("main~1").await.unwrap();
    time("checkout of nothing", began);
    let began = Instant::now();
    kit.checkout("main").await.unwrap();
    time("checkout of all", began);
    let began = Instant::now();
    kit.copy.status().await.unwrap();
    time("status", began);
}

/// By hand, as above: a commit of one file must cost itself, whatever else the tree holds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a million files"]
async fn million() {
    let kit = Kit::new().await;
    for file in 0..1_000_000 {
        if file % 1000 == 0 {
            fs::create_dir_all(kit.at(&(file / 1000).to_string())).unwrap();
        }
        fs::write(kit.at(&format!("{}/{file}.txt", file / 1000)), format!("{file}")).unwrap();
    }
    let time = |what: &str, began: Instant| println!("{what}: {:?}", began.elapsed());
    let began = Instant::now();
    kit.add_all().await;
    time("add of a million", began);
    let began = Instant::now();
    kit.commit("all").await;
    time("commit of a million", began);
    for round in 0..3 {
        kit.write("777/777777.txt", format!("changed {round}"));
        let (copy, requests) = counting(kit.folder.path()).await;
        let began = Instant::now();
        let added = copy.add(&[".".into()], &NoProgress).await.unwrap();
        time(
            &format!("add: {} modified, {} unchanged", added.modified, added.unchanged),
            began,
        );
        let (size, began) = (disk_usage(&kit.at(".drumlin")), Instant::now());
        copy.commit(info("one")).await.unwrap();
        time("commit of one", began);
        println!(
            "{} bytes, {} requests with the add",
            disk_usage(&kit.at(".drumlin")) - size,
            requests.count()
        );
    }
}

/// By hand, as above: the memory of a large file's way in and out does not grow with it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a file of 3 GB twice"]
async fn one_large_file() {
    let peak_mb = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    let kit = Kit::new().await;
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut file = fs::File::create(kit.at("large")).unwrap();
    let mut part = vec![0; 1 << 20];
    for _ in 0..3_000 {
        noise.fill(&mut part);
        std::io::Write::write_all(&mut file, &part).unwrap();
    }
    println!("peak before: {} MB", peak_mb());
    let began = Instant::now();
    kit.add_all().await;
    println!("add: {:?}, peak {} MB", began.elapsed(), peak_mb());
    kit.commit("large").await;
    kit.checkout("main~1").await.unwrap();
    let began = Instant::now();
    kit.checkout("main").await.unwrap();
    println!("checkout: {:?}, peak {} MB", began.elapsed(), peak_mb());
    assert!(peak_mb() < 1024);
}
