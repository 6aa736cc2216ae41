//! Refs as time travel: tables at tags, branches and ancestors, several in one query; merges of branches that both wrote.

use drumlin_chunks::NoProgress;
use drumlin_model::{Cure, ErrorKind};
use drumlin_repo::Merged;
use drumlin_tables::DeleteRows;
use drumlin_testkit::{author, info, name, path};

use crate::support::{TestTables, expr, on};

async fn two_versions() -> TestTables {
    let tables = TestTables::memory().await;
    let first = tables.create("t", "id,v\n1,10\n2,20\n", &["id"]).await.commit.unwrap();
    tables
        .test
        .repo
        .tag_create(&author(), &name("v1"), first)
        .await
        .unwrap();
    tables
        .test
        .repo
        .tag_create(&author(), &name("v1.0"), first)
        .await
        .unwrap();
    tables.append("main", "t", "id,v\n3,30\n").await.unwrap();
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_reads_many_refs() {
    let tables = two_versions().await;
    for (sql, rows) in [
        ("SELECT count(*) FROM t", "3"),
        ("SELECT count(*) FROM t@v1", "2"),
        ("SELECT count(*) FROM T@v1.0", "2"),
        ("SELECT count(*) FROM t@main~1", "2"),
        ("SELECT count(*) FROM t@main~", "2"),
        ("SELECT count(*) FROM \"tables/t\"@v1", "2"),
        ("SELECT count(*) FROM t@\"v1\"", "2"),
        ("SELECT count(*) FROM t@v1-- a comment: t@nowhere", "2"),
        ("SELECT max(t@v1.v) FROM t@v1", "20"),
        (
            "SELECT 'mail@example.com', count(*) /* x@y */ FROM t@v1",
            "mail@example.com,2",
        ),
        (
            "SELECT a.id FROM t@main a LEFT JOIN t@v1 AS b ON a.id = b.id WHERE b.id IS NULL",
            "3",
        ),
        ("SELECT id FROM t@main\n\nEXCEPT\nSELECT id FROM t@v1", "3"),
        ("WITH old AS (SELECT * FROM t@v1) SELECT count(*) FROM old", "2"),
        ("SELECT count(*) FROM t AS \"é\", t@v1", "6"),
    ] {
        assert_eq!(tables.sql(sql).await.unwrap(), rows, "{sql}");
    }
    assert_eq!(tables.sql_at("SELECT count(*) FROM t", "v1").await.unwrap(), "2");
    let head = tables.test.head("main").await.unwrap();
    assert_eq!(
        tables.sql(&format!("SELECT count(*) FROM t@{head}")).await.unwrap(),
        "3"
    );
    assert_eq!(
        tables
            .sql(&format!("SELECT count(*) FROM t@{}", head.short()))
            .await
            .unwrap(),
        "3"
    );

    let query = tables
        .engine
        .query("SELECT * FROM t JOIN t@v1 USING (id)", &expr("main"))
        .await
        .unwrap();
    let reads: Vec<_> = query
        .reads()
        .iter()
        .map(|read| (read.name.as_str(), read.version.as_str(), read.commit))
        .collect();
    let first = tables.snapshot("v1").await.commit();
    assert_eq!(reads, [("t", "1", head), ("t@v1", "0", first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_knows_the_tables_of_its_commit() {
    let tables = two_versions().await;
    let context = tables.engine.context(&tables.snapshot("v1").await).await.unwrap();
    for (sql, rows) in [
        ("SELECT * FROM t", 2),
        ("SELECT * FROM \"tables/t\"", 2),
        ("SELECT * FROM \"t@main\"", 3),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_name = 't'",
            1,
        ),
    ] {
        assert_eq!(context.sql(sql).await.unwrap().count().await.unwrap(), rows, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_apart_until_merged() {
    let tables = two_versions().await;
    let head = tables.test.head("main").await.unwrap();
    tables
        .test
        .repo
        .branch_create(&author(), &name("try"), head)
        .await
        .unwrap();
    tables
        .engine
        .table_delete(&on("try"), &DeleteRows::new("t", "id = 1"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "3");
    assert_eq!(tables.sql("SELECT count(*) FROM t@try").await.unwrap(), "2");
    let tried = tables.test.head("try").await.unwrap();
    tables.test.write("main", "other.txt", "x").await.unwrap();
    let merged = tables
        .test
        .repo
        .merge(&name("main"), tried, info("merge"))
        .await
        .unwrap();
    assert!(matches!(merged, Merged::Committed(_)), "{merged:?}");
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "2");
    let changes = tables
        .engine
        .table_history(&tables.snapshot("main").await, "t", 10)
        .await
        .unwrap();
    assert_eq!(
        changes.len(),
        3,
        "the merge changed nothing that the branch had not: {changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_branches_that_both_append_conflict() {
    let tables = two_versions().await;
    let head = tables.test.head("main").await.unwrap();
    tables
        .test
        .repo
        .branch_create(&author(), &name("try"), head)
        .await
        .unwrap();
    tables.append("main", "t", "id,v\n4,40\n").await.unwrap();
    tables.append("try", "t", "id,v\n5,50\n").await.unwrap();
    let (main, tried) = (
        tables.test.head("main").await.unwrap(),
        tables.test.head("try").await.unwrap(),
    );
    let merged = tables
        .test
        .repo
        .merge(&name("main"), tried, info("merge"))
        .await
        .unwrap();
    let Merged::Conflicts(conflicts) = merged else {
        panic!("{merged:?}")
    };
    let paths: Vec<_> = conflicts.iter().map(|conflict| conflict.path.clone()).collect();
    let entry = "tables/t/_delta_log/00000000000000000002";
    assert_eq!(
        paths,
        [
            path(&format!("{entry}.checkpoint.parquet")),
            path(&format!("{entry}.json"))
        ]
    );
    assert_eq!(tables.test.head("main").await.unwrap(), main);
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said() {
    let tables = two_versions().await;
    tables.create("flights", "id\n1\n", &[]).await;
    let error = tables.sql("SELECT * FROM flihgts@v1").await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("there is no table \"flihgts\" at commit "),
        "{error}"
    );
    assert_eq!(
        (error.kind(), error.cures()),
        (ErrorKind::NotFound, vec![Cure::choose("table", ["t"])])
    );
    let error = tables.sql("SELECT * FROM flihgts").await.unwrap_err();
    assert_eq!(error.cures(), [Cure::did_you_mean("flights")]);
    let error = tables.sql("SELECT * FROM t@nowhere").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nowhere"), "{error}");
    let error = tables.sql("SELECT * FROM \"raw/none.csv\"@v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = tables.sql("SELECT vv FROM t@v1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot understand the query: there is no column \"vv\""
    );
    assert_eq!(error.cures(), [Cure::did_you_mean("v")]);
}
