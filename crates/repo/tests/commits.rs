//! Commits: what they hold, what they refuse, and how they go on top of what others did.

use bytes::Bytes;
use drumlin_chunks::Storage;
use drumlin_model::{ErrorKind, RefKind, provenance::PROVENANCE_LEN_MAX};
use drumlin_repo::{Error, OnConflict, ProvenanceRead};
use drumlin_testkit::{TestRepo, info, name, path};
use futures::TryStreamExt;

#[tokio::test]
async fn a_new_repository_has_one_empty_commit_on_main() {
    let test = TestRepo::memory().await;
    let refs = test.repo.refs().await.unwrap();
    assert_eq!(
        refs.branches.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["main"]
    );
    assert!(refs.tags.is_empty());
    let head = test.head("main").await.unwrap();
    assert!(test.repo.commit(head).await.unwrap().parents.is_empty());
    assert!(test.files(head).await.unwrap().is_empty());
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_repository_is_not_created_over_another() {
    let test = TestRepo::memory().await;
    let head = test.write("main", "a", "1").await.unwrap();
    let storage = test.repo.storage().clone();
    let again = drumlin_repo::Repo::create(storage, std::sync::Arc::new(test.clock.clone()), &name("main")).await;
    assert!(matches!(again, Err(Error::RepositoryExists)));
    assert_eq!(test.head("main").await.unwrap(), head);
}

#[tokio::test]
async fn there_is_no_repository_in_an_empty_store() {
    let test = TestRepo::open(Storage::memory(), drumlin_testkit::TestClock::new()).await;
    let error = test.repo.refs().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.cures(), [drumlin_model::Cure::run(drumlin_model::Verb::Init)]);
}

#[tokio::test]
async fn a_commit_records_tree_parent_message_and_provenance() {
    let folder = tempfile::tempdir().unwrap();
    let test = TestRepo::create(Storage::directory(folder.path()).unwrap()).await;
    let first = test.head("main").await.unwrap();
    let session = test.session("main").await;
    session.write(&path("data/a.csv"), Bytes::from("x,y\n")).await.unwrap();
    session.write(&path("b"), Bytes::new()).await.unwrap();
    let mut said = info("two files");
    said.parameters.insert("rows".into(), 0.into());
    let commit = session.commit(said).await.unwrap();

    let other = test.reopen().await;
    assert_eq!(other.head("main").await.unwrap(), commit);
    let stored = other.repo.commit(commit).await.unwrap();
    assert_eq!(stored.parents, [first]);
    assert_eq!(stored.generation, 2);
    let provenance = other.provenance(commit).await;
    assert_eq!(
        (provenance.message.as_str(), provenance.verb.as_str()),
        ("two files", "commit")
    );
    assert_eq!(provenance.outputs, [path("b"), path("data/a.csv")]);
    assert_eq!(provenance.parameters["rows"], 0);
    assert_eq!(provenance.finished, stored.time);
    assert!(provenance.finished > provenance.started);
    assert_ne!(provenance.nonce, test.provenance(first).await.nonce);
    let files = other.files(commit).await.unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files["data/a.csv"], "x,y\n");
    assert_eq!(files["b"], "");
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_not_committed() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    let error = session.commit(info("nothing")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    test.write("main", "a", "1").await.unwrap();
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("2")).await.unwrap();
    session.write(&path("new"), Bytes::from("2")).await.unwrap();
    session.remove(&path("new")).await.unwrap();
    let placed = session.base().entry(&path("a")).await.unwrap().unwrap();
    session.put(&path("a"), placed).await.unwrap();
    assert!(matches!(
        session.commit(info("as it was")).await,
        Err(Error::NothingToCommit { .. })
    ));
}

