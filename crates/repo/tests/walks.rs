//! What walks over a long history cost, in requests, and that a history whose generations are wrong is not believed.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use drumlin_chunks::Bucket;
use drumlin_model::{Commit, CommitId, ErrorKind, ProvenanceId, RefExpr, Timestamp, TreeId};
use drumlin_testkit::{Requests, TestRepo, author, name};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;

/// Commits of the long line: what a minute-by-minute job makes in ten weeks.
const COMMITS: usize = 100_000;

/// Writes commit objects, without what a real commit does beside.
struct Writer {
    bucket: Bucket,
    tree: TreeId,
    provenance: ProvenanceId,
    /// Makes the commits of one line differ from those of another.
    time: i64,
}

impl Writer {
    async fn put(&mut self, commit: Commit) -> (CommitId, Commit) {
        let bytes = commit.to_bytes();
        let id = CommitId::of(&bytes);
        self.bucket
            .put(&format!("commits/{id}"), Bytes::from(bytes))
            .await
            .unwrap();
        (id, commit)
    }

    async fn on(&mut self, parents: &[(CommitId, Commit)]) -> (CommitId, Commit) {
        self.time += 1;
        let parents = parents.iter().map(|(id, commit)| (*id, commit.generation));
        let commit = Commit::on(parents, self.tree, Timestamp::from_micros(self.time), self.provenance).unwrap();
        self.put(commit).await
    }

    /// A line of commits, oldest first.
    async fn line(&mut self, from: &(CommitId, Commit), len: usize) -> Vec<(CommitId, Commit)> {
        let mut line = vec![self.on(std::slice::from_ref(from)).await];
        while line.len() < len {
            let next = self.on(&line[line.len() - 1..]).await;
            line.push(next);
        }
        line
    }
}

/// A repository over a store that can be counted, its first commit, and who writes more.
async fn empty() -> (Arc<InMemory>, TestRepo, (CommitId, Commit), Writer) {
    let store = Arc::new(InMemory::new());
    let (storage, _) = Requests::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let id = test.head("main").await.unwrap();
    let first = (*test.repo.commit(id).await.unwrap()).clone();
    let writer = Writer {
        bucket: test.repo.storage().bucket.clone(),
        tree: first.tree,
        provenance: first.provenance,
        time: 0,
    };
    (store, test, (id, first), writer)
}

/// A handle that has read nothing yet, and what it asks from now on.
async fn cold(store: &Arc<InMemory>, test: &TestRepo) -> (TestRepo, Arc<Requests>) {
    let (storage, requests) = Requests::storage(store.clone());
    (TestRepo::open(storage, test.clock.clone()).await, requests)
}

