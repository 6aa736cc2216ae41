//! A session reads its own writes: beside a sorted map, through commits and new sessions, with content of all sizes.

use std::collections::BTreeMap;

use bytes::Bytes;
use drumlin_model::{EntryKind, ErrorKind, RepoPath};
use drumlin_repo::{Error, OnConflict, Session};
use drumlin_testkit::{TestRepo, info, path};
use futures::TryStreamExt;
use proptest::prelude::*;

/// No path stands below another: what comes of that is tested elsewhere.
const PATHS: [&str; 8] = ["a", "ab", "d-1", "d/e/z", "d/x", "d/y", "da", "é"];
const FOLDERS: [&str; 3] = ["d", "d/e", "missing"];
/// Nothing, one chunk, and several.
const SIZES: [usize; 4] = [0, 10, 5_000, 300_000];

#[derive(Clone, Debug)]
enum Step {
    Write {
        path: usize,
        size: usize,
        seed: u8,
    },
    WriteBlob {
        path: usize,
        seed: u8,
    },
    Remove {
        path: usize,
    },
    RemoveWithin {
        folder: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Read {
        path: usize,
    },
    ReadRange {
        path: usize,
        start: u64,
        len: u64,
    },
    List {
        folder: Option<usize>,
        after: Option<usize>,
    },
    Flush,
    Commit,
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..PATHS.len();
    prop_oneof![
        4 => (at(), 0..SIZES.len(), any::<u8>()).prop_map(|(path, size, seed)| Step::Write { path, size, seed }),
        1 => (at(), any::<u8>()).prop_map(|(path, seed)| Step::WriteBlob { path, seed }),
        2 => at().prop_map(|path| Step::Remove { path }),
        1 => (0..FOLDERS.len()).prop_map(|folder| Step::RemoveWithin { folder }),
        1 => (at(), at()).prop_map(|(from, to)| Step::Copy { from, to }),
        3 => at().prop_map(|path| Step::Read { path }),
        2 => (at(), 0..6_000u64, 0..6_000u64).prop_map(|(path, start, len)| Step::ReadRange { path, start, len }),
        3 => (prop::option::of(0..FOLDERS.len()), prop::option::of(at()))
            .prop_map(|(folder, after)| Step::List { folder, after }),
        1 => Just(Step::Flush),
        1 => Just(Step::Commit),
        1 => Just(Step::Discard),
    ]
}

fn content(size: usize, seed: u8) -> Bytes {
    let mut state = u64::from(seed) + 1;
    let byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(byte).take(size).collect()
}

type Model = BTreeMap<String, Bytes>;

struct Run {
    session: Session,
    model: Model,
    committed: Model,
}

impl Run {
    async fn step(&mut self, step: &Step) {
        let session = &self.session;
        match step {
            Step::Write { path: at, size, seed } => {
                let content = content(SIZES[*size], *seed);
                session.write(&path(PATHS[*at]), content.clone()).await.unwrap();
                self.model.insert(PATHS[*at].into(), content);
            }
            Step::WriteBlob { path: at, seed } => {
                let content = content(20_000, *seed);
                session.write_blob(&path(PATHS[*at]), content.clone()).await.unwrap();
                self.model.insert(PATHS[*at].into(), content);
            }
            Step::Remove { path: at } => {
                let removed = session.remove(&path(PATHS[*at])).await.unwrap();
                assert_eq!(removed, self.model.remove(PATHS[*at]).is_some());
            }
            Step::RemoveWithin { folder } => {
                let before = self.model.len();
                let prefix = format!("{}/", FOLDERS[*folder]);
                self.model.retain(|path, _| !path.starts_with(&prefix));
                let removed = session.remove_within(&path(FOLDERS[*folder])).await.unwrap();
                assert_eq!(removed as usize, before - self.model.len());
            }
            Step::Copy { from, to } => {
                let placed = session.entry(&path(PATHS[*from])).await.unwrap();
                assert_eq!(placed.is_some(), self.model.contains_key(PATHS[*from]));
                if let Some(placed) = placed {
                    session.put(&path(PATHS[*to]), placed).await.unwrap();
                    self.model.insert(PATHS[*to].into(), self.model[PATHS[*from]].clone());
                }
            }
            Step::Read { path: at } => match (session.read(&path(PATHS[*at])).await, self.model.get(PATHS[*at])) {
                (Ok(read), Some(content)) => assert_eq!(read, content),
                (Err(Error::NoSuchPath { .. }), None) => {}
                (read, content) => panic!("{read:?} instead of {content:?}"),
            },
            Step::ReadRange { path: at, start, len } => self.read_range(PATHS[*at], *start..start + len).await,
            Step::List { folder, after } => {
                self.list(folder.map(|at| FOLDERS[at]), after.map(|at| PATHS[at])).await;
            }
            Step::Flush => session.flush().await.unwrap(),
            Step::Commit => self.commit().await,
            Step::Discard => {
                session.discard();
                self.model = self.committed.clone();
            }
        }
    }

