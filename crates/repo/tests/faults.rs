//! A store that dies at any request, and answers that get lost: whatever was acknowledged is there afterwards.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_chunks::{RootStore, RootVersion, Storage, Swap};
use drumlin_model::{CommitId, ErrorKind};
use drumlin_repo::{Error, Merged};
use drumlin_testkit::{Faults, Request, Side, TestRepo, Verb, author, info, name, path};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// How many deaths; half before the store beneath did the request and half after.
const KILLS: u64 = 240;
/// Rounds of the workload make some ten requests each.
const REQUESTS_MAX: u64 = 80;
const BRANCHES: [&str; 3] = ["main", "b1", "b2"];

/// What the repository has promised so far.
#[derive(Default)]
struct Acknowledged {
    /// For each branch that was made and not deleted, the commits that it had.
    commits: BTreeMap<&'static str, Vec<CommitId>>,
    files: BTreeMap<CommitId, BTreeMap<String, Bytes>>,
    /// The branch whose deletion was asked for and not answered.
    in_doubt: Option<&'static str>,
}

impl Acknowledged {
    fn made(&mut self, branch: &'static str, commit: CommitId) {
        self.commits.entry(branch).or_default().push(commit);
    }
}

/// One random verb; an error is the death of the store.
async fn work(test: &TestRepo, random: &mut StdRng, done: &mut Acknowledged, round: u64) -> Result<(), Error> {
    let branches: Vec<_> = done.commits.keys().copied().collect();
    let branch = branches[random.random_range(0..branches.len())];
    match random.random_range(0..10) {
        0..=4 => {
            let session = test.repo.session(&name(branch)).await?;
            for _ in 0..random.random_range(1..4) {
                let file = path(&format!("{branch}/f{}", random.random_range(0..20)));
                let size = if random.random_ratio(1, 8) {
                    300_000
                } else {
                    random.random_range(0..2000)
                };
                let mut content = format!("round {round} ").into_bytes();
                content.resize_with(size, || random.random());
                session.write(&file, Bytes::from(content)).await?;
            }
            let commit = session.commit(info("work")).await?;
            done.made(branch, commit);
            done.files.insert(commit, test.files(commit).await?);
        }
        5..=6 => {
            let from = branches[random.random_range(0..branches.len())];
            let from = test.repo.resolve(&name(from).into()).await?.commit;
            match test.repo.merge(&name(branch), from, info("merge")).await? {
                Merged::AlreadyUpToDate => {}
                Merged::FastForward(commit) | Merged::Committed(commit) => done.made(branch, commit),
                Merged::Conflicts(conflicts) => panic!("each branch has paths of its own: {conflicts:?}"),
            }
        }
        7..=8 => {
            let Some(new) = BRANCHES.iter().find(|branch| !done.commits.contains_key(*branch)) else {
                return Ok(());
            };
            let at = test.repo.resolve(&name(branch).into()).await?.commit;
            test.repo.branch_create(&author(), &name(new), at).await?;
            done.made(new, at);
        }
        _ => {
            if branch == "main" {
                return Ok(());
            }
            done.in_doubt = Some(branch);
            test.repo.branch_delete(&author(), &name(branch)).await?;
            done.commits.remove(branch);
            done.in_doubt = None;
        }
    }
    Ok(())
}

