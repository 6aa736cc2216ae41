//! Many writers on one branch: nothing that was acknowledged is lost, whoever else writes.

use std::{collections::BTreeSet, path::Path};

use bytes::Bytes;
use drumlin_chunks::Storage;
use drumlin_model::CommitId;
use drumlin_repo::{Error, OnConflict};
use drumlin_testkit::{TestRepo, info, path};
use futures::{StreamExt, TryStreamExt};

const WRITERS: usize = 8;
const COMMITS_EACH: usize = 50;

/// As many handles as writers, with nothing in common but the storage.
async fn writers(folder: Option<&Path>) -> Vec<TestRepo> {
    let storage = || folder.map_or_else(Storage::memory, |folder| Storage::directory(folder).unwrap());
    let first = TestRepo::create(storage()).await;
    let shared = first.repo.storage().clone();
    let mut all = Vec::new();
    for _ in 0..WRITERS {
        let storage = if folder.is_some() { storage() } else { shared.clone() };
        all.push(TestRepo::open(storage, first.clock.clone()).await);
    }
    all
}

async fn history(test: &TestRepo) -> BTreeSet<CommitId> {
    let head = test.head("main").await.unwrap();
    test.repo.log(head).map(|item| item.unwrap().0).collect().await
}

async fn on_paths_of_their_own(writers: Vec<TestRepo>) {
    let write = |(number, test): (usize, TestRepo)| {
        tokio::spawn(async move {
            let mut made = Vec::new();
            for round in 0..COMMITS_EACH {
                let file = format!("w{number}/f{round}");
                made.push(test.write("main", &file, &format!("{number} {round}")).await.unwrap());
            }
            made
        })
    };
    let tasks: Vec<_> = writers.iter().cloned().enumerate().map(write).collect();
    let mut acknowledged = BTreeSet::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    assert_eq!(acknowledged.len(), WRITERS * COMMITS_EACH);
    let test = writers[0].reopen().await;
    let history = history(&test).await;
    assert!(acknowledged.is_subset(&history));
    assert_eq!(history.len(), WRITERS * COMMITS_EACH + 1);
    let files = test.files(test.head("main").await.unwrap()).await.unwrap();
    assert_eq!(files.len(), WRITERS * COMMITS_EACH);
    assert_eq!(files["w3/f7"], "3 7");
    let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
    assert_eq!(operations.len(), WRITERS * COMMITS_EACH + 1);
    assert_eq!(
        operations
            .iter()
            .map(|operation| operation.id)
            .collect::<BTreeSet<_>>()
            .len(),
        operations.len()
    );
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
}

/// All begin each round from one commit and write one path: one wins, and the others are told.
async fn on_one_path(writers: Vec<TestRepo>) {
    let mut won = BTreeSet::new();
    for round in 0..COMMITS_EACH {
        let mut sessions = Vec::new();
        for (number, test) in writers.iter().enumerate() {
            let session = test.session("main").await;
            session
                .write(&path("one"), Bytes::from(format!("{number} {round}")))
                .await
                .unwrap();
            sessions.push(session);
        }
        let tasks: Vec<_> = sessions
            .into_iter()
            .map(|session| tokio::spawn(async move { session.commit(info("one")).await }))
            .collect();
        let mut winners = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(commit) => {
                    winners += 1;
                    won.insert(commit);
                }
                Err(Error::Conflict { paths, .. }) => assert_eq!(paths, [path("one")]),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(history(&writers[0]).await.len(), won.len() + 1);
    assert!(won.is_subset(&history(&writers[0]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_paths_of_their_own_in_memory() {
    on_paths_of_their_own(writers(None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_paths_of_their_own_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    on_paths_of_their_own(writers(Some(folder.path())).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_path_in_memory() {
    on_one_path(writers(None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_path_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    on_one_path(writers(Some(folder.path())).await).await;
}

/// Who is refused may rebase and try again until it is in: each increment of a counter is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_all_increment_misses_none() {
    let writers = writers(None).await;
    writers[0].write("main", "counter", "0").await.unwrap();
    let tasks: Vec<_> = writers
        .iter()
        .cloned()
        .map(|test| {
            tokio::spawn(async move {
                for _ in 0..10 {
                    let session = test.session("main").await;
                    loop {
                        let before = session.base().read(&path("counter")).await.unwrap();
                        let next = std::str::from_utf8(&before).unwrap().parse::<u32>().unwrap() + 1;
                        session
                            .write(&path("counter"), Bytes::from(next.to_string()))
                            .await
                            .unwrap();
                        match session.commit(info("count")).await {
                            Ok(_) => break,
                            Err(Error::Conflict { .. }) => session.rebase(OnConflict::TakeTheirs).await.unwrap(),
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let files = writers[0].files(writers[0].head("main").await.unwrap()).await.unwrap();
    assert_eq!(files["counter"], (WRITERS * 10).to_string());
}

/// The first objects of a new repository make its folders, all writers at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn the_first_writes_of_all_meet_no_missing_folder() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let writers = writers(Some(folder.path())).await;
        let write = |(number, test): (usize, TestRepo)| {
            tokio::spawn(async move { test.write("main", &format!("f{number}"), "first").await.map(drop) })
        };
        let tasks: Vec<_> = writers.iter().cloned().enumerate().map(write).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(history(&writers[0]).await.len(), WRITERS + 1);
    }
}
