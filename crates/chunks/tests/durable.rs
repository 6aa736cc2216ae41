//! The local folder: the object store's own suite, what a crash leaves, a full disk, a disk that is read-only.

use std::{
    fs::File,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use drumlin_chunks::{Bucket, DirectoryRoot, RootStore, Storage, Swap};
use drumlin_model::ErrorKind;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, integration, path::Path as Key};

use crate::support::{NOW, chain, keys, noise, store};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_of_object_stores() {
    let folder = tempfile::tempdir().unwrap();
    let store = Bucket::directory(folder.path()).unwrap().object_store();
    integration::put_get_delete_list(&store).await;
    integration::get_opts(&store).await;
    integration::list_uses_directories_correctly(&store).await;
    integration::list_with_delimiter(&store).await;
    integration::rename_and_copy(&store).await;
    integration::copy_if_not_exists(&store).await;
    integration::copy_rename_nonexistent_object(&store).await;
    integration::stream_get(&store).await;
    integration::put_opts(&store, false).await;
    integration::multipart_race_condition(&store, true).await;
    integration::multipart_out_of_order(&store).await;
    integration::list_with_offset_exclusivity(&store).await;
    assert_eq!(names(&folder.path().join("tmp")), [""; 0], "nothing unfinished is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_are_those_of_reads() {
    let folder = tempfile::tempdir().unwrap();
    let store = Bucket::directory(folder.path()).unwrap().object_store();
    for mode in [PutMode::Create, PutMode::Overwrite] {
        let put = store
            .put_opts(&Key::from("a/b"), Bytes::from("x").into(), mode.into())
            .await
            .unwrap();
        assert_eq!(put.e_tag, store.head(&Key::from("a/b")).await.unwrap().e_tag);
    }
}

/// An unfinished object is not listed, not read, and gone with its upload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_objects_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(folder.path()).unwrap();
    let store = bucket.object_store();
    let mut upload = store.put_multipart(&Key::from("blobs/a")).await.unwrap();
    upload.put_part(noise(1, 1000).into()).await.unwrap();
    assert_eq!(names(&folder.path().join("tmp")).len(), 1);
    assert_eq!(keys(&bucket, "").await, [""; 0]);
    assert!(
        store
            .list_with_delimiter(None)
            .await
            .unwrap()
            .common_prefixes
            .is_empty()
    );
    assert_eq!(bucket.head("blobs/a").await.unwrap(), None);
    drop(upload);
    assert_eq!(names(&folder.path().join("tmp")), [""; 0]);
    let refused = bucket.put_new("tmp/mine", Bytes::from("x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

/// What dead processes left is removed when the folder is opened; what is young, or somebody holds, stays.
#[test]
fn leftovers_of_the_dead_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let tmp = folder.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let mut held = Vec::new();
    for (name, is_old, is_held) in [
        ("part-dead", true, false),
        ("part-held", true, true),
        ("part-young", false, false),
        ("root.lock", true, false),
    ] {
        let file = File::create(tmp.join(name)).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
        if is_held {
            file.lock().unwrap();
            held.push(file);
        }
    }
    Bucket::directory(folder.path()).unwrap();
    assert_eq!(names(&tmp), ["part-held", "part-young", "root.lock"]);
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_read_what_the_umask_lets_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(folder.path()).unwrap();
    bucket.put_new("packs/a", Bytes::from("x")).await.unwrap();
    File::create(folder.path().join("plain")).unwrap();
    let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
    assert_eq!(mode("packs/a"), mode("plain"));
}

#[test]
fn a_file_in_the_way_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, b"x").unwrap();
    let error = Bucket::directory(&path.join("repo")).unwrap_err();
    assert!(error.to_string().contains("file/repo"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// A small file system in memory. `None` where this user may not mount one.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        done.is_ok_and(|done| done.status.success()).then_some(Self { folder })
    }

    fn make_read_only(&self) {
        let done = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.folder.path())
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let Some(disk) = Disk::mount("2m") else {
        return eprintln!("not run: this user may not mount a file system");
    };
    let storage = Storage::directory(&disk.folder.path().join("repo")).unwrap();
    let chunks = store(&storage.bucket);
    let writer = chunks.writer(NOW);
    writer.add_bytes(noise(1, 900_000)).await.unwrap();
    writer.flush().await.unwrap();
    writer.add_bytes(noise(2, 4_000_000)).await.unwrap();
    let error = writer.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
    assert!(chain(&error).contains("No space left"), "{}", chain(&error));
    let error = storage.root.swap(None, vec![0; 3 << 20].into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", chain(&error));
    assert_eq!(storage.root.load().await.unwrap(), None);
    assert_eq!(
        names(&disk.folder.path().join("repo/tmp")),
        ["root.lock"],
        "what was half written is gone"
    );
    let packs = chunks.list_packs().await.unwrap();
    assert_eq!((packs.len(), chunks.check_pack(packs[0]).await.unwrap()), (1, vec![]));
    let (file, at) = crate::support::add(&chunks, &noise(3, 10_000)).await;
    assert_eq!(chunks.read(&file, &at).await.unwrap(), noise(3, 10_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_read_only() {
    let Some(disk) = Disk::mount("4m") else {
        return eprintln!("not run: this user may not mount a file system");
    };
    let folder = disk.folder.path().join("repo");
    let storage = Storage::directory(&folder).unwrap();
    let (file, at) = crate::support::add(&store(&storage.bucket), &noise(1, 10_000)).await;
    let Swap::Won(version) = storage.root.swap(None, Bytes::from("root")).await.unwrap() else {
        panic!("alone")
    };
    disk.make_read_only();
    let storage = Storage::directory(&folder).unwrap();
    assert_eq!(store(&storage.bucket).read(&file, &at).await.unwrap(), noise(1, 10_000));
    assert_eq!(
        storage.root.load().await.unwrap(),
        Some((Bytes::from("root"), version.clone()))
    );
    let writer = store(&storage.bucket).writer(NOW);
    writer.add_bytes(noise(2, 1000)).await.unwrap();
    let errors = [
        writer.flush().await.unwrap_err(),
        storage.root.swap(Some(&version), Bytes::from("new")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Denied, "{}", chain(&error));
    }
    assert_eq!(storage.root.load().await.unwrap(), Some((Bytes::from("root"), version)));
}

/// Processes swap through values of their own, not through one that they share.
#[test]
fn roots_opened_apart_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let root: Arc<dyn RootStore> = Arc::new(DirectoryRoot::new(folder.path()));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async { matches!(root.swap(None, Bytes::from("mine")).await.unwrap(), Swap::Won(_)) })
            })
        })
        .collect();
    let won = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .filter(|won| *won)
        .count();
    assert_eq!(won, 1);
}
