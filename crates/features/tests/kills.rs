//! Killed at any moment: a commit of definitions or of a training set is there whole or not at all, and the online store
//! always holds what some commit said.

use std::{
    future::{Future, poll_fn},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use drumlin_features::{
    apply::{self, Scope},
    training,
};
use drumlin_testkit::{Faults, Side, TestRepo, name};
use object_store::memory::InMemory;

use crate::support::{DEFINITIONS, FLIGHTS, Fixture, Kind, WEATHER, by, files};

/// More requests than an apply or a set makes.
const REQUESTS_MAX: u64 = 60;

#[tokio::test]
async fn apply_is_whole_or_nothing_wherever_the_store_dies() {
    let changed = DEFINITIONS.replace("max_age: 3h", "max_age: 6h");
    let (mut died, mut done) = (0, 0);
    for after in 0..REQUESTS_MAX {
        let inner: Arc<InMemory> = Arc::default();
        let whole = prepared(inner.clone()).await;
        let before = whole.snapshot("main").await.commit();
        let (storage, faults) = Faults::storage(inner.clone());
        let fixture = Fixture::over(TestRepo::open(storage, whole.test.clock.clone()).await);
        faults.die_after(after, if after % 2 == 0 { Side::Before } else { Side::After });
        let planned = apply::plan(&fixture.engine, &name("main"), &files(&changed), Scope::Whole).await;
        let committed = match planned {
            Ok(plan) => plan.commit(by(), None).await.ok(),
            Err(_) => None,
        };
        let again = Fixture::over(whole.test.reopen().await);
        let head = again.snapshot("main").await;
        let text = again.test.files(head.commit()).await.unwrap()["features/all.yaml"].clone();
        match committed {
            Some(commit) => assert_eq!(head.commit(), commit, "what was acknowledged is there (after {after})"),
            None => assert!(head.commit() == before || text == changed.as_bytes(), "after {after}"),
        }
        assert!(
            text == DEFINITIONS.as_bytes() || text == changed.as_bytes(),
            "after {after}"
        );
        assert_eq!(
            again.test.problems().await.unwrap(),
            Vec::<String>::new(),
            "after {after}"
        );
        if faults.is_dead() { died += 1 } else { done += 1 }
    }
    assert!(died >= 10 && done >= 1, "{died} died, {done} did not");
}

#[tokio::test]
async fn a_training_set_is_whole_or_nothing_wherever_the_store_dies() {
    let (mut died, mut done) = (0, 0);
    for after in 0..REQUESTS_MAX {
        let inner: Arc<InMemory> = Arc::default();
        let whole = prepared(inner.clone()).await;
        let (storage, faults) = Faults::storage(inner.clone());
        let fixture = Fixture::over(TestRepo::open(storage, whole.test.clock.clone()).await);
        let create = fixture.request_set("main", "set").await;
        faults.die_after(after, if after % 2 == 0 { Side::Before } else { Side::After });
        let created = fixture.train("main", create).await;
        let again = Fixture::over(whole.test.reopen().await);
        let head = again.snapshot("main").await;
        let sets = training::list(&head).await.unwrap();
        if let Ok(created) = &created {
            assert_eq!(sets, std::slice::from_ref(&created.set), "after {after}");
        }
        for set in sets {
            assert!(again.rebuild(&head, &set.name).await.equal, "after {after}");
        }
        assert_eq!(
            again.test.problems().await.unwrap(),
            Vec::<String>::new(),
            "after {after}"
        );
        if faults.is_dead() { died += 1 } else { done += 1 }
    }
    assert!(died >= 10 && done >= 1, "{died} died, {done} did not");
}

/// Runs a future until it has been polled so often; none when it had not ended by then, and was dropped.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_training_set_that_is_cancelled_at_any_moment_is_whole_or_nothing_and_leaves_no_scratch_file() {
    let fixture = Fixture::flights().await;
    let spill = fixture.engine.options().spill_folder.clone();
    let mut cancelled = 0;
    loop {
        let create = fixture.request_set("main", "set").await;
        if polled(fixture.train("main", create), cancelled).await.is_some() {
            break;
        }
        cancelled += 1;
        let head = fixture.snapshot("main").await;
        for set in training::list(&head).await.unwrap() {
            assert!(fixture.rebuild(&head, &set.name).await.equal, "after {cancelled} polls");
        }
        let left = files_below(&spill);
        assert!(left.is_empty(), "after {cancelled} polls: {left:?}");
    }
    assert!(cancelled >= 10, "cancelled {cancelled} times");
    let head = fixture.snapshot("main").await;
    assert!(fixture.rebuild(&head, "set").await.equal);
    assert_eq!(fixture.test.problems().await.unwrap(), Vec::<String>::new());
}

/// Files in a folder and in the folders of it; the engine keeps an empty one there.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}

async fn prepared(inner: Arc<InMemory>) -> Fixture {
    let (storage, _) = Faults::storage(inner);
    let fixture = Fixture::over(TestRepo::create(storage).await);
    fixture.table("weather", WEATHER).await;
    fixture.table("flights", FLIGHTS).await;
    fixture.apply("main", DEFINITIONS).await;
    fixture
}

/// The source dies under a materialize; the store goes on from what it had, and the next run completes it.
#[tokio::test]
async fn a_killed_materialize_leaves_a_store_that_some_commit_said() {
    let now = "2030-01-01T00:00:00Z";
    let text = DEFINITIONS.replace("max_age: 3h\n", "");
    let (mut died, mut done) = (0, 0);
    for after in 0..40 {
        let inner: Arc<InMemory> = Arc::default();
        let whole = prepared(inner.clone()).await;
        whole.apply("main", &text).await;
        let store = whole.store(Kind::Lmdb);
        whole.materialize(&store, "main", now).await;
        whole
            .append(
                "main",
                "weather",
                "origin,temp,wind,time_hour\nEWR,1.0,1.0,2020-01-01T06:30:00Z\n",
            )
            .await;
        if after % 2 == 0 {
            whole
                .overwrite(
                    "main",
                    "weather",
                    "origin,temp,wind,time_hour\nEWR,1.0,1.0,2020-01-01T06:30:00Z\n",
                )
                .await;
        }
        let (storage, faults) = Faults::storage(inner.clone());
        let fixture = Fixture::over(TestRepo::open(storage, whole.test.clock.clone()).await);
        let head = fixture.snapshot("main").await;
        faults.die_after(after / 2, Side::Before);
        let killed = fixture.materialize_at(&store, &head, &Default::default(), now).await;
        let commit = store.view("weather_hourly").unwrap().watermark.commit;
        assert_eq!(killed.is_ok(), commit == head.commit(), "after {after}");
        let report = whole.verify(&store, now).await.unwrap();
        assert!(report[0].is_identical(), "after {after}: {report:?}");
        whole.materialize(&store, "main", now).await;
        assert_eq!(whole.get(&store, "weather_hourly", &["EWR"], now)["temp"], 1.0);
        if killed.is_err() { died += 1 } else { done += 1 }
    }
    assert!(died >= 10 && done >= 1, "{died} died, {done} did not");
}