#[tokio::test]
async fn more_changes_than_a_commit_names_fold_into_folders() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    for number in 0..300 {
        session
            .write(&path(&format!("deep/in/f{number}")), Bytes::from("x"))
            .await
            .unwrap();
    }
    session.write(&path("top"), Bytes::from("x")).await.unwrap();
    let commit = session.commit(info("many")).await.unwrap();
    let outputs = test.provenance(commit).await.outputs.clone();
    assert_eq!(outputs, [path("deep/in"), path("top")]);
}

#[tokio::test]
async fn a_session_goes_on_after_its_commit() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    let first = session.commit(info("one")).await.unwrap();
    assert!(session.changes().is_empty());
    assert_eq!(session.base().commit(), first);
    session.write(&path("b"), Bytes::from("2")).await.unwrap();
    let second = session.commit(info("two")).await.unwrap();
    assert_eq!(test.repo.commit(second).await.unwrap().parents, [first]);
    assert_eq!(test.files(second).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_commit_goes_on_top_of_others_when_the_paths_do_not_meet() {
    let test = TestRepo::memory().await;
    test.write("main", "shared", "0").await.unwrap();
    let session = test.session("main").await;
    session.write(&path("mine"), Bytes::from("1")).await.unwrap();
    session.remove(&path("shared")).await.unwrap();
    let theirs = test.reopen().await.write("main", "theirs", "2").await.unwrap();
    let mine = session.commit(info("mine")).await.unwrap();
    assert_eq!(test.repo.commit(mine).await.unwrap().parents, [theirs]);
    let files = test.files(mine).await.unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["mine", "theirs"]);
}

#[tokio::test]
async fn a_commit_that_meets_others_changes_nothing_and_the_session_lives_on() {
    let test = TestRepo::memory().await;
    test.commit("main", &[("a", Some("0")), ("b", Some("0"))])
        .await
        .unwrap();
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("mine")).await.unwrap();
    session.write(&path("c"), Bytes::from("mine")).await.unwrap();
    let theirs = test
        .commit("main", &[("a", Some("theirs")), ("b", None)])
        .await
        .unwrap();

    let error = session.commit(info("mine")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "branch \"main\" was changed by others at \"a\"");
    assert!(!error.cures().is_empty());
    let Error::Conflict { branch, paths } = error else {
        panic!("{error:?}")
    };
    assert_eq!((branch, paths), (name("main"), vec![path("a")]));
    assert_eq!(test.head("main").await.unwrap(), theirs);
    assert_eq!(session.read(&path("a")).await.unwrap(), "mine");
    assert!(session.rebase(OnConflict::Fail).await.is_err());

    session.rebase(OnConflict::KeepOurs).await.unwrap();
    let mine = session.commit(info("mine")).await.unwrap();
    let files = test.files(mine).await.unwrap();
    assert_eq!(files.into_keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(
        test.repo
            .snapshot_at(mine)
            .await
            .unwrap()
            .read(&path("a"))
            .await
            .unwrap(),
        "mine"
    );
}

#[tokio::test]
async fn a_rebase_may_take_what_others_wrote() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("mine")).await.unwrap();
    session.write(&path("c"), Bytes::from("mine")).await.unwrap();
    test.write("main", "a", "theirs").await.unwrap();
    session.rebase(OnConflict::TakeTheirs).await.unwrap();
    let mine = session.commit(info("mine")).await.unwrap();
    let files = test.files(mine).await.unwrap();
    assert_eq!(
        (files["a"].as_ref(), files["c"].as_ref()),
        (&b"theirs"[..], &b"mine"[..])
    );
}

#[tokio::test]
async fn a_file_and_a_folder_of_one_name_meet() {
    for (mine, theirs) in [("a", "a/b"), ("a/b/c", "a/b"), ("a/b", "a")] {
        let test = TestRepo::memory().await;
        let session = test.session("main").await;
        session.write(&path(mine), Bytes::from("mine")).await.unwrap();
        test.write("main", theirs, "theirs").await.unwrap();
        let error = session.commit(info("mine")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Conflict { paths, .. } if *paths == [path(mine)]),
            "{error:?}"
        );
        session.rebase(OnConflict::KeepOurs).await.unwrap();
        let commit = session.commit(info("mine")).await.unwrap();
        assert_eq!(
            test.files(commit).await.unwrap().into_keys().collect::<Vec<_>>(),
            [mine]
        );
    }
}