    async fn read_range(&self, at: &str, range: std::ops::Range<u64>) {
        let Some(content) = self.model.get(at) else { return };
        let read = self.session.read_ranges(&path(at), std::slice::from_ref(&range)).await;
        if range.end <= content.len() as u64 {
            assert_eq!(read.unwrap(), [content.slice(range.start as usize..range.end as usize)]);
        } else {
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    async fn list(&self, folder: Option<&str>, after: Option<&str>) {
        let prefix = folder.map_or(String::new(), |folder| format!("{folder}/"));
        let expected: Vec<_> = self
            .model
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix) && after.is_none_or(|after| path.as_str() > after))
            .map(|(path, content)| (path.clone(), content.len() as u64))
            .collect();
        let listed = listing(&self.session, folder.map(path).as_ref(), after).await;
        assert_eq!(listed, expected);
        if let Some(folder) = folder {
            let below = self.model.keys().any(|path| path.starts_with(&prefix));
            assert_eq!(self.session.folder_exists(&path(folder)).await.unwrap(), below);
        }
    }

    async fn commit(&mut self) {
        match self.session.commit(info("step")).await {
            Ok(commit) => assert_eq!(self.session.base().commit(), commit),
            Err(Error::NothingToCommit { .. }) => assert_eq!(self.model, self.committed),
            Err(error) => panic!("{error:?}"),
        }
        self.committed = self.model.clone();
    }
}

async fn listing(session: &Session, folder: Option<&RepoPath>, after: Option<&str>) -> Vec<(String, u64)> {
    let entries: Vec<_> = session.list(folder, after).try_collect().await.unwrap();
    entries
        .into_iter()
        .map(|(path, placed)| (path.to_string(), placed.entry.size()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn a_session_is_a_sorted_map(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let test = TestRepo::memory().await;
            let mut run = Run { session: test.session("main").await, model: Model::new(), committed: Model::new() };
            for step in &steps {
                run.step(step).await;
            }
            run.commit().await;
            let other = test.reopen().await;
            let files = other.files(other.head("main").await.unwrap()).await.unwrap();
            assert_eq!(files, run.model);
            assert_eq!(other.problems().await.unwrap(), Vec::<String>::new());
        });
    }
}

#[tokio::test]
async fn what_is_not_flushed_is_read_even_when_it_is_not_held() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    // Together more than a session holds.
    for number in 0..6u8 {
        session
            .write(&path(&format!("f{number}")), content(8 << 20, number))
            .await
            .unwrap();
    }
    for number in 0..6u8 {
        let file = path(&format!("f{number}"));
        assert!(session.read(&file).await.unwrap() == content(8 << 20, number));
        let range = session
            .read_ranges(&file, std::slice::from_ref(&(5_000_000..5_000_010)))
            .await
            .unwrap();
        assert_eq!(range[0], content(8 << 20, number).slice(5_000_000..5_000_010));
        let streamed: Vec<Bytes> = session.stream(&file).try_collect().await.unwrap();
        assert!(streamed.concat() == content(8 << 20, number));
    }
}

