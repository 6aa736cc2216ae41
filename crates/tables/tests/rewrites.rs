//! Rewrites by names and folders that need quoting, and comparisons of rows without a key.

use drumlin_chunks::NoProgress;
use drumlin_tables::DeleteRows;
use drumlin_testkit::TestRepo;

use crate::support::{TestTables, creating, on, overwriting, upserting};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_any_name_is_rewritten() {
    let tables = TestTables::memory().await;
    tables.create("flüge-süd", "id,v\n1,1\n2,2\n", &["id"]).await;
    let done = tables.upsert("flüge-süd", "id,v\n2,20\n").await.unwrap();
    assert_eq!((done.rows_updated, done.rows_added), (1, 0));
    let done = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("flüge-süd", "id = 1"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(done.rows_deleted, 1);
    assert_eq!(tables.sql("SELECT * FROM \"flüge-süd\"").await.unwrap(), "2,20");
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
        .table_delete(
            &on("main"),
            &DeleteRows::new("t", "id % 2 = date_part('microsecond', now()) % 2"),
            &NoProgress,
        )
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
    let diff = tables
        .engine
        .table_diff(&first, &second, &path, &NoProgress)
        .await
        .unwrap();
    assert_eq!((diff.added, diff.removed), (2, 0));
    let source = tables.file("other.csv", "x\n1\n");
    let options = drumlin_tables::ReadOptions::default();
    tables
        .engine
        .table_overwrite(&on("main"), &overwriting("t", &source, &options), &NoProgress)
        .await
        .unwrap();
    let third = tables.snapshot("main").await;
    let diff = tables
        .engine
        .table_diff(&second, &third, &path, &NoProgress)
        .await
        .unwrap();
    assert_eq!((diff.added, diff.removed), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_passed_over_only_where_no_key_can_be() {
    // Keys that differ only where bounds in a log may have been cut: late in a long text, and within a millisecond. What
    // starts with the last character of all has no greater text to be cut to.
    for (table, start) in [("plain", "x".repeat(300)), ("last", "\u{10FFFF}".repeat(40))] {
        let tables = TestTables::memory().await;
        let row = |n: u32, v: u32| format!("{start}é{n:03},2024-01-01T00:00:00.000{n:03}Z,{v}\n");
        let rows = |numbers: std::ops::Range<u32>, v: u32| numbers.map(|n| row(n, v)).collect::<String>();
        let head = "name,at,v\n";
        let first = format!("{head}{}", rows(0..10, 0));
        tables.create(table, &first, &["name", "at"]).await;
        for start in [10, 20] {
            let more = format!("{head}{}", rows(start..start + 10, 0));
            tables.append("main", table, &more).await.unwrap();
        }
        for (numbers, new) in [(9..11, 0), (29..31, 1), (0..1, 0), (19..20, 0), (40..41, 1)] {
            let count = u64::from(numbers.end - numbers.start);
            let again = format!("{head}{}", rows(numbers.clone(), 1));
            let done = tables.upsert(table, &again).await.unwrap();
            assert_eq!(
                (done.rows_updated, done.rows_added),
                (count - new, new),
                "{table} {numbers:?}"
            );
        }
        let sums = format!("SELECT count(*), sum(v) FROM {table}");
        assert_eq!(tables.sql(&sums).await.unwrap(), "32,7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_stays_so_and_zeros_are_one_key() {
    let tables = TestTables::memory().await;
    tables.create("t", "k,x\n1,0.5\n", &["k"]).await;
    tables.upsert("t", "k,x\n4,1.5\n5,NaN\n").await.unwrap();
    assert_eq!(
        tables.sql("SELECT k, x FROM t ORDER BY k").await.unwrap(),
        "1,0.5 ; 4,1.5 ; 5,NaN"
    );
    tables.create("f", "k,v\n-0.0,1\nNaN,2\n1.5,3\n", &["k"]).await;
    let done = tables.upsert("f", "k,v\n0.0,10\nNaN,20\n2.5,40\n").await.unwrap();
    assert_eq!((done.rows_updated, done.rows_added), (2, 1));
    assert_eq!(
        tables.sql("SELECT v FROM f ORDER BY v").await.unwrap(),
        "3 ; 10 ; 20 ; 40"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_several_rows_is_replaced_by_one_and_the_counts_say_so() {
    let tables = TestTables::memory().await;
    tables.create("t", "k,v\na,1\nb,4\n", &["k"]).await;
    tables.append("main", "t", "k,v\na,2\n").await.unwrap();
    tables.append("main", "t", "k,v\na,3\n").await.unwrap();
    let error = tables.append("main", "t", "k,v\nc,1\nd,2\nc,3\n").await.unwrap_err();
    let line = crate::support::line(&error);
    assert!(line.contains("rows 1 and 3 have the same key (k)"), "{line}");
    let done = tables.upsert("t", "k,v\na,9\nc,5\n").await.unwrap();
    assert_eq!((done.rows_added, done.rows_updated, done.rows_deleted), (1, 1, 2));
    assert_eq!(
        tables.sql("SELECT k, v FROM t ORDER BY k").await.unwrap(),
        "a,9 ; b,4 ; c,5"
    );
    let error = tables.upsert("t", "k\na\n").await.unwrap_err();
    let line = crate::support::line(&error);
    assert!(line.contains("it lacks v, and an upsert replaces whole rows"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_a_list() {
    let tables = TestTables::memory().await;
    let options = drumlin_tables::ReadOptions::default();
    let source = tables.file("a.jsonl", "{\"k\": [1, 2], \"v\": 1}\n{\"k\": [3], \"v\": 2}\n");
    let key = ["k".to_owned()];
    tables
        .engine
        .table_create(&on("main"), &creating("t", &source, &options, &key), &NoProgress)
        .await
        .unwrap();
    let source = tables.file("b.jsonl", "{\"k\": [3], \"v\": 20}\n{\"k\": [4], \"v\": 3}\n");
    let done = tables
        .engine
        .table_upsert(
            &on("main"),
            &upserting("t", &source, &options, &key, false),
            &NoProgress,
        )
        .await
        .unwrap();
    assert_eq!((done.rows_updated, done.rows_added), (1, 1));
}
