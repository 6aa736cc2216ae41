//! The root: what a program does not know survives it, what it must not touch it refuses, one name is one ref, and
//! operations of any size fit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use drumlin_model::{ErrorKind, Operation, Ref, RefChange, RefKind, Root, Verb};
use drumlin_repo::{Error, Merged, Result};
use drumlin_testkit::{Faults, Side, TestRepo, author, info, name};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use serde_json::{Value, json};

/// The root as JSON, unknown fields included.
async fn stored(test: &TestRepo) -> Value {
    let (bytes, _) = test.repo.storage().root.load().await.unwrap().unwrap();
    let json = bytes.splitn(2, |&b| b == b'\n').nth(1).unwrap();
    serde_json::from_slice(json).unwrap()
}

/// Changes the root as another program would.
async fn rewrite(test: &TestRepo, change: impl FnOnce(&mut Value)) {
    let (_, version) = test.repo.storage().root.load().await.unwrap().unwrap();
    let mut root = stored(test).await;
    change(&mut root);
    let json = serde_json::to_vec(&root).unwrap();
    let mut bytes = format!("drumlin root 1 {}\n", blake3::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    let swap = test.repo.storage().root.swap(Some(&version), Bytes::from(bytes)).await;
    assert!(matches!(swap.unwrap(), drumlin_chunks::Swap::Won(_)));
}

/// Where a later program may have written what this one does not know. The value says where it was written.
const UNKNOWN: [&str; 12] = [
    "",
    "/settings",
    "/requires",
    "/refs",
    "/refs/branches/main",
    "/refs/tags/v1",
    "/refs/remotes/store",
    "/refs/remotes/store/branches/main",
    "/operations/0",
    "/operations/1",
    "/operations/1/changes/0",
    "/operations/1/changes/0/after",
];

/// A repository that a later program has been at.
async fn visited() -> TestRepo {
    let test = TestRepo::memory().await;
    let first = test.head("main").await.unwrap();
    test.repo.tag_create(&author(), &name("v1"), first).await.unwrap();
    rewrite(&test, |root| {
        let main = root["refs"]["branches"]["main"].clone();
        root["refs"]["remotes"] = json!({ "store": { "branches": { "main": main }, "tags": {} } });
        for at in UNKNOWN {
            let place = root.pointer_mut(at).unwrap_or_else(|| panic!("there is no {at}"));
            place["later"] = json!({ "at": at, "list": [1, null, "x"] });
        }
    })
    .await;
    test
}

fn unknown(root: &Value, at: &str) -> Value {
    root.pointer(at).map_or(Value::Null, |place| place["later"].clone())
}

/// That what concerns no operation is as it was.
async fn expect_all(test: &TestRepo, verb: &str) {
    let root = stored(test).await;
    for at in UNKNOWN.iter().filter(|at| !at.starts_with("/operations")) {
        assert_eq!(unknown(&root, at)["at"], **at, "after {verb}, at {at:?}");
    }
}

#[tokio::test]
async fn what_a_program_does_not_know_survives_every_verb() {
    let test = visited().await;
    let (repo, by) = (&test.repo, author());
    let first = test.head("main").await.unwrap();
    let second = test.write("main", "a", "1").await.unwrap();
    expect_all(&test, "commit").await;
    repo.branch_create(&by, &name("side"), first).await.unwrap();
    expect_all(&test, "branch create").await;
    let side = test.write("side", "b", "1").await.unwrap();
    assert!(matches!(
        repo.merge(&name("main"), side, info("m")).await.unwrap(),
        Merged::Committed(_)
    ));
    expect_all(&test, "merge").await;
    repo.revert(&name("main"), second, info("r")).await.unwrap();
    expect_all(&test, "revert").await;
    repo.cherry_pick(&name("main"), second, info("c")).await.unwrap();
    expect_all(&test, "cherry-pick").await;
    repo.reset(&by, &name("main"), second).await.unwrap();
    expect_all(&test, "reset").await;
    assert!(matches!(
        repo.merge(&name("side"), second, info("m")).await.unwrap(),
        Merged::Committed(_)
    ));
    let merged = test.head("side").await.unwrap();
    assert_eq!(
        repo.merge(&name("main"), merged, info("m")).await.unwrap(),
        Merged::FastForward(merged)
    );
    expect_all(&test, "fast-forward").await;
    repo.tag_create(&by, &name("v2"), first).await.unwrap();
    repo.branch_rename(&by, &name("side"), &name("other")).await.unwrap();
    repo.branch_delete(&by, &name("other")).await.unwrap();
    repo.tag_delete(&by, &name("v2")).await.unwrap();
    expect_all(&test, "rename and delete").await;
    repo.undo(&by, None).await.unwrap();
    expect_all(&test, "undo").await;
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

/// What is noted of a ref goes where the ref goes, and comes back with it.
#[tokio::test]
async fn what_is_noted_of_a_ref_comes_back_with_it() {
    let test = visited().await;
    let (repo, by) = (&test.repo, author());
    repo.tag_delete(&by, &name("v1")).await.unwrap();
    assert_eq!(unknown(&stored(&test).await, "/refs/tags/v1"), Value::Null);
    repo.undo(&by, None).await.unwrap();
    expect_all(&test, "undo of tag delete").await;
    repo.branch_rename(&by, &name("main"), &name("trunk")).await.unwrap();
    let root = stored(&test).await;
    assert_eq!(unknown(&root, "/refs/branches/trunk")["at"], "/refs/branches/main");
    assert_eq!(root["settings"]["default_branch"], "trunk");
    assert_eq!(unknown(&root, "/settings")["at"], "/settings");
    repo.undo(&by, None).await.unwrap();
    expect_all(&test, "undo of branch rename").await;
    assert_eq!(stored(&test).await["settings"]["default_branch"], "main");
}

#[tokio::test]
async fn what_is_noted_of_operations_moves_out_of_the_root_with_them() {
    let test = visited().await;
    let before = stored(&test).await;
    for number in 0..200 {
        test.write("main", "a", &number.to_string()).await.unwrap();
    }
    expect_all(&test, "200 commits").await;
    let operations: Vec<Operation> = test.repo.operations().try_collect().await.unwrap();
    let oldest = serde_json::to_value(&operations[operations.len() - 2..]).unwrap();
    assert_eq!(oldest, json!([before["operations"][1], before["operations"][0]]));
    let page = stored(&test).await["older_operations"].as_str().unwrap().to_owned();
    // Another program adds to the page; nothing of ours writes it again.
    let page = test
        .repo
        .storage()
        .bucket
        .get(&format!("operations/{page}"))
        .await
        .unwrap();
    assert!(String::from_utf8(page.to_vec()).unwrap().contains("\"later\""));
}

#[tokio::test]
async fn what_must_not_be_written_is_not() {
    let test = visited().await;
    let first = test.head("main").await.unwrap();
    let session = test.session("main").await;
    session
        .write(&drumlin_testkit::path("a"), Bytes::from("1"))
        .await
        .unwrap();
    rewrite(&test, |root| root["requires"]["write"] = json!(["sweep"])).await;
    let before = stored(&test).await;
    let (repo, by) = (&test.repo, author());
    for (verb, done) in [
        ("commit", session.commit(info("a")).await.map(drop)),
        ("session", repo.session(&name("main")).await.map(drop)),
        ("check", repo.check_write().await),
        (
            "branch create",
            repo.branch_create(&by, &name("b"), first).await.map(drop),
        ),
        ("tag delete", repo.tag_delete(&by, &name("v1")).await.map(drop)),
        ("undo", repo.undo(&by, None).await.map(drop)),
    ] {
        let error = done.expect_err(verb);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{verb}");
        assert_eq!(
            error.to_string(),
            "the repository cannot be changed by this program, which does not know the feature \"sweep\"",
            "{verb}"
        );
    }
    assert_eq!(stored(&test).await, before);
    assert!(test.files(first).await.unwrap().is_empty(), "it may still be read");
    rewrite(&test, |root| root["requires"]["read"] = json!(["sealed"])).await;
    let error = test.reopen().await.head("main").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("cannot be read by this program"), "{error}");
}

/// A change that was planned when it was allowed is refused when it is not any more.
#[tokio::test]
async fn a_requirement_that_comes_during_a_commit_stops_it() {
    let store = Arc::new(InMemory::new());
    let (storage, faults) = Faults::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let others = TestRepo::open(Faults::storage(store).0, test.clock.clone()).await;
    let session = test.session("main").await;
    session
        .write(&drumlin_testkit::path("a"), Bytes::from("1"))
        .await
        .unwrap();
    before_the_next_swap(&faults, move || {
        futures::executor::block_on(rewrite(&others, |root| root["requires"]["write"] = json!(["sweep"])));
    });
    let error = session.commit(info("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(!test.files_at("main").await.contains_key("a"));
}

/// Does something between the plan of the next change and its swap.
fn before_the_next_swap(faults: &Faults, act: impl Fn() + Send + 'static) {
    let first = AtomicBool::new(true);
    faults.fail_once(Side::Before, move |request| {
        let is_swap = request.verb == drumlin_testkit::Verb::Put && request.key == "root";
        if is_swap && first.swap(false, Ordering::SeqCst) {
            act();
        }
        false
    });
}

#[tokio::test]
async fn a_branch_and_a_tag_never_share_a_name() {
    let test = TestRepo::memory().await;
    let (repo, by) = (&test.repo, author());
    let head = test.head("main").await.unwrap();
    repo.tag_create(&by, &name("v1"), head).await.unwrap();
    repo.branch_create(&by, &name("side"), head).await.unwrap();
    let error = repo.branch_create(&by, &name("v1"), head).await.unwrap_err();
    assert_eq!(error.to_string(), "tag \"v1\" exists already");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = repo.tag_create(&by, &name("side"), head).await.unwrap_err();
    assert_eq!(error.to_string(), "branch \"side\" exists already");
    let error = repo.branch_rename(&by, &name("side"), &name("v1")).await.unwrap_err();
    assert!(matches!(error, Error::TagExists { .. }), "{error}");
    // A name that was given away meanwhile is not taken back by an undo.
    repo.tag_delete(&by, &name("v1")).await.unwrap();
    let deletion = repo.operations().try_next().await.unwrap().unwrap();
    repo.branch_create(&by, &name("v1"), head).await.unwrap();
    let error = repo.undo(&by, Some(deletion.id)).await.unwrap_err();
    assert!(matches!(error, Error::BranchExists { .. }), "{error}");
    assert_eq!(repo.refs().await.unwrap().holder(&name("v1")), Some(RefKind::Branch));
}

#[tokio::test]
async fn of_two_that_make_a_branch_and_a_tag_of_one_name_one_wins() {
    let store = Arc::new(InMemory::new());
    let (storage, faults) = Faults::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let others = TestRepo::open(Faults::storage(store).0, test.clock.clone()).await;
    let head = test.head("main").await.unwrap();
    before_the_next_swap(&faults, move || {
        futures::executor::block_on(others.repo.tag_create(&author(), &name("v1"), head)).unwrap();
    });
    let error = test.repo.branch_create(&author(), &name("v1"), head).await.unwrap_err();
    assert!(matches!(error, Error::TagExists { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_race_for_a_name_get_it_once() {
    let first = TestRepo::memory().await;
    let head = first.head("main").await.unwrap();
    for round in 0..20 {
        let mut tasks = Vec::new();
        for number in 0..6 {
            let test = first.reopen().await;
            tasks.push(tokio::spawn(async move {
                let name = name(&format!("r{round}"));
                match number % 2 {
                    0 => test.repo.branch_create(&author(), &name, head).await,
                    _ => test.repo.tag_create(&author(), &name, head).await,
                }
            }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// What another branch got while we planned does not make us plan anew: the same commit is swapped again.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_lost_to_another_branch_is_written_once() {
    let store = Arc::new(InMemory::new());
    let (storage, faults) = Faults::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let others = TestRepo::open(Faults::storage(store).0, test.clock.clone()).await;
    let head = test.head("main").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), head).await.unwrap();
    let bucket = &test.repo.storage().bucket;
    let commits = async || -> usize { bucket.list("commits").try_collect::<Vec<_>>().await.unwrap().len() };
    let session = test.session("main").await;
    session
        .write(&drumlin_testkit::path("a"), Bytes::from("1"))
        .await
        .unwrap();
    let (before, others_at_work) = (commits().await, others.clone());
    before_the_next_swap(&faults, move || {
        futures::executor::block_on(others_at_work.write("side", "b", "1")).unwrap();
    });
    session.commit(info("a")).await.unwrap();
    assert_eq!(commits().await, before + 2, "one of each");
    assert!(test.files_at("main").await.contains_key("a"));
    // A merge and a revert, too.
    let (side, before, others_at_work) = (test.head("side").await.unwrap(), commits().await, others.clone());
    before_the_next_swap(&faults, move || {
        futures::executor::block_on(others_at_work.repo.tag_create(&author(), &name("t1"), side)).unwrap();
    });
    test.repo.merge(&name("main"), side, info("m")).await.unwrap();
    assert_eq!(commits().await, before + 1);
    before_the_next_swap(&faults, move || {
        futures::executor::block_on(others.repo.tag_create(&author(), &name("t2"), side)).unwrap();
    });
    test.repo.revert(&name("main"), side, info("r")).await.unwrap();
    assert_eq!(commits().await, before + 2);
}

/// As `git push --mirror` of a large repository would be, or a tidying up of years of tags.
#[tokio::test]
async fn operations_of_twenty_thousand_changes_do_not_wedge_a_repository() {
    const CHANGES: usize = 20_000;
    let test = TestRepo::memory().await;
    let (repo, by) = (&test.repo, author());
    let head = repo.resolve(&name("main").into()).await.unwrap().target();
    let tags = |before: Option<Ref>, after: Option<Ref>| -> Vec<RefChange> {
        let tag = |number| {
            RefChange::new(
                RefKind::Tag,
                &name(&format!("t{number}")),
                before.clone(),
                after.clone(),
            )
        };
        (0..CHANGES).map(tag).collect()
    };
    let (make, delete) = (tags(None, Some(head.into())), tags(Some(head.into()), None));
    for _ in 0..3 {
        let made = repo
            .refs_change(&by, Verb::TagCreate, make.clone(), "create tags")
            .await;
        made.unwrap();
        let deleted = repo
            .refs_change(&by, Verb::TagDelete, delete.clone(), "delete tags")
            .await;
        deleted.unwrap();
    }
    let (bytes, _) = repo.storage().root.load().await.unwrap().unwrap();
    assert!(bytes.len() < 10_000, "the root has {} bytes", bytes.len());
    let undone = repo.undo(&by, None).await.unwrap();
    assert_eq!(undone.changes, delete);
    assert_eq!(repo.refs().await.unwrap().tags.len(), CHANGES);
    repo.tag_delete(&by, &name("t7")).await.unwrap();
    test.write("main", "a", "1").await.unwrap();
    let newest = repo.operations().try_next().await.unwrap().unwrap();
    assert_eq!(newest.summary, "change files");
    let error = repo
        .undo(&by, Some(undone_of(&test, "delete tags").await))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "t7 has moved: {error}");
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

/// The newest operation that took back the one with the summary.
async fn undone_of(test: &TestRepo, summary: &str) -> drumlin_model::OperationId {
    let undo = format!("undo tag delete: {summary}");
    let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
    operations
        .iter()
        .find(|operation| operation.summary == undo)
        .unwrap()
        .id
}

#[tokio::test]
async fn large_operations_leave_the_root_by_their_bytes() {
    let test = TestRepo::memory().await;
    let (repo, by) = (&test.repo, author());
    let head = repo.resolve(&name("main").into()).await.unwrap().target();
    // 300 changes are some 60 KB: five of them are over the limit long before there are 128.
    for round in 0..20 {
        let tag = |number| {
            let name = name(&format!("r{round}t{number}"));
            RefChange::new(RefKind::Tag, &name, None, Some(head.into()))
        };
        let made = repo
            .refs_change(&by, Verb::TagCreate, (0..300).map(tag).collect(), "create tags")
            .await;
        made.unwrap();
        let root = stored(&test).await;
        let len = serde_json::to_vec(&root["operations"]).unwrap().len();
        assert!(len < 300 << 10, "the operations have {len} bytes");
    }
    let operations: Vec<_> = repo.operations().try_collect().await.unwrap();
    assert_eq!(operations.len(), 21);
    assert_eq!(
        operations
            .iter()
            .filter(|operation| operation.changes.len() == 300)
            .count(),
        20
    );
    repo.undo(&by, Some(operations[19].id)).await.unwrap();
    assert_eq!(repo.refs().await.unwrap().tags.len(), 19 * 300);
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_answer_of_a_large_operation_is_found_out() {
    let (storage, faults) = Faults::storage(Arc::new(InMemory::new()));
    let test = TestRepo::create(storage).await;
    let head = test.repo.resolve(&name("main").into()).await.unwrap().target();
    let tag = |number| RefChange::new(RefKind::Tag, &name(&format!("t{number}")), None, Some(head.into()));
    faults.fail_once(Side::After, |request| {
        request.verb == drumlin_testkit::Verb::Put && request.key == "root"
    });
    let made = test
        .repo
        .refs_change(&author(), Verb::TagCreate, (0..2000).map(tag).collect(), "create tags")
        .await;
    made.unwrap();
    let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
    assert_eq!(operations.len(), 2, "it happened once");
    assert_eq!(test.repo.changes(&operations[0]).await.unwrap().len(), 2000);
}

/// What a list of changes says is checked like everything else.
#[tokio::test]
async fn a_damaged_list_of_changes_is_found() {
    let test = TestRepo::memory().await;
    let head = test.repo.resolve(&name("main").into()).await.unwrap().target();
    let tag = |number| RefChange::new(RefKind::Tag, &name(&format!("t{number}")), None, Some(head.into()));
    let made = test
        .repo
        .refs_change(&author(), Verb::TagCreate, (0..2000).map(tag).collect(), "create tags")
        .await;
    made.unwrap();
    let bucket = &test.repo.storage().bucket;
    let listed: Vec<_> = bucket.list("changes").try_collect().await.unwrap();
    let [object] = listed.as_slice() else {
        panic!("{listed:?}")
    };
    let mut bytes = bucket.get(&object.key).await.unwrap().to_vec();
    bytes[1000] ^= 1;
    bucket.put(&object.key, Bytes::from(bytes)).await.unwrap();
    let error = test.repo.undo(&author(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let problems = test.problems().await.unwrap();
    assert!(
        problems.iter().any(|problem| problem.contains(&object.key)),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_default_branch_is_chosen_and_found() -> Result<()> {
    let storage = drumlin_chunks::Storage::memory();
    let clock = drumlin_testkit::TestClock::new();
    let repo = drumlin_repo::Repo::create(storage.clone(), Arc::new(clock.clone()), &name("trunk")).await?;
    assert_eq!(repo.settings().await?.default_branch, name("trunk"));
    assert!(repo.refs().await?.branches.contains_key(&name("trunk")));
    let again = TestRepo::open(storage, clock).await;
    assert_eq!(again.repo.id().await?, repo.id().await?);
    assert_ne!(TestRepo::memory().await.repo.id().await?, repo.id().await?);
    Ok(())
}

/// Nothing that was ever written is longer than what is read.
#[tokio::test]
async fn a_root_at_its_limit_can_still_be_changed_and_shrunk() {
    let test = TestRepo::memory().await;
    let (repo, by) = (&test.repo, author());
    let head = repo.resolve(&name("main").into()).await.unwrap().target();
    let mut made = 0;
    let error = loop {
        let tag = |number| RefChange::new(RefKind::Tag, &name(&format!("{number:x>100}")), None, Some(head.into()));
        let tags = (made..made + 20_000).map(tag).collect();
        match repo.refs_change(&by, Verb::TagCreate, tags, "create tags").await {
            Ok(()) => made += 20_000,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TooManyRefs { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(repo.refs().await.unwrap().tags.len(), made);
    let root: Root = Root::from_bytes(&repo.storage().root.load().await.unwrap().unwrap().0).unwrap();
    assert_eq!(root.refs.count(), made + 1);
    test.write("main", "a", "1").await.unwrap();
    repo.tag_delete(&by, &name(&format!("{:x>100}", 7))).await.unwrap();
    repo.undo(&by, None).await.unwrap();
}
