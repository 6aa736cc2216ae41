//! What the plan of a delete promises the delete does, and what the delete refuses the plan refuses.

use drumlin_chunks::NoProgress;
use drumlin_model::ErrorKind;
use drumlin_tables::{DeletePlan, DeleteRows, Error};
use proptest::prelude::*;

use crate::support::{TestTables, line, on};

async fn table() -> TestTables {
    let tables = TestTables::memory().await;
    let first = "k,at,v,name\n1,2024-01-01T00:00:00Z,10,one\n2,2024-01-01T00:00:00Z,20,two\n";
    tables.create("t", first, &[]).await;
    let more = "k,at,v,name\n3,2024-02-01T00:00:00Z,,three\n4,2024-03-01T00:00:00Z,0,\n";
    tables.append("main", "t", more).await.unwrap();
    tables
}

async fn plan(tables: &TestTables, condition: &str) -> Result<DeletePlan, Error> {
    let (request, snapshot) = (DeleteRows::new("t", condition), tables.snapshot("main").await);
    tables.engine.table_delete_plan(&snapshot, &request, &NoProgress).await
}

/// Asks for the plan, then for the delete. Gives the rows that went; none when both refuse, with one voice.
async fn agreed(condition: &str) -> Option<u64> {
    let tables = table().await;
    let head = tables.test.head("main").await.unwrap();
    let planned = plan(&tables, condition).await;
    assert_eq!(
        tables.test.head("main").await.unwrap(),
        head,
        "{condition}: a plan changes nothing"
    );
    let request = DeleteRows::new("t", condition);
    let done = tables.engine.table_delete(&on("main"), &request, &NoProgress).await;
    match (planned, done) {
        (Ok(planned), Ok(done)) => {
            assert_eq!(planned.rows, done.rows_deleted, "{condition}");
            assert_eq!(planned.rows == 0, done.commit.is_none(), "{condition}");
            assert_eq!(
                (planned.files_rewritten == 0, planned.version),
                (planned.rows == 0, 1),
                "{condition}"
            );
            let left = tables.sql("SELECT count(*) FROM t").await.unwrap();
            assert_eq!(left, (4 - planned.rows).to_string(), "{condition}");
            Some(planned.rows)
        }
        (Err(planned), Err(done)) => {
            assert_eq!(
                (line(&planned), planned.kind()),
                (line(&done), done.kind()),
                "{condition}"
            );
            assert_eq!(tables.test.head("main").await.unwrap(), head, "{condition}");
            None
        }
        (planned, done) => panic!("{condition}: the plan says {planned:?}, the delete {done:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_condition_is_refused_by_both() {
    for condition in [
        "k = 99 GROUP BY k",
        "k = 1 LIMIT 0",
        "k = 1 HAVING count(*) > 5",
        "k = 1 UNION ALL SELECT 77",
        "k = 1 ORDER BY k",
        "k = 1; DROP TABLE t",
        "k = 1)",
        "random() < 2",
        "v + random() > 3",
        "k IN (SELECT k FROM t)",
        "count(*) > 1",
        "no_such_column = 1",
        "k",
        "k +",
        "",
        "1 / (k - 1) > 0",
    ] {
        assert_eq!(agreed(condition).await, None, "{condition}");
    }
    let error = plan(&table().await, "random() < 2").await.unwrap_err();
    assert_eq!(
        (line(&error).as_str(), error.kind()),
        (
            "cannot understand the query: a predicate must give the same answer each time",
            ErrorKind::InvalidInput
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_what_goes_and_what_is_rewritten() {
    for (condition, rows) in [
        ("true", 4),
        ("false", 0),
        ("NULL", 0),
        ("k = 1", 1),
        ("v > 5", 2),
        ("NOT v > 5", 1),
        ("v IS NULL OR name IS NULL", 2),
        ("at < now()", 4),
        ("name = 'x'' OR 1=1'", 0),
        ("k IN (1, 3) AND at >= '2024-01-15'", 1),
        ("\"k\" = 2 -- the second", 1),
    ] {
        assert_eq!(agreed(condition).await, Some(rows), "{condition}");
    }
    let tables = table().await;
    let one = plan(&tables, "k = 1").await.unwrap();
    let all = plan(&tables, "true").await.unwrap();
    let sizes = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap();
    assert_eq!((one.files_rewritten, all.files_rewritten), (1, 2));
    assert!(one.bytes_rewritten < all.bytes_rewritten);
    assert_eq!((all.bytes_rewritten, all.commit), (sizes.bytes, sizes.commit));
    let (absent, snapshot) = (DeleteRows::new("tt", "true"), tables.snapshot("main").await);
    let error = tables
        .engine
        .table_delete_plan(&snapshot, &absent, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Conditions of every shape that a person types, right and wrong.
fn condition() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("k"),
        Just("v"),
        Just("name"),
        Just("at"),
        Just("1"),
        Just("20"),
        Just("'two'"),
        Just("NULL"),
        Just("now()"),
        Just("random()"),
        Just("nope"),
        Just("count(*)")
    ];
    let joint = prop_oneof![
        Just("="),
        Just("<"),
        Just("<>"),
        Just("+"),
        Just("IS DISTINCT FROM"),
        Just("LIKE"),
        Just("AND"),
        Just("OR"),
        Just("GROUP BY"),
        Just("UNION SELECT"),
        Just("LIMIT"),
        Just(";")
    ];
    let whole = (word.clone(), prop::collection::vec((joint, word), 0..4));
    whole.prop_map(|(first, rest)| {
        rest.iter()
            .fold(first.to_owned(), |text, (joint, word)| format!("{text} {joint} {word}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_and_its_delete_are_of_one_mind(condition in condition()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(agreed(&condition));
    }
}
