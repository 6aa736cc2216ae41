//! The operation log and undo.

use drumlin_model::{Cure, ErrorKind, OperationId, RefKind, Verb};
use drumlin_repo::{Error, Merged};
use drumlin_testkit::{TestRepo, author, info, name, path};
use futures::TryStreamExt;

async fn log(test: &TestRepo) -> Vec<String> {
    let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
    operations
        .iter()
        .map(|operation| format!("{}: {}", operation.verb, operation.summary))
        .collect()
}

#[tokio::test]
async fn a_commit_is_undone_and_done_again() {
    let test = TestRepo::memory().await;
    let before = test.write("main", "a", "1").await.unwrap();
    let after = test.write("main", "a", "2").await.unwrap();
    let undone = test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(undone.changes[0].after.as_ref().unwrap().commit, after);
    assert_eq!(test.head("main").await.unwrap(), before);
    test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(test.head("main").await.unwrap(), after);
    assert_eq!(
        log(&test).await,
        [
            "undo: undo undo: undo commit: change files",
            "undo: undo commit: change files",
            "commit: change files",
            "commit: change files",
            "init: create the repository",
        ]
    );
}

#[tokio::test]
async fn a_merge_is_undone() {
    let test = TestRepo::memory().await;
    let base = test.write("main", "a", "1").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), base).await.unwrap();
    let side = test.write("side", "b", "side").await.unwrap();
    let main = test.write("main", "c", "main").await.unwrap();
    let merged = test.repo.merge(&name("main"), side, info("merge side")).await.unwrap();
    assert!(matches!(merged, Merged::Committed(_)));
    test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(test.head("main").await.unwrap(), main);
    assert_eq!(test.head("side").await.unwrap(), side);
}

#[tokio::test]
async fn a_deleted_branch_and_a_renamed_one_come_back() {
    let test = TestRepo::memory().await;
    let base = test.head("main").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), base).await.unwrap();
    let side = test.write("side", "b", "side").await.unwrap();
    test.repo.branch_delete(&author(), &name("side")).await.unwrap();
    assert!(test.head("side").await.is_err());
    let deletion = test.repo.operations().try_next().await.unwrap().unwrap();
    test.write("main", "a", "1").await.unwrap();
    test.repo.undo(&author(), Some(deletion.id)).await.unwrap();
    assert_eq!(test.head("side").await.unwrap(), side);
    test.repo
        .branch_rename(&author(), &name("side"), &name("other"))
        .await
        .unwrap();
    assert!(test.head("side").await.is_err());
    assert_eq!(test.head("other").await.unwrap(), side);
    test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(test.head("side").await.unwrap(), side);
    assert!(test.head("other").await.is_err());
}

#[tokio::test]
async fn undo_refuses_when_the_ref_has_moved() {
    let test = TestRepo::memory().await;
    test.write("main", "a", "1").await.unwrap();
    let first = test.repo.operations().try_next().await.unwrap().unwrap();
    let head = test.write("main", "a", "2").await.unwrap();
    let error = test.repo.undo(&author(), Some(first.id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(
        error
            .to_string()
            .ends_with("cannot be undone: branch \"main\" has moved since"),
        "{error}"
    );
    assert_eq!(error.cures(), [Cure::run(Verb::OpLog)]);
    assert_eq!(test.head("main").await.unwrap(), head);
}

#[tokio::test]
async fn the_creation_and_an_unknown_operation_are_not_undone() {
    let test = TestRepo::memory().await;
    assert!(matches!(
        test.repo.undo(&author(), None).await,
        Err(Error::FirstOperation { .. })
    ));
    let unknown = OperationId::of(b"unknown");
    let error = test.repo.undo(&author(), Some(unknown)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn old_operations_leave_the_root_and_are_still_found() {
    let test = TestRepo::memory().await;
    let base = test.head("main").await.unwrap();
    for number in 0..300 {
        test.repo
            .tag_create(&author(), &name(&format!("t{number}")), base)
            .await
            .unwrap();
    }
    let (root, _) = test.repo.storage().root.load().await.unwrap().unwrap();
    let root = drumlin_model::Root::from_bytes(&root).unwrap();
    assert!(root.operations.len() <= 128);
    assert!(root.older_operations.is_some());
    let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
    assert_eq!(operations.len(), 301);
    assert_eq!(operations[299].summary, format!("create tag t0 at {}", base.short()));
    test.repo.undo(&author(), Some(operations[299].id)).await.unwrap();
    assert!(test.repo.refs().await.unwrap().get(RefKind::Tag, &name("t0")).is_none());
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_reset_is_undone() {
    let test = TestRepo::memory().await;
    let first = test.write("main", "a", "1").await.unwrap();
    let second = test.write("main", "a", "2").await.unwrap();
    test.repo.reset(&author(), &name("main"), first).await.unwrap();
    assert_eq!(test.head("main").await.unwrap(), first);
    // The commit that was left can still be read.
    assert_eq!(
        test.repo
            .snapshot_at(second)
            .await
            .unwrap()
            .read(&path("a"))
            .await
            .unwrap(),
        "2"
    );
    test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(test.head("main").await.unwrap(), second);
}

/// Another operation is made between the choice of the newest one and the swap.
#[tokio::test]
async fn an_undo_that_loses_a_swap_takes_back_what_it_chose() {
    let store = std::sync::Arc::new(object_store::memory::InMemory::new());
    let (storage, faults) = drumlin_testkit::Faults::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let (storage, _) = drumlin_testkit::Faults::storage(store);
    let others = TestRepo::open(storage, test.clock.clone()).await;
    let before = test.head("main").await.unwrap();
    let after = test.write("main", "a", "1").await.unwrap();
    let first = std::sync::atomic::AtomicBool::new(true);
    faults.fail_once(drumlin_testkit::Side::Before, move |request| {
        let is_swap = request.verb == drumlin_testkit::Verb::Put && request.key == "root";
        if is_swap && first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            futures::executor::block_on(others.repo.tag_create(&author(), &name("v1"), after)).unwrap();
        }
        false
    });
    let undone = test.repo.undo(&author(), None).await.unwrap();
    assert_eq!(undone.verb, "commit");
    assert_eq!(test.head("main").await.unwrap(), before);
    assert_eq!(test.head("v1").await.unwrap(), after);
}
