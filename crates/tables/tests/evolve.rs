//! Schemas over time: what fits, what is added when asked, and what is refused.

use drumlin_chunks::NoProgress;
use drumlin_model::{Cure, ErrorKind};
use drumlin_tables::{ColumnType, ReadOptions, RowFormat, type_name};

use crate::support::{TestTables, appending, on, upserting};

#[tokio::test(flavor = "multi_thread")]
async fn new_columns_come_when_asked_for() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,name\n1,one\n", &["id"]).await;
    let wider = tables.file("wider.csv", "id,name,score\n2,two,0.5\n");
    let options = ReadOptions::default();
    let error = tables
        .engine
        .table_append(&on("main"), &appending("t", &wider, &options, false), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "wider.csv does not fit table tables/t: the table has no column score"
    );
    assert_eq!(error.cures(), [Cure::give("evolve", "true")]);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let before = tables.snapshot("main").await;

    tables
        .engine
        .table_append(&on("main"), &appending("t", &wider, &options, true), &NoProgress)
        .await
        .unwrap();
    tables.append("main", "t", "name,id\nthree,3\n").await.unwrap();
    assert_eq!(
        tables.sql("SELECT * FROM t ORDER BY id").await.unwrap(),
        "1,one, ; 2,two,0.5 ; 3,three,"
    );
    let upsert = tables.file("upsert.csv", "id,name,score,flag\n1,,,true\n9,,,false\n");
    tables
        .engine
        .table_upsert(&on("main"), &upserting("t", &upsert, &options, &[], true), &NoProgress)
        .await
        .unwrap();
    let rows = tables.sql("SELECT * FROM t ORDER BY id").await.unwrap();
    assert_eq!(rows, "1,,,true ; 2,two,0.5, ; 3,three,, ; 9,,,false");
    let old = tables.engine.table_show(&before, "t").await.unwrap().schema;
    assert_eq!(old.fields().len(), 2);
    tables.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn narrower_types_widen_and_others_do_not() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n1,1.5\n", &[]).await;
    tables.create("source", "id,v\n7,2\n", &[]).await;
    let narrow = "SELECT CAST(id AS INT) AS id, CAST(v AS FLOAT) AS v FROM source";
    let parquet = tables.write(narrow, "main", RowFormat::Parquet).await.unwrap();
    let options = ReadOptions::default();
    let source = tables.file("narrow.parquet", parquet);
    tables
        .engine
        .table_append(&on("main"), &appending("t", &source, &options, false), &NoProgress)
        .await
        .unwrap();
    assert_eq!(
        tables.sql("SELECT * FROM t ORDER BY id").await.unwrap(),
        "1,1.5 ; 7,2.0"
    );
    let schema = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap()
        .schema;
    assert_eq!(type_name(schema.field(0).data_type()), "int64");

    let options = ReadOptions {
        types: vec![("id".into(), ColumnType::String)],
        ..options
    };
    let source = tables.file("text.csv", "id,v\n8,1\n");
    let error = tables
        .engine
        .table_append(&on("main"), &appending("t", &source, &options, true), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "text.csv does not fit table tables/t: its column id is string, not int64"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelled_column_is_pointed_out() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,dep_delay\n1,2\n", &[]).await;
    let error = tables.append("main", "t", "id,dep_dealy\n1,2\n").await.unwrap_err();
    assert_eq!(
        error.cures(),
        [Cure::did_you_mean("dep_delay"), Cure::give("evolve", "true")]
    );
}
