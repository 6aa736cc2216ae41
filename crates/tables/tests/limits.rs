//! Memory and disk have limits: what outgrows the first spills, what outgrows both is an error that says so.

use drumlin_model::{Cure, ErrorKind};
use drumlin_tables::RowFormat;
use drumlin_testkit::TestRepo;

use crate::support::TestTables;

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

/// Tables whose keys take several parts of this much memory.
async fn tight(memory_limit_bytes: usize, rows: u64) -> TestTables {
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.memory_limit_bytes = memory_limit_bytes;
    });
    tables.create("t", &wide_csv(rows), &["id", "words"]).await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_of_more_keys_than_fit_takes_several_passes() {
    let tables = tight(4 << 20, UPSERT_ROWS).await;
    // Every second row is there already; some files hold rows of every part.
    let rows = (0..UPSERT_ROWS).map(|row| {
        let (id, old) = ((row * 7919) % 1_000_003, row % 2 == 0);
        format!(
            "{id},text that takes some room {row}{}\n",
            if old { "" } else { " and is new" }
        )
    });
    let written = tables
        .upsert("t", &format!("id,words\n{}", rows.collect::<String>()))
        .await
        .unwrap();
    assert_eq!(
        (written.rows_updated, written.rows_added),
        (UPSERT_ROWS / 2, UPSERT_ROWS / 2)
    );
    let all = UPSERT_ROWS + UPSERT_ROWS / 2;
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), all.to_string());
    let old = tables.sql("SELECT count(*) FROM t WHERE words NOT LIKE '%new'").await;
    assert_eq!(old.unwrap(), UPSERT_ROWS.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_there_twice_is_found_in_every_pass() {
    let tables = tight(4 << 20, UPSERT_ROWS).await;
    let again = format!("{}7919,text that takes some room 1\n", wide_csv(UPSERT_ROWS));
    let error = tables.upsert("t", &again).await.unwrap_err();
    let line = crate::support::line(&error);
    let key = "(id = 7919, words = text that takes some room 1)";
    assert!(
        line.contains(&format!("rows 2 and {} have the same key {key}", UPSERT_ROWS + 1)),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_that_would_take_too_many_passes_changes_nothing() {
    let tables = tight(64 << 10, 100).await;
    let head = tables.test.head("main").await.unwrap();
    let error = tables.upsert("t", &wide_csv(UPSERT_ROWS)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", crate::support::line(&error));
    let cures = error.cures();
    let more = |cure: &Cure| matches!(cure, Cure::Give { argument: "memory", value } if value.ends_with("MB"));
    assert!(cures.iter().any(more), "{cures:?}");
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
