//! No value changes on its way into a table: what would be cut, rounded or taken for something else is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date64Array, Float64Array, TimestampMicrosecondArray, TimestampNanosecondArray};
use drumlin_chunks::NoProgress;
use drumlin_tables::{ColumnType, ReadOptions, type_name};

use crate::{
    bounds::parquet,
    support::{TestTables, appending, columns, creating, line, on, overwriting},
};

async fn refused(tables: &TestTables, file: &str, content: impl AsRef<[u8]>) -> String {
    let source = tables.file(file, content);
    let options = ReadOptions::default();
    let error = tables
        .engine
        .table_append(&on("main"), &appending("t", &source, &options, false), &NoProgress)
        .await;
    line(&error.unwrap_err())
}

async fn types(tables: &TestTables, table: &str, file: &str, content: &str) -> Vec<String> {
    let source = tables.file(file, content);
    let options = ReadOptions::default();
    let done = tables
        .engine
        .table_create(&on("main"), &creating(table, &source, &options, &[]), &NoProgress)
        .await;
    done.unwrap();
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, table)
        .await
        .unwrap();
    info.schema
        .fields()
        .iter()
        .map(|field| type_name(field.data_type()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_parquet_keeps_its_values() {
    let tables = TestTables::memory().await;
    tables.create("t", "i,at\n1,2024-01-01T00:00:00Z\n", &[]).await;
    let column: ArrayRef = Arc::new(Float64Array::from(vec![1.9]));
    let error = refused(&tables, "float.parquet", parquet(vec![("i", column.clone())])).await;
    assert_eq!(
        error,
        "float.parquet does not fit table tables/t: its column i is float64, not int64"
    );
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]));
    let error = refused(&tables, "time.parquet", parquet(vec![("i", time)])).await;
    assert!(error.ends_with("its column i is timestamp, not int64"), "{error}");
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1000, 1001]));
    let error = refused(&tables, "nanos.parquet", parquet(vec![("at", nanos)])).await;
    assert_eq!(error, "nanos.parquet, line 2: the value of at is not a timestamp");

    let options = ReadOptions {
        types: vec![("i".into(), ColumnType::Int64)],
        ..ReadOptions::default()
    };
    let source = tables.file("said.parquet", parquet(vec![("i", column)]));
    let error = tables
        .engine
        .table_create(&on("main"), &creating("u", &source, &options, &[]), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(line(&error), "said.parquet, line 1: the value of i is not an int64");
    let day: ArrayRef = Arc::new(Date64Array::from(vec![86_400_000, 86_400_001]));
    let source = tables.file("day.parquet", parquet(vec![("d", day)]));
    let options = ReadOptions::default();
    let error = tables
        .engine
        .table_create(&on("main"), &creating("u", &source, &options, &[]), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(line(&error), "day.parquet, line 2: the value of d is not a date");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_json_keeps_its_values() {
    let tables = TestTables::memory().await;
    tables.create("t", "i,at\n1,2024-01-01T00:00:00Z\n", &[]).await;
    for (value, shown) in [
        ("1.7", "1.7"),
        ("1e3", "1e3"),
        ("\"007\"", "007"),
        ("9223372036854775808", "9223372036854775808"),
    ] {
        let error = refused(&tables, "i.jsonl", format!("{{\"i\": 1}}\n\n{{\"i\": {value}}}\n")).await;
        assert_eq!(error, format!("i.jsonl, line 3, column i: {shown:?} is not an int64"));
    }
    let error = refused(&tables, "at.jsonl", "{\"at\": 1704067200}\n").await;
    assert_eq!(error, "at.jsonl, line 1, column at: \"1704067200\" is not a timestamp");
    let error = refused(&tables, "at.csv", "at\n2024-01-01T00:00:00.000000001Z\n").await;
    assert!(error.ends_with("is not a timestamp"), "{error}");
    let mixed = "{\"a\": \"2024-01-01\"}\n{\"a\": 5}\n";
    assert_eq!(types(&tables, "mixed", "mixed.jsonl", mixed).await, ["string"]);
    assert_eq!(tables.sql("SELECT a FROM mixed").await.unwrap(), "2024-01-01 ; 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_numbers_would_change_stays_text() {
    let tables = TestTables::memory().await;
    let csv =
        "plus,zero,long,nanos\n+5,-0,9007199254740993,2024-01-01T00:00:00.123456789Z\n6,1,1.5,2024-01-01T00:00:00Z\n";
    let found = types(&tables, "c", "c.csv", csv).await;
    assert_eq!(found, ["string"; 4]);
    let found = types(&tables, "whole", "whole.csv", "long\n9007199254740993\n1\n").await;
    assert_eq!(found, ["int64"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_key_is_never_null() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n1,1\n", &["id"]).await;
    let error = refused(&tables, "null.csv", "id,v\n2,2\n,3\n").await;
    assert_eq!(error, "null.csv, row 2: the key column id is null");
    let source = tables.file("new.csv", "id,v\n,3\n");
    let options = ReadOptions::default();
    let created = tables
        .engine
        .table_create(
            &on("main"),
            &creating("u", &source, &options, &columns(&["id"])),
            &NoProgress,
        )
        .await;
    assert_eq!(line(&created.unwrap_err()), "new.csv, row 1: the key column id is null");
    let over = tables
        .engine
        .table_overwrite(&on("main"), &overwriting("t", &source, &options), &NoProgress)
        .await;
    assert_eq!(line(&over.unwrap_err()), "new.csv, row 1: the key column id is null");
}
