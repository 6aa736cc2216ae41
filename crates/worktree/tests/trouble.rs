//! The working copy in trouble: stores that die, full and read-only disks, hostile folders, names that cannot be kept.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use drumlin_chunks::{Bucket, NoProgress, Storage};
use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_repo::{Error as RepoError, Repo};
use drumlin_testkit::{Faults, Side, info, name, path};
use drumlin_worktree::{Error, Layout, WorkingCopy};
use tempfile::TempDir;

use crate::kit::{Kit, clock, open};

/// Another handle on the same working copy, whose store fails as told.
async fn failing(kit: &Kit) -> (WorkingCopy, Arc<Faults>) {
    let layout = Layout::discover(kit.folder.path()).unwrap();
    let storage = Storage::open(&layout.repository).unwrap();
    let (store, faults) = Faults::store(storage.bucket.object_store());
    let repo = Repo::open(
        Storage {
            bucket: Bucket::new(store),
            ..storage
        },
        clock(),
    )
    .await
    .unwrap();
    (WorkingCopy::open(layout.clone(), layout.folder, repo).unwrap(), faults)
}

/// `main` and `side` differ in every way that a checkout has to carry out.
async fn two_branches() -> Kit {
    let kit = Kit::with(&[("a", "1"), ("b/deep", "1"), ("c", "1"), ("same", "1"), ("z", "1")]).await;
    kit.branch("side").await;
    kit.write("a", "of side");
    kit.remove("b/deep");
    kit.write("b/other", "of side");
    kit.remove("c");
    kit.write("c/folder", "of side");
    kit.write("blank", "");
    kit.link("link", "a");
    kit.write("large", vec![3; 400_000]);
    kit.remove("z");
    kit.add_all().await;
    kit.commit("side").await;
    kit.checkout("main").await.unwrap();
    kit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_dies_anywhere_is_run_again_or_undone() {
    let kit = two_branches().await;
    let (main, side) = (kit.tree("main").await, kit.tree("side").await);
    let mut interrupted = 0;
    for after in 0..100 {
        let (copy, faults) = failing(&kit).await;
        faults.die_after(after, Side::Before);
        let died = copy
            .checkout(&"side".parse().unwrap(), false, &NoProgress)
            .await
            .is_err();
        drop(copy);
        let status = kit.copy.status().await.unwrap();
        if status.interrupted.is_some() {
            interrupted += 1;
            let error = kit.add(&["."]).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.cures()),
                (
                    ErrorKind::Precondition,
                    vec![Cure::run(Verb::Checkout).with("to", "side")]
                )
            );
        }
        let (first, then) = if after % 2 == 0 {
            (("side", &side), ("main", &main))
        } else {
            (("main", &main), ("side", &side))
        };
        for (branch, tree) in [first, then] {
            kit.checkout(branch).await.unwrap();
            assert_eq!(&kit.disk(), tree, "{branch} after {after}");
            assert!(kit.is_clean().await, "{branch} after {after}");
        }
        kit.checkout("main").await.unwrap();
        if !died {
            assert!(interrupted > 0, "no death came after files had changed");
            return;
        }
    }
    panic!("a checkout took more than 100 requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_that_dies_anywhere_is_run_again() {
    for after in 0..100 {
        let kit = Kit::new().await;
        for file in 0..20 {
            kit.write(&format!("d{}/f{file}", file % 3), format!("content {file}").repeat(100));
        }
        let (copy, faults) = failing(&kit).await;
        faults.die_after(after, if after % 2 == 0 { Side::Before } else { Side::After });
        let died = match copy.add(&[".".into()], &NoProgress).await {
            Ok(_) => copy.commit(info("all")).await.is_err(),
            Err(_) => true,
        };
        drop(copy);
        kit.add_all().await;
        match kit.copy.commit(info("all")).await {
            Ok(_) | Err(Error::Repo(RepoError::NothingToCommit { .. })) => {}
            Err(error) => panic!("after {after}: {error:?}"),
        }
        assert_eq!(kit.tree("main").await, kit.disk(), "after {after}");
        assert!(kit.is_clean().await, "after {after}");
        assert!(kit.copy.repo().fsck(&NoProgress).await.unwrap().problems.is_empty());
        if !died {
            assert!(after > 2, "nothing was interrupted");
            return;
        }
    }
    panic!("an add took more than 100 requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_or_removed_behind_a_link() {
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("x"), "not yours").unwrap();
    let kit = Kit::with(&[("keep", "1")]).await;
    kit.branch("side").await;
    kit.write("data/x", "of side");
    kit.add_all().await;
    kit.commit("side").await;
    // Removal: the folder was replaced by a link to a folder that has the same names.
    fs::remove_dir_all(kit.at("data")).unwrap();
    symlink(outside.path(), kit.at("data")).unwrap();
    kit.force("main").await;
    assert_eq!(fs::read_to_string(outside.path().join("x")).unwrap(), "not yours");
    // Writing: the link stands where the target has a folder.
    let error = kit.checkout("side").await.unwrap_err();
    assert!(matches!(&error, Error::WouldOverwrite { paths } if *paths == [path("data")]));
    let restored = kit
        .copy
        .restore(&["data/x".into()], Some(&"side".parse().unwrap()), false, &NoProgress)
        .await;
    assert_eq!(restored.unwrap_err().kind(), ErrorKind::Conflict);
    kit.force("side").await;
    assert_eq!(fs::read_to_string(outside.path().join("x")).unwrap(), "not yours");
    assert_eq!(kit.read("data/x"), "of side");
    assert!(kit.at("data").symlink_metadata().unwrap().is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_cannot_plant_files_for_git() {
    let kit = Kit::with(&[("a", "1")]).await;
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    session
        .write(&path(".git/hooks/post-checkout"), "#!/bin/sh\n".into())
        .await
        .unwrap();
    session.write(&path("sub/.GIT/config"), "evil".into()).await.unwrap();
    session.commit(info("hostile")).await.unwrap();
    kit.copy.follow(&NoProgress).await.unwrap();
    kit.restore(".", None, false).await;
    kit.copy
        .restore(&[".git".into()], None, false, &NoProgress)
        .await
        .unwrap_or_default();
    assert!(!kit.exists(".git") && !kit.exists("sub"));
    assert!(kit.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_others_are_not_overwritten_even_when_forced() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.branch("side").await;
    kit.write("new", "a file");
    kit.add_all().await;
    kit.commit("side").await;
    kit.checkout("main").await.unwrap();
    kit.write("new/mine", "untracked");
    let forced = kit.copy.checkout(&"side".parse().unwrap(), true, &NoProgress).await;
    assert_eq!(forced.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(kit.read("new/mine"), "untracked");
    assert!(kit.copy.status().await.unwrap().interrupted.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_kept_are_named() {
    let kit = Kit::with(&[("a", "1")]).await;
    let latin1 = kit.folder.path().join(OsStr::from_bytes(b"caf\xe9.csv"));
    fs::write(&latin1, "x").unwrap();
    let error = kit.add(&["."]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("caf") && error.to_string().contains("not UTF-8"),
        "{error}"
    );
    assert_eq!(kit.copy.status().await.unwrap().unkeepable.len(), 1);
    kit.write(".drumlinignore", "caf*\n");
    kit.add_all().await;
    kit.write("two\nlines", "x");
    let error = kit.add(&["."]).await.unwrap_err();
    assert!(error.to_string().contains("two"), "{error}");
    kit.remove("two\nlines");
    symlink(OsStr::from_bytes(b"\xff"), kit.at("link")).unwrap();
    assert_eq!(kit.add(&["."]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_paths_keep_their_order() {
    let kit = Kit::new().await;
    let deep = vec!["d".repeat(200); 4].join("/");
    let twins = [
        format!("{deep}/{}", "x".repeat(90)),
        format!("{deep}/{}y", "x".repeat(89)),
    ];
    twins.iter().for_each(|twin| kit.write(twin, twin));
    kit.write(&deep.replacen('d', "c", 1), "before");
    kit.add_all().await;
    kit.commit("long").await;
    assert_eq!(kit.tree("main").await, kit.disk());
    fs::remove_dir_all(kit.at(&"d".repeat(200))).unwrap();
    assert_eq!(kit.status().await.1.len(), 2);
    kit.write(
        "far/too/long/".repeat(60).trim_end_matches('/'),
        "900 bytes are the limit",
    );
    kit.write(&format!("{}/x", vec!["e".repeat(250); 4].join("/")), "more than 900");
    assert_eq!(kit.add(&["."]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn special_files_are_passed_over_and_told() {
    let kit = Kit::with(&[("was-a-file", "1")]).await;
    let _socket = UnixListener::bind(kit.at("socket")).unwrap();
    kit.remove("was-a-file");
    assert!(
        Command::new("mkfifo")
            .arg(kit.at("was-a-file"))
            .status()
            .unwrap()
            .success()
    );
    let added = kit.add_all().await;
    assert_eq!(added.special, [path("socket"), path("was-a-file")]);
    assert_eq!(kit.status().await.0, ["D was-a-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_rests_is_passed_over_and_told() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.write("busy", vec![1; 32 << 20]);
    let stop = Arc::new(AtomicBool::new(false));
    let (file, stopping) = (kit.at("busy"), stop.clone());
    let writer = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
        while !stopping.load(Ordering::Relaxed) {
            file.write_all(b"x").unwrap();
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    });
    let added = kit.add_all().await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(added.unstable, [path("busy")]);
    assert!(kit.status().await.0.is_empty());
    assert_eq!(kit.add_all().await.added, 1);
}

/// A file system of its own, gone with the value. None where mounting is not allowed.
struct Mount(TempDir);

impl Mount {
    #[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
    fn tmpfs(size: &str) -> Option<Mount> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting a tmpfs is not allowed here");
            return None;
        }
        Some(Mount(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        assert!(
            Command::new("mount")
                .args(["-o", &options])
                .arg(self.path())
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_harms_nothing() {
    let Some(mount) = Mount::tmpfs("6m") else { return };
    let copy = WorkingCopy::init(mount.path(), clock(), &open).await.unwrap();
    fs::write(mount.path().join("small"), "1").unwrap();
    copy.add(&[".".into()], &NoProgress).await.unwrap();
    let first = copy.commit(info("small")).await.unwrap();
    // It fits once; kept a second time it does not.
    fs::write(mount.path().join("big"), noise(4 << 20)).unwrap();
    let error = copy.add(&[".".into()], &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(copy.head().unwrap().base.commit, first);
    fs::remove_file(mount.path().join("big")).unwrap();
    drop(copy);
    let copy = WorkingCopy::discover(mount.path(), clock(), &open).await.unwrap();
    assert!(copy.status().await.unwrap().is_clean());
    fs::write(mount.path().join("small"), "2").unwrap();
    copy.add(&[".".into()], &NoProgress).await.unwrap();
    copy.commit(info("there is room again")).await.unwrap();
    assert!(copy.repo().fsck(&NoProgress).await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_can_be_looked_at_and_not_changed() {
    let Some(mount) = Mount::tmpfs("20m") else { return };
    let copy = WorkingCopy::init(mount.path(), clock(), &open).await.unwrap();
    fs::write(mount.path().join("a"), "1").unwrap();
    copy.add(&[".".into()], &NoProgress).await.unwrap();
    copy.commit(info("first")).await.unwrap();
    fs::write(mount.path().join("new"), "1").unwrap();
    drop(copy);
    mount.remount("ro");
    let copy = WorkingCopy::discover(mount.path(), clock(), &open).await.unwrap();
    let status = copy.status().await.unwrap();
    assert_eq!(status.untracked, [path("new")]);
    assert!(status.unstaged.is_empty());
    let add = copy.add(&[".".into()], &NoProgress).await.unwrap_err();
    let checkout = copy
        .checkout(&"main~1".parse().unwrap(), true, &NoProgress)
        .await
        .unwrap_err();
    for error in [add, checkout] {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    }
    let init = WorkingCopy::init(&mount.path().join("sub"), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(init.kind(), ErrorKind::Denied);
    drop(copy);
    mount.remount("rw");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_queries_left_behind_stops_no_checkout() {
    let kit = two_branches().await;
    let left = kit.at(".drumlin/scratch/datafusion-x");
    fs::create_dir_all(&left).unwrap();
    let (dead, alive) = (kit.at(".drumlin/spill/1-dead"), kit.copy.spill_folder().unwrap());
    fs::create_dir_all(dead.join("datafusion-x")).unwrap();
    fs::write(alive.join("rows"), "of a running query").unwrap();
    kit.checkout("side").await.unwrap();
    let other = WorkingCopy::discover(kit.folder.path(), clock(), &open).await.unwrap();
    let second = other.spill_folder().unwrap();
    assert_ne!(second, alive);
    assert!(!dead.exists() && alive.join("rows").exists() && left.exists());
    drop(other);
    assert!(!second.exists());
}

/// `x` was replaced by `x/below` on the branch, or the reverse, while the file that goes was edited here.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_the_place_of_what_comes_is_kept() {
    for (here, there) in [("x", "x/below"), ("x/below", "x")] {
        let kit = Kit::with(&[("same", "1"), (here, "1")]).await;
        let session = kit.copy.repo().session(&name("main")).await.unwrap();
        session.remove(&path(here)).await.unwrap();
        session.write(&path(there), "of others".into()).await.unwrap();
        session.write(&path("same"), "of others".into()).await.unwrap();
        session.commit(info("others")).await.unwrap();
        kit.write(here, "edited here");
        let followed = kit.copy.follow(&NoProgress).await.unwrap();
        assert!(followed.kept.contains(&path("x")), "{:?}", followed.kept);
        assert_eq!(
            (kit.read(here), kit.read("same")),
            ("edited here".into(), "of others".into())
        );
        assert!(kit.copy.status().await.unwrap().interrupted.is_none());
    }
}

/// A `follow` that dies after it began goes on with `checkout`, and still keeps what was edited here.
#[tokio::test(flavor = "multi_thread")]
async fn a_follow_that_dies_is_ended_by_a_checkout_that_keeps_edits() {
    let kit = Kit::with(&[("a", "1"), ("b", "1")]).await;
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    session.write(&path("a"), "of others".into()).await.unwrap();
    session.write(&path("b"), "of others".into()).await.unwrap();
    session.commit(info("others")).await.unwrap();
    kit.write("a", "edited here");
    let packs = kit.packs();
    fs::rename(&packs, packs.with_extension("away")).unwrap();
    let copy = WorkingCopy::discover(kit.folder.path(), clock(), &open).await.unwrap();
    copy.follow(&NoProgress).await.unwrap_err();
    drop(copy);
    fs::rename(packs.with_extension("away"), &packs).unwrap();
    assert!(kit.copy.status().await.unwrap().interrupted.is_some());
    kit.checkout("main").await.unwrap();
    assert_eq!(
        (kit.read("a"), kit.read("b")),
        ("edited here".into(), "of others".into())
    );
    assert_eq!(kit.status().await.1, ["M a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_dies_or_is_refused_is_ended_by_a_checkout() {
    let kit = two_branches().await;
    let (repository, tree) = (kit.copy.layout().repository.clone(), kit.tree("main").await);
    let folder = TempDir::new().unwrap();
    let packs = kit.packs();
    fs::rename(&packs, packs.with_extension("away")).unwrap();
    let died = WorkingCopy::clone_from(repository.clone(), folder.path(), clock(), &open).await;
    assert!(died.is_err());
    fs::rename(packs.with_extension("away"), &packs).unwrap();
    let copy = WorkingCopy::discover(folder.path(), clock(), &open).await.unwrap();
    copy.checkout(&"main".parse().unwrap(), false, &NoProgress)
        .await
        .unwrap();
    assert_eq!(crate::kit::picture(folder.path()), tree);

    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), "mine").unwrap();
    let refused = WorkingCopy::clone_from(repository.clone(), folder.path(), clock(), &open).await;
    assert!(refused.is_err());
    let copy = WorkingCopy::discover(folder.path(), clock(), &open).await.unwrap();
    copy.checkout(&"main".parse().unwrap(), true, &NoProgress)
        .await
        .unwrap();
    assert_eq!(crate::kit::picture(folder.path()), tree);
    assert!(copy.status().await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_restored_over_a_staged_deletion_is_not_kept_by_it() {
    let kit = Kit::with(&[("a", "1"), ("b", "1")]).await;
    kit.remove("a");
    kit.add(&["a"]).await.unwrap();
    kit.restore("a", Some("main"), false).await;
    let (staged, _, untracked) = kit.status().await;
    assert_eq!((staged, untracked), (vec!["D a".to_owned()], vec!["a".to_owned()]));
    kit.commit("without a").await;
    assert_eq!(kit.status().await.2, ["a"]);
}