#[tokio::test]
async fn walks_over_a_long_history_read_what_they_need_and_no_more() {
    let (store, test, first, mut writer) = empty().await;
    let main = writer.line(&first, COMMITS).await;
    let tip = main[COMMITS - 1].0;
    let fork = &main[COMMITS - 1001];
    let side = writer.line(fork, 500).await;
    let side = side[499].0;

    let (handle, requests) = cold(&store, &test).await;
    let newest: Vec<_> = handle.repo.log(tip).take(20).try_collect().await.unwrap();
    assert_eq!(newest[19].0, main[COMMITS - 20].0);
    assert_eq!(requests.take().len(), 20, "the commits that are shown");
    let recorded = handle.repo.recorded_all(handle.repo.log(tip).take(20));
    assert_eq!(recorded.try_collect::<Vec<_>>().await.unwrap().len(), 20);
    assert!(requests.take().len() <= 20, "their provenance");

    // A push that is refused: theirs has what ours has not.
    let (handle, requests) = cold(&store, &test).await;
    assert!(!handle.repo.is_ancestor(tip, side).await.unwrap());
    assert_eq!(requests.take().len(), 2, "the generations say it");
    assert!(!handle.repo.is_ancestor(side, tip).await.unwrap());
    let spent = requests.take().len();
    assert!(spent <= 501, "down to the generation of the other: {spent}");
    assert!(handle.repo.is_ancestor(fork.0, tip).await.unwrap());
    assert!(handle.repo.is_ancestor(tip, tip).await.unwrap());

    let (handle, requests) = cold(&store, &test).await;
    assert_eq!(handle.repo.merge_base(tip, side).await.unwrap(), Some(fork.0));
    assert_eq!(requests.take().len(), 1000 + 500 + 1, "both sides, and the base");

    test.repo.branch_create(&author(), &name("long"), tip).await.unwrap();
    let (handle, requests) = cold(&store, &test).await;
    let meaning = async |expr: &str| handle.repo.resolve(&expr.parse::<RefExpr>().unwrap()).await;
    assert_eq!(meaning("long~20").await.unwrap().commit, main[COMMITS - 21].0);
    assert_eq!(requests.take().len(), 1 + 21, "the root, and a commit a step");
    assert_eq!(meaning("long~100001").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(requests.take().len(), 1, "the root: the line is shorter than that");

    let start = main[COMMITS / 2].0.to_string()[..12].to_owned();
    assert_eq!(meaning(&start).await.unwrap().commit, main[COMMITS / 2].0);
    assert_eq!(requests.take().len(), 2, "one page of a listing, and the commit");
}

#[tokio::test]
async fn merges_and_side_branches_are_read_once() {
    let (store, test, first, mut writer) = empty().await;
    let main = writer.line(&first, 50).await;
    let side = writer.line(&main[9], 5).await;
    let merge = writer.on(&[main[49].clone(), side[4].clone()]).await;
    let (handle, requests) = cold(&store, &test).await;
    let log: Vec<_> = handle.repo.log(merge.0).try_collect().await.unwrap();
    assert_eq!((log.len(), requests.take().len()), (57, 57));
    for (at, (_, commit)) in log.iter().enumerate() {
        let later: Vec<_> = log[at + 1..].iter().map(|(id, _)| *id).collect();
        assert!(commit.parents.iter().all(|parent| later.contains(parent)));
    }
    // Lines side by side are in the order of their generations.
    let generations: Vec<_> = log.iter().map(|(_, commit)| commit.generation).collect();
    assert!(generations.is_sorted_by(|a, b| a >= b));
}

#[tokio::test]
async fn a_commit_that_lies_about_its_generation_is_damage() {
    let (store, test, first, mut writer) = empty().await;
    let main = writer.line(&first, 5).await;
    let honest = writer.on(&main[3..4]).await;
    for lie in [2, 5, 7, 90] {
        let liar = Commit {
            parents: vec![main[4].0],
            generation: lie,
            ..main[4].1.clone()
        };
        let liar = writer.put(liar).await;
        let merge = Commit {
            parents: vec![liar.0, main[2].0],
            generation: 8,
            ..main[4].1.clone()
        };
        let merge = writer.put(merge).await;
        let of_liar = writer.on(std::slice::from_ref(&liar)).await;
        let is_lie = lie != 7;
        test.repo
            .branch_create(&author(), &name("liar"), of_liar.0)
            .await
            .unwrap();
        let problems = test.problems().await.unwrap();
        let named = problems
            .iter()
            .any(|problem| problem.contains(&liar.0.to_string()) && problem.contains("generation"));
        assert_eq!(named, is_lie, "{lie}: {problems:?}");
        test.repo.branch_delete(&author(), &name("liar")).await.unwrap();

        let (handle, _) = cold(&store, &test).await;
        for of in [of_liar.0, merge.0] {
            let log = handle.repo.log(of).try_collect::<Vec<_>>().await;
            let base = handle.repo.merge_base(of, honest.0).await;
            for error in [log.err(), base.err()] {
                let kind = error.map(|error| error.kind());
                assert_eq!(kind, is_lie.then_some(ErrorKind::Corrupt), "{lie}");
            }
        }
    }
}

/// Prints what page 002's table costs over a long history, in time and in requests.
#[tokio::test]
#[ignore = "a measurement"]
async fn what_walks_cost() {
    let (store, test, first, mut writer) = empty().await;
    let main = writer.line(&first, COMMITS).await;
    let near = writer.line(&main[COMMITS - 1001], 1000).await[999].0;
    let far = writer.line(&main[COMMITS / 2 - 1], COMMITS / 2).await[COMMITS / 2 - 1].0;
    let tip = main[COMMITS - 1].0;
    for what in [
        "log -n 20",
        "log",
        "merge base, 1,000 each",
        "merge base, 50,000 each",
        "refused push",
    ] {
        let (handle, requests) = cold(&store, &test).await;
        let repo = &handle.repo;
        let started = Instant::now();
        match what {
            "log -n 20" => assert_eq!(repo.log(tip).take(20).count().await, 20),
            "log" => assert_eq!(repo.log(tip).count().await, COMMITS + 1),
            "merge base, 1,000 each" => assert!(repo.merge_base(tip, near).await.unwrap().is_some()),
            "merge base, 50,000 each" => assert!(repo.merge_base(tip, far).await.unwrap().is_some()),
            _ => assert!(!repo.is_ancestor(tip, far).await.unwrap()),
        }
        println!("{what}: {:?}, {} requests", started.elapsed(), requests.count());
    }
}
