//! Merges of branches beside a naive model, and the verbs that replay one commit.

use std::collections::BTreeMap;

use drumlin_repo::{Error, Merged};
use drumlin_testkit::{TestRepo, author, info, name};
use proptest::prelude::*;

const PATHS: [&str; 6] = ["a", "b", "d/x", "d/y", "e", "f/g"];

/// What stands at each path: nothing, or one of three contents.
type Files = [Option<u8>; PATHS.len()];

fn files() -> impl Strategy<Value = Files> {
    proptest::array::uniform6(prop::option::of(0..3u8))
}

/// Path by path: who changed something wins; both, unless to the same, conflict.
fn naive_merge(base: &Files, ours: &Files, theirs: &Files) -> Result<Files, Vec<&'static str>> {
    let mut merged = *ours;
    let mut conflicts = Vec::new();
    for at in 0..PATHS.len() {
        match (base[at] == ours[at], base[at] == theirs[at], ours[at] == theirs[at]) {
            (true, ..) => merged[at] = theirs[at],
            (_, true, _) | (.., true) => {}
            _ => conflicts.push(PATHS[at]),
        }
    }
    if conflicts.is_empty() {
        Ok(merged)
    } else {
        Err(conflicts)
    }
}

/// Makes a branch hold exactly these files, in one commit if it does not yet.
async fn set(test: &TestRepo, branch: &str, before: &Files, after: &Files) {
    let texts = after.map(|content| content.map(|content| format!("content {content}")));
    let changes: Vec<_> = (0..PATHS.len())
        .filter(|&at| before[at] != after[at])
        .map(|at| (PATHS[at], texts[at].as_deref()))
        .collect();
    if !changes.is_empty() {
        test.commit(branch, &changes).await.unwrap();
    }
}

async fn held(test: &TestRepo, branch: &str) -> BTreeMap<String, String> {
    let files = test.files(test.head(branch).await.unwrap()).await.unwrap();
    files
        .into_iter()
        .map(|(path, bytes)| (path, String::from_utf8(bytes.to_vec()).unwrap()))
        .collect()
}

fn expected(files: &Files) -> BTreeMap<String, String> {
    let there = (0..PATHS.len()).filter_map(|at| Some((PATHS[at].to_owned(), format!("content {}", files[at]?))));
    there.collect()
}

/// Branches `main` and `side` with these files, over a common commit.
async fn branches(base: &Files, ours: &Files, theirs: &Files) -> TestRepo {
    let test = TestRepo::memory().await;
    set(&test, "main", &[None; PATHS.len()], base).await;
    let at = test.head("main").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), at).await.unwrap();
    set(&test, "main", base, ours).await;
    set(&test, "side", base, theirs).await;
    test
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn a_merge_is_what_the_naive_model_says(base in files(), ours in files(), theirs in files()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let test = branches(&base, &ours, &theirs).await;
            let (main, side) = (test.head("main").await.unwrap(), test.head("side").await.unwrap());
            let merged = test.repo.merge(&name("main"), side, info("merge")).await.unwrap();
            match (naive_merge(&base, &ours, &theirs), merged) {
                (Err(paths), Merged::Conflicts(conflicts)) => {
                    assert_eq!(conflicts.iter().map(|conflict| conflict.path.as_str()).collect::<Vec<_>>(), paths);
                    assert_eq!(test.head("main").await.unwrap(), main);
                }
                (Ok(files), merged) => {
                    assert_eq!(held(&test, "main").await, expected(&files));
                    match merged {
                        Merged::AlreadyUpToDate => assert_eq!(base, theirs),
                        Merged::FastForward(commit) => assert_eq!((base, commit), (ours, side)),
                        Merged::Committed(commit) => {
                            assert_eq!(test.repo.commit(commit).await.unwrap().parents, [main, side]);
                        }
                        Merged::Conflicts(conflicts) => panic!("{conflicts:?}"),
                    }
                    let again = test.repo.merge(&name("main"), side, info("again")).await.unwrap();
                    assert_eq!(again, Merged::AlreadyUpToDate);
                }
                (expected, merged) => panic!("{merged:?} instead of {expected:?}"),
            }
        });
    }

    /// Reverting a commit is merging the way back; picking it is merging it onto another base.
    #[test]
    fn replays_are_merges_too(base in files(), ours in files(), theirs in files()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let test = branches(&base, &ours, &theirs).await;
            let side = test.head("side").await.unwrap();
            if base == theirs || test.repo.commit(side).await.unwrap().parents.is_empty() {
                return;
            }
            let picked = test.repo.cherry_pick(&name("main"), side, info("pick")).await.unwrap();
            check(&test, "main", &ours, naive_merge(&base, &ours, &theirs), picked).await;
            let reverted = test.repo.revert(&name("side"), side, info("revert")).await.unwrap();
            check(&test, "side", &theirs, Ok(base), reverted).await;
        });
    }
}