#[tokio::test]
async fn files_from_disk_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, content(1_000_000, 1)).unwrap();
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write_file(&path("chunks"), &file).await.unwrap();
    session.write_blob_file(&path("blob"), &file).await.unwrap();
    for at in ["chunks", "blob"] {
        assert!(session.read(&path(at)).await.unwrap() == content(1_000_000, 1), "{at}");
    }
    let commit = session.commit(info("files")).await.unwrap();
    let snapshot = test.reopen().await.repo.snapshot_at(commit).await.unwrap();
    for at in ["chunks", "blob"] {
        assert!(snapshot.read(&path(at)).await.unwrap() == content(1_000_000, 1), "{at}");
    }
}

#[tokio::test]
async fn nobody_sees_a_session_before_its_commit() {
    let test = TestRepo::memory().await;
    test.write("main", "a", "1").await.unwrap();
    let session = test.session("main").await;
    let before = session.base();
    session.write(&path("a"), Bytes::from("2")).await.unwrap();
    session.flush().await.unwrap();
    assert_eq!(test.session("main").await.read(&path("a")).await.unwrap(), "1");
    session.commit(info("now")).await.unwrap();
    assert_eq!(test.session("main").await.read(&path("a")).await.unwrap(), "2");
    assert_eq!(before.read(&path("a")).await.unwrap(), "1");
}

#[tokio::test]
async fn changes_that_come_while_a_commit_runs_stay() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    let late = async {
        tokio::task::yield_now().await;
        session.write(&path("late"), Bytes::from("2")).await.unwrap();
    };
    let (commit, ()) = tokio::join!(session.commit(info("a")), late);
    commit.unwrap();
    assert_eq!(session.read(&path("late")).await.unwrap(), "2");
    let in_commit = session.base().entry(&path("late")).await.unwrap().is_some();
    assert_eq!(session.changes().len(), usize::from(!in_commit));
}

#[tokio::test]
async fn attributes_and_other_entries_are_kept() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write(&path("run.sh"), Bytes::from("#!")).await.unwrap();
    let mut placed = session.entry(&path("run.sh")).await.unwrap().unwrap();
    let EntryKind::File(file) = &mut placed.entry.kind else {
        panic!("{placed:?}")
    };
    file.executable = true;
    session.put(&path("run.sh"), placed.clone()).await.unwrap();
    let link = EntryKind::Symlink {
        target: "run.sh".into(),
    };
    let mut other = placed.clone();
    other.entry.kind = link.clone();
    session.put(&path("link"), other.clone()).await.unwrap();
    other.entry.kind = EntryKind::Folder;
    session.put(&path("empty"), other).await.unwrap();
    let commit = session.commit(info("kinds")).await.unwrap();
    let snapshot = test.reopen().await.repo.snapshot_at(commit).await.unwrap();
    assert_eq!(
        snapshot.entry(&path("run.sh")).await.unwrap().unwrap().entry,
        placed.entry
    );
    assert_eq!(snapshot.entry(&path("link")).await.unwrap().unwrap().entry.kind, link);
    assert_eq!(
        snapshot.entry(&path("empty")).await.unwrap().unwrap().entry.kind,
        EntryKind::Folder
    );
    for (at, found) in [("link", "symbolic link"), ("empty", "folder")] {
        let error = snapshot.read(&path(at)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("\"{at}\" is a {found}, not a file"));
    }
}

/// Theirs put a file where ours have several below it: all of ours are in its way, and all are forgotten.
#[tokio::test]
async fn taking_their_file_forgets_everything_below_it() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    for file in ["x/a", "x/b", "y"] {
        session.write(&path(file), Bytes::from("ours")).await.unwrap();
    }
    test.write("main", "x", "theirs").await.unwrap();
    match session.commit(info("ours")).await.unwrap_err() {
        Error::Conflict { paths, .. } => assert_eq!(paths, [path("x/a"), path("x/b")]),
        error => panic!("{error:?}"),
    }
    session.rebase(OnConflict::TakeTheirs).await.unwrap();
    session.commit(info("ours")).await.unwrap();
    let files: Vec<_> = test.files_at("main").await.into_keys().collect();
    assert_eq!(files, ["x", "y"]);
}