async fn check(test: &TestRepo, done: &Acknowledged, seed: u64) {
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new(), "seed {seed}");
    for (branch, commits) in &done.commits {
        let head = match test.head(branch).await {
            Err(Error::NoSuchRef { .. }) if done.in_doubt == Some(*branch) => continue,
            head => head.unwrap(),
        };
        let log: Vec<_> = test.repo.log(head).map_ok(|(id, _)| id).try_collect().await.unwrap();
        for commit in commits {
            assert!(log.contains(commit), "seed {seed}: {branch} has lost {commit}");
        }
    }
    for (commit, files) in &done.files {
        assert_eq!(test.files(*commit).await.unwrap(), *files, "seed {seed}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_death() {
    let mut deaths = 0;
    for seed in 0..KILLS {
        let mut random = StdRng::seed_from_u64(seed);
        let store = Arc::new(InMemory::new());
        let (storage, faults) = Faults::storage(store.clone());
        let test = TestRepo::create(storage).await;
        let mut done = Acknowledged::default();
        done.made("main", test.head("main").await.unwrap());
        let side = if seed % 2 == 0 { Side::Before } else { Side::After };
        faults.die_after(random.random_range(0..REQUESTS_MAX), side);
        for round in 0..REQUESTS_MAX {
            if let Err(error) = work(&test, &mut random, &mut done, round).await {
                assert!(faults.is_dead(), "seed {seed}: {error:?}");
                assert_eq!(error.kind(), ErrorKind::Unavailable, "seed {seed}: {error:?}");
                break;
            }
        }
        deaths += u64::from(faults.is_dead());
        let (storage, _) = Faults::storage(store);
        let after = TestRepo::open(storage, test.clock.clone()).await;
        check(&after, &done, seed).await;
        after.write("main", "after", "life goes on").await.unwrap();
    }
    assert!(deaths >= 200, "only {deaths} deaths");
}

fn is_swap(request: &Request) -> bool {
    request.verb == Verb::Put && request.key == "root"
}

#[tokio::test]
async fn the_lost_answer_of_a_swap_is_found_out() {
    for side in [Side::Before, Side::After] {
        let (storage, faults) = Faults::storage(Arc::new(InMemory::new()));
        let test = TestRepo::create(storage).await;
        faults.fail_once(side, is_swap);
        let commit = test.write("main", "a", "1").await.unwrap();
        assert_eq!(test.head("main").await.unwrap(), commit, "{side:?}");
        let log: Vec<_> = test.repo.log(commit).try_collect().await.unwrap();
        assert_eq!(log.len(), 2, "{side:?}: the commit is there once");
        let operations: Vec<_> = test.repo.operations().try_collect().await.unwrap();
        assert_eq!(operations.len(), 2, "{side:?}");

        faults.fail_once(side, is_swap);
        test.repo.tag_create(&author(), &name("v1"), commit).await.unwrap();
        faults.fail_once(side, is_swap);
        test.repo.undo(&author(), None).await.unwrap();
        assert!(test.head("v1").await.is_err(), "{side:?}");
    }
}

/// The swap took effect, its answer was lost, and before we look others have moved the branch on.
#[tokio::test]
async fn a_lost_answer_is_found_below_what_others_did_since() {
    let store = Arc::new(InMemory::new());
    let (storage, faults) = Faults::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let (storage, _) = Faults::storage(store);
    let others = TestRepo::open(storage, test.clock.clone()).await;
    let session = test.session("main").await;
    session.write(&path("mine"), Bytes::from("1")).await.unwrap();
    faults.fail_once(Side::After, is_swap);
    let commit = tokio::spawn(async move { session.commit(info("mine")).await });
    while others.repo.operations().try_collect::<Vec<_>>().await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    // More than the root keeps, so that our operation is in a page by then.
    let head = others.head("main").await.unwrap();
    for number in 0..140 {
        others
            .repo
            .tag_create(&author(), &name(&format!("t{number}")), head)
            .await
            .unwrap();
    }
    assert_eq!(commit.await.unwrap().unwrap(), head);
    assert_eq!(others.head("main").await.unwrap(), head);
    assert_eq!(
        others.repo.operations().try_collect::<Vec<_>>().await.unwrap().len(),
        142
    );
}

#[tokio::test]
async fn an_outcome_that_cannot_be_found_out_is_said() {
    let mut unknown = 0;
    for requests in 0..12 {
        let store = Arc::new(InMemory::new());
        let (storage, faults) = Faults::storage(store.clone());
        let test = TestRepo::create(storage).await;
        let session = test.session("main").await;
        session.write(&path("a"), Bytes::from("1")).await.unwrap();
        faults.die_after(requests, Side::After);
        let outcome = session.commit(info("a")).await;
        let (storage, _) = Faults::storage(store);
        let there = TestRepo::open(storage, test.clock.clone())
            .await
            .files_at("main")
            .await
            .contains_key("a");
        match outcome {
            Ok(_) => assert!(there),
            Err(error @ Error::OutcomeUnknown { .. }) => {
                assert!(there, "the store died after the swap");
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert_eq!(error.cures(), [drumlin_model::Cure::run(drumlin_model::Verb::OpLog)]);
                unknown += 1;
            }
            Err(_) => assert!(!there),
        }
    }
    assert_eq!(unknown, 1);
}

/// A root that retries by itself: it wins, says that it lost to what is there (its own first try), and then cannot be read.
#[derive(Debug)]
struct LyingRoot {
    inner: Arc<dyn RootStore>,
    lies: AtomicBool,
    is_gone: AtomicBool,
}

#[async_trait]
impl RootStore for LyingRoot {
    async fn load(&self) -> drumlin_chunks::Result<Option<(Bytes, RootVersion)>> {
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(drumlin_chunks::Error::Store {
                action: "read",
                key: "root".to_owned(),
                source: object_store::Error::Generic {
                    store: "lying",
                    source: "no answer".into(),
                },
            });
        }
        self.inner.load().await
    }

    async fn swap(&self, expected: Option<&RootVersion>, bytes: Bytes) -> drumlin_chunks::Result<Swap> {
        let answer = self.inner.swap(expected, bytes).await?;
        if !self.lies.swap(false, Ordering::SeqCst) {
            return Ok(answer);
        }
        self.is_gone.store(true, Ordering::SeqCst);
        Ok(Swap::Lost)
    }
}

#[tokio::test]
async fn a_swap_that_is_said_to_be_lost_may_have_won() {
    let mut storage = Storage::memory();
    let root = Arc::new(LyingRoot {
        inner: storage.root.clone(),
        lies: AtomicBool::new(false),
        is_gone: AtomicBool::new(false),
    });
    storage.root = root.clone();
    let test = TestRepo::create(storage).await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    root.lies.store(true, Ordering::SeqCst);
    let error = session.commit(info("a")).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    root.is_gone.store(false, Ordering::SeqCst);
    assert!(test.files_at("main").await.contains_key("a"));
}

/// The first commit of a repository is no exception.
#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_found_out() {
    let (storage, faults) = Faults::storage(Arc::new(InMemory::new()));
    faults.fail_once(Side::After, is_swap);
    let test = TestRepo::create(storage).await;
    assert!(test.head("main").await.is_ok());
}

/// A file is removed while the commit that adds it is at its last request.
#[tokio::test]
async fn a_removal_while_a_commit_runs_is_not_lost() {
    let (storage, faults) = Faults::storage(Arc::new(InMemory::new()));
    let test = TestRepo::create(storage).await;
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("1")).await.unwrap();
    assert!(session.base().entry(&path("a")).await.unwrap().is_none());
    let (remover, first) = (session.clone(), AtomicBool::new(true));
    faults.fail_once(Side::Before, move |request| {
        if is_swap(request) && first.swap(false, Ordering::SeqCst) {
            assert!(futures::executor::block_on(remover.remove(&path("a"))).unwrap());
        }
        false
    });
    session.commit(info("add a")).await.unwrap();
    assert!(test.files_at("main").await.contains_key("a"));
    assert!(session.entry(&path("a")).await.unwrap().is_none());
    session.commit(info("remove a")).await.unwrap();
    assert!(!test.files_at("main").await.contains_key("a"));
}