#[tokio::test]
async fn a_file_below_a_file_is_refused() {
    let test = TestRepo::memory().await;
    test.write("main", "a", "file").await.unwrap();
    let session = test.session("main").await;
    session.write(&path("a/b"), Bytes::from("x")).await.unwrap();
    assert_eq!(
        session.commit(info("clash")).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    session.remove(&path("a")).await.unwrap();
    let commit = session.commit(info("a folder now")).await.unwrap();
    assert_eq!(
        test.files(commit).await.unwrap().into_keys().collect::<Vec<_>>(),
        ["a/b"]
    );
}

#[tokio::test]
async fn a_commit_on_a_branch_that_went_away_is_refused() {
    let test = TestRepo::memory().await;
    let head = test.head("main").await.unwrap();
    test.repo
        .branch_create(&drumlin_testkit::author(), &name("side"), head)
        .await
        .unwrap();
    let session = test.session("side").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    test.reopen()
        .await
        .repo
        .branch_delete(&drumlin_testkit::author(), &name("side"))
        .await
        .unwrap();
    assert!(matches!(
        session.commit(info("lost")).await,
        Err(Error::NoSuchBranch { .. })
    ));
    assert!(
        test.repo
            .refs()
            .await
            .unwrap()
            .get(RefKind::Branch, &name("side"))
            .is_none()
    );
}

#[tokio::test]
async fn a_record_as_long_as_allowed_is_kept_and_a_longer_one_refused_with_nothing_changed() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    let first = session.commit(info("x")).await.unwrap();
    let record = test.repo.commit(first).await.unwrap().provenance;
    let stored = test.repo.storage().bucket.head(&format!("provenance/{record}")).await;
    let longest = "x".repeat(PROVENANCE_LEN_MAX - stored.unwrap().unwrap().size as usize + 1);
    session.write(&path("a"), Bytes::from("2")).await.unwrap();
    let error = session.commit(info(&format!("{longest}x"))).await.unwrap_err();
    assert!(matches!(error, Error::ProvenanceTooLong { len } if len == PROVENANCE_LEN_MAX + 1));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(test.head("main").await.unwrap(), first);
    assert_eq!(session.changes().len(), 1);
    let second = session.commit(info(&longest)).await.unwrap();
    assert_eq!(test.reopen().await.provenance(second).await.message, longest);
}

#[tokio::test]
async fn a_provenance_that_is_gone_is_said_and_the_rest_still_verifies() {
    let test = TestRepo::memory().await;
    let first = test.write("main", "a", "1").await.unwrap();
    let second = test.write("main", "a", "2").await.unwrap();
    let gone = test.repo.commit(first).await.unwrap().provenance;
    let key = format!("provenance/{gone}");
    test.repo.storage().bucket.delete(&key).await.unwrap();
    let fresh = test.reopen().await;
    let recorded: Vec<_> = fresh
        .repo
        .recorded_all(fresh.repo.log(second))
        .try_collect()
        .await
        .unwrap();
    let stored: Vec<bool> = recorded.iter().map(|read| read.provenance.stored().is_some()).collect();
    assert_eq!(stored, [true, false, true]);
    assert_eq!(recorded[1].provenance, ProvenanceRead::Gone);
    assert_eq!(fresh.files(first).await.unwrap()["a"], "1");
    assert_eq!(fresh.repo.changed_by(&recorded[1].commit).await.unwrap(), [path("a")]);
    let problems = fresh.problems().await.unwrap();
    assert!(
        matches!(&problems[..], [only] if only.starts_with(&key)),
        "{problems:?}"
    );
}
