//! Memory and disk have limits: what outgrows the first spills, what outgrows both is an error that says so.

use drumlin_model::ErrorKind;
use drumlin_tables::RowFormat;
use drumlin_testkit::TestRepo;

use crate::support::{TestTables, columns, on};

const ROWS: u64 = 800_000;
const UPSERT_ROWS: u64 = 300_000;
/// Less than the rows take, sorted or hashed.
const LIMIT_BYTES: usize = 48 << 20;

fn wide_csv(rows: u64) -> String {
    let rows = (0..rows).map(|row| format!("{},text that takes some room {row}\n", (row * 7919) % 1_000_003));
    format!("id,words\n{}", rows.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_spills_under_a_small_limit() {
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.memory_limit_bytes = LIMIT_BYTES
    });
    tables.create("t", &wide_csv(ROWS), &[]).await;
    let sorted = tables
        .write(
            "SELECT id, words FROM t ORDER BY words DESC, id",
            "main",
            RowFormat::Csv,
        )
        .await
        .unwrap();
    assert_eq!(sorted.iter().filter(|&&byte| byte == b'\n').count() as u64, ROWS + 1);
    let left: Vec<_> = std::fs::read_dir(tables.engine.options().spill_folder.clone())
        .unwrap()
        .collect();
    let files = left
        .iter()
        .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file())
        .count();
    assert_eq!(files, 0, "nothing stays in the spill folder: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_of_many_keys_stays_within_the_limit() {
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.memory_limit_bytes = 32 << 20
    });
    tables.create("t", &wide_csv(UPSERT_ROWS), &["id", "words"]).await;
    let source = tables.file("again.csv", wide_csv(UPSERT_ROWS));
    let options = drumlin_tables::ReadOptions::default();
    let written = tables
        .engine
        .upsert(&on("main"), "t", &source, &options, (&columns(&["id", "words"]), false))
        .await
        .unwrap();
    assert_eq!((written.rows_updated, written.rows_added), (UPSERT_ROWS, 0));
    assert_eq!(
        tables.sql("SELECT count(*) FROM t").await.unwrap(),
        UPSERT_ROWS.to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_that_does_not_fit_changes_nothing() {
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.memory_limit_bytes = 2 << 20;
    });
    tables.create("t", &wide_csv(UPSERT_ROWS), &["id", "words"]).await;
    let head = tables.test.head("main").await.unwrap();
    let error = tables.upsert("t", &wide_csv(UPSERT_ROWS)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", crate::support::line(&error));
    assert!(error.hint().unwrap().contains("--memory"), "{:?}", error.hint());
    assert_eq!(tables.test.head("main").await.unwrap(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_spill_says_what_is_short() {
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.memory_limit_bytes = 2 << 20;
        options.spill_limit_bytes = 1;
    });
    tables.create("t", &wide_csv(ROWS), &[]).await;
    let error = tables
        .sql("SELECT a.words FROM t a JOIN t b ON a.words = b.words ORDER BY 1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", crate::support::line(&error));
}