async fn check(test: &TestRepo, branch: &str, before: &Files, naive: Result<Files, Vec<&str>>, merged: Merged) {
    match (naive, merged) {
        (Ok(files), Merged::Committed(_)) => assert_eq!(held(test, branch).await, expected(&files)),
        (Ok(files), Merged::AlreadyUpToDate) => assert_eq!(files, *before),
        (Err(paths), Merged::Conflicts(conflicts)) => {
            assert_eq!(
                conflicts
                    .iter()
                    .map(|conflict| conflict.path.as_str())
                    .collect::<Vec<_>>(),
                paths
            );
            assert_eq!(held(test, branch).await, expected(before));
        }
        (naive, merged) => panic!("{merged:?} instead of {naive:?}"),
    }
}

#[tokio::test]
async fn the_first_commit_has_nothing_to_take_back() {
    let test = TestRepo::memory().await;
    let first = test.head("main").await.unwrap();
    let error = test
        .repo
        .revert(&name("main"), first, info("revert"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoParent { .. }));
}

#[tokio::test]
async fn a_file_against_a_folder_is_a_conflict() {
    let test = TestRepo::memory().await;
    let base = test.head("main").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), base).await.unwrap();
    test.write("main", "a", "file").await.unwrap();
    let side = test.write("side", "a/b", "below").await.unwrap();
    let merged = test.repo.merge(&name("main"), side, info("merge")).await.unwrap();
    let Merged::Conflicts(conflicts) = merged else {
        panic!("{merged:?}")
    };
    assert_eq!(conflicts[0].path.as_str(), "a/b");
    assert_eq!(conflicts[0].blocked_by.as_ref().unwrap().as_str(), "a");
}

/// Entries of a table's log: a revert in the middle would leave a gap that no reader gets over.
#[tokio::test]
async fn a_log_that_went_on_is_a_conflict_whatever_the_names_of_its_entries() {
    let test = TestRepo::memory().await;
    let entry = |number: u32| format!("tables/t/_delta_log/{number:020}.json");
    test.write("main", &entry(0), "zero").await.unwrap();
    let first = test.write("main", &entry(1), "one").await.unwrap();
    let second = test.write("main", &entry(2), "two").await.unwrap();
    test.write("main", "beside", "it").await.unwrap();
    let main = name("main");
    let Merged::Conflicts(conflicts) = test.repo.revert(&main, first, info("revert")).await.unwrap() else {
        panic!("an entry was taken out of the middle of a log")
    };
    assert_eq!(conflicts[0].path.as_str(), "tables/t/_delta_log");
    let session = test.session("main").await;
    let reverted = test.repo.revert(&main, second, info("revert")).await.unwrap();
    assert!(
        matches!(reverted, Merged::Committed(_)),
        "the newest entry can go: {reverted:?}"
    );
    // Who went on from the entry that is gone is told so.
    session
        .write(&drumlin_testkit::path(&entry(3)), "three".into())
        .await
        .unwrap();
    let error = session.commit(info("append")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    let Merged::Conflicts(_) = test.repo.cherry_pick(&main, second, info("pick")).await.unwrap() else {
        return;
    };
    panic!("it is what comes next");
}
