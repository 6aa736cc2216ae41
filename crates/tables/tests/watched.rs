//! Long verbs say how far they are, open what they need once, and can be dropped at any point.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use drumlin_chunks::{NoProgress, Progress, Unit};
use drumlin_tables::{DeleteRows, ReadOptions, RowFormat, Written, write_rows};
use tokio::sync::Notify;
use tracing::span;

use crate::support::{TestTables, appending, creating, expr, on, overwriting, upserting};

const ROWS: u64 = 60_000;

fn csv(rows: u64) -> String {
    let rows: String = (0..rows).map(|row| format!("{row},{}\n", row % 7)).collect();
    format!("id,v\n{rows}")
}

/// What was said of each task: its name, its total, what was done of it, and whether it is over.
#[derive(Default)]
struct Said {
    tasks: Mutex<Vec<(String, Option<u64>, u64, bool)>>,
    begun: Notify,
}

impl Progress for Said {
    fn start(&self, task: &str, total: Option<u64>, unit: Unit) {
        assert_eq!(unit, Unit::Rows);
        let mut tasks = self.tasks.lock().unwrap();
        assert!(tasks.last().is_none_or(|task| task.3), "one task at a time: {tasks:?}");
        tasks.push((task.to_owned(), total, 0, false));
    }
    fn advance(&self, by: u64) {
        self.tasks.lock().unwrap().last_mut().unwrap().2 += by;
        self.begun.notify_one();
    }
    fn finish(&self) {
        self.tasks.lock().unwrap().last_mut().unwrap().3 = true;
    }
}

impl Said {
    fn take(&self) -> Vec<(String, Option<u64>, u64)> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        let over = tasks.into_iter().inspect(|task| assert!(task.3, "{task:?}"));
        over.map(|(task, total, done, _)| (task, total, done)).collect()
    }
}

fn task(name: &str, total: Option<u64>, done: u64) -> (String, Option<u64>, u64) {
    (name.to_owned(), total, done)
}

