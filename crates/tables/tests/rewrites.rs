//! Rewrites by names and folders that need quoting, and comparisons of rows without a key.

use drumlin_testkit::TestRepo;

use crate::support::{TestTables, on};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_any_name_is_rewritten() {
    let tables = TestTables::memory().await;
    tables.create("flüge/süd", "id,v\n1,1\n2,2\n", &["id"]).await;
    let done = tables.upsert("flüge/süd", "id,v\n2,20\n").await.unwrap();
    assert_eq!((done.rows_updated, done.rows_added), (1, 0));
    let done = tables.engine.delete(&on("main"), "flüge/süd", "id = 1").await.unwrap();
    assert_eq!(done.rows_deleted, 1);
    assert_eq!(tables.sql("SELECT * FROM \"flüge/süd\"").await.unwrap(), "2,20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spill_folder_may_hold_brackets() {
    let folder = tempfile::Builder::new().prefix("a[1]*?").tempdir().unwrap();
    let tables = TestTables::of(TestRepo::memory().await, |options| {
        options.spill_folder = folder.path().join("spill [x]");
    });
    tables.create("t", "id,v\n1,1\n2,2\n", &["id"]).await;
    tables.upsert("t", "id,v\n2,20\n").await.unwrap();
    assert_eq!(tables.sql("SELECT v FROM t ORDER BY id").await.unwrap(), "1 ; 20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_reads_the_clock_once() {
    let tables = TestTables::memory().await;
    let rows: String = (0..20_000).map(|row| format!("{row}\n")).collect();
    tables.create("t", &format!("id\n{rows}"), &[]).await;
    let done = tables
        .engine
        .delete(&on("main"), "t", "id % 2 = date_part('microsecond', now()) % 2")
        .await;
    assert_eq!(done.unwrap().rows_deleted, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_key_are_compared_whatever_their_columns() {
    let tables = TestTables::memory().await;
    tables.create("t", "d,n\n7,1\n8,1\n", &[]).await;
    let first = tables.snapshot("main").await;
    tables.append("main", "t", "d,n\n9,1\n9,2\n").await.unwrap();
    let second = tables.snapshot("main").await;
    let path = drumlin_testkit::path("tables/t");
    let diff = tables.engine.diff(&first, &second, &path).await.unwrap();
    assert_eq!((diff.added, diff.removed), (2, 0));
    let source = tables.file("other.csv", "x\n1\n");
    let options = drumlin_tables::ReadOptions::default();
    tables
        .engine
        .overwrite(&on("main"), "t", &source, &options)
        .await
        .unwrap();
    let third = tables.snapshot("main").await;
    let diff = tables.engine.diff(&second, &third, &path).await.unwrap();
    assert_eq!((diff.added, diff.removed), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_passed_over_only_where_no_key_can_be() {
    let tables = TestTables::memory().await;
    // Keys that differ only where bounds in a log may have been cut: late in a long text, and within a millisecond.
    let row = |n: u32, v: u32| format!("{}é{n:03},2024-01-01T00:00:00.000{n:03}Z,{v}\n", "x".repeat(300));
    let rows = |numbers: std::ops::Range<u32>, v: u32| numbers.map(|n| row(n, v)).collect::<String>();
    let head = "name,at,v\n";
    tables
        .create("t", &format!("{head}{}", rows(0..10, 0)), &["name", "at"])
        .await;
    for start in [10, 20] {
        let more = format!("{head}{}", rows(start..start + 10, 0));
        tables.append("main", "t", &more).await.unwrap();
    }
    for (numbers, new) in [(9..11, 0), (29..31, 1), (0..1, 0), (19..20, 0), (40..41, 1)] {
        let count = u64::from(numbers.end - numbers.start);
        let done = tables
            .upsert("t", &format!("{head}{}", rows(numbers.clone(), 1)))
            .await
            .unwrap();
        assert_eq!((done.rows_updated, done.rows_added), (count - new, new), "{numbers:?}");
    }
    assert_eq!(tables.sql("SELECT count(*), sum(v) FROM t").await.unwrap(), "32,7");
}