#[tokio::test(flavor = "multi_thread")]
async fn long_verbs_say_how_many_rows_are_done() {
    let (tables, said, options) = (TestTables::memory().await, Said::default(), ReadOptions::default());
    let engine = &tables.engine;
    let source = tables.file("in.csv", csv(ROWS));
    let request = creating("t", &source, &options, &["id".to_owned()]);
    engine.table_create(&on("main"), &request, &said).await.unwrap();
    assert_eq!(said.take(), [task("write", None, ROWS)]);

    let query = engine
        .query("SELECT id + 60000 AS id, v FROM t LIMIT 10", &expr("main"))
        .await
        .unwrap();
    let mut parquet = Vec::new();
    let rows = query.stream().await.unwrap();
    write_rows(engine, rows, RowFormat::Parquet, &mut parquet, &said)
        .await
        .unwrap();
    assert_eq!(said.take(), [task("query", None, 10)]);
    let first = tables.snapshot("main").await;
    let more = tables.file("more.parquet", parquet);
    engine
        .table_append(&on("main"), &appending("t", &more, &options, false), &said)
        .await
        .unwrap();
    assert_eq!(said.take(), [task("write", Some(10), 10)]);

    let some = tables.file("some.csv", csv(3));
    engine
        .table_upsert(&on("main"), &upserting("t", &some, &options, &[], false), &said)
        .await
        .unwrap();
    let done = said.take();
    let (read, write) = (task("read", None, 3), task("write", Some(3), 3));
    let rewrite = task("rewrite", Some(ROWS), ROWS);
    assert_eq!((&done[0], &done[2], &done[3]), (&read, &rewrite, &write));
    assert_eq!((done[1].0.as_str(), done[1].2), ("find the rows", ROWS));

    let request = DeleteRows::new("t", "v = 1");
    engine.table_delete(&on("main"), &request, &said).await.unwrap();
    let tasks: Vec<_> = said.take().into_iter().map(|task| task.0).collect();
    assert_eq!(tasks, ["find the rows", "rewrite"]);

    let (second, path) = (tables.snapshot("main").await, drumlin_testkit::path("tables/t"));
    engine.table_diff(&first, &second, &path, &said).await.unwrap();
    assert_eq!(said.take()[0].0, "compare");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_is_dropped_changes_nothing() {
    let (tables, options) = (TestTables::memory().await, ReadOptions::default());
    let source = tables.file("in.csv", csv(ROWS));
    let create = creating("t", &source, &options, &["id".to_owned()]);
    tables
        .engine
        .table_create(&on("main"), &create, &NoProgress)
        .await
        .unwrap();
    let head = tables.test.head("main").await.unwrap();
    let before = tables.sql("SELECT count(*), sum(v) FROM t").await.unwrap();

    let (on, said) = (on("main"), Said::default());
    let another = creating("u", &source, &options, &[]);
    let append = appending("t", &source, &options, false);
    let overwrite = overwriting("t", &source, &options);
    let upsert = upserting("t", &source, &options, &[], false);
    let delete = DeleteRows::new("t", "v = 1");
    dropped(&said, tables.engine.table_create(&on, &another, &said)).await;
    dropped(&said, tables.engine.table_append(&on, &append, &said)).await;
    dropped(&said, tables.engine.table_overwrite(&on, &overwrite, &said)).await;
    dropped(&said, tables.engine.table_upsert(&on, &upsert, &said)).await;
    dropped(&said, tables.engine.table_delete(&on, &delete, &said)).await;

    assert_eq!(tables.test.head("main").await.unwrap(), head);
    assert_eq!(tables.sql("SELECT count(*), sum(v) FROM t").await.unwrap(), before);
    tables.assert_sound().await;
    // And the same engine does the same, whole, when nobody drops it.
    assert_eq!(
        tables
            .engine
            .table_delete(&on, &delete, &NoProgress)
            .await
            .unwrap()
            .rows_deleted,
        8_572
    );
}

/// Polls a verb until it has done some of its rows, then drops it.
async fn dropped(said: &Said, verb: impl Future<Output = Result<Written, drumlin_tables::Error>>) {
    {
        // What an earlier verb said last must not count for this one.
        let mut stale = std::pin::pin!(said.begun.notified());
        stale.as_mut().enable();
    }
    tokio::select! {
        biased;
        () = said.begun.notified() => {}
        done = verb => panic!("it was over before it could be dropped: {done:?}"),
    }
    assert!(!said.take().is_empty(), "the task that was dropped is over, too");
}

/// Counts the spans of one name; all others are not asked for.
struct Spans {
    name: &'static str,
    seen: Arc<AtomicUsize>,
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == self.name
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        self.seen.fetch_add(1, Ordering::Relaxed);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

// On one thread, since who listens to spans is said thread by thread.
#[tokio::test]
async fn each_write_loads_the_log_once() {
    let (tables, options) = (TestTables::memory().await, ReadOptions::default());
    let (on, source) = (on("main"), tables.file("in.csv", csv(10)));
    let seen = Arc::new(AtomicUsize::new(0));
    let name = "load_log";
    let _listening = tracing::subscriber::set_default(Spans {
        name,
        seen: seen.clone(),
    });
    let once = |verb: &str, done: Result<Written, drumlin_tables::Error>| {
        assert!(done.unwrap().commit.is_some(), "{verb}");
        assert_eq!(seen.swap(0, Ordering::Relaxed), 1, "{verb}");
    };
    let engine = &tables.engine;
    let create = creating("t", &source, &options, &["id".to_owned()]);
    once("create", engine.table_create(&on, &create, &NoProgress).await);
    let append = appending("t", &source, &options, false);
    once("append", engine.table_append(&on, &append, &NoProgress).await);
    let overwrite = overwriting("t", &source, &options);
    once("overwrite", engine.table_overwrite(&on, &overwrite, &NoProgress).await);
    let upsert = upserting("t", &source, &options, &[], false);
    once("upsert", engine.table_upsert(&on, &upsert, &NoProgress).await);
    let delete = DeleteRows::new("t", "id = 1");
    once("delete", engine.table_delete(&on, &delete, &NoProgress).await);
    let snapshot = tables.snapshot("main").await;
    engine.table_delete_plan(&snapshot, &delete, &NoProgress).await.unwrap();
    engine.table_show(&snapshot, "t").await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}
