//! What a log says of a column's bounds never changes an answer: decimals beyond float64, and NaN.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, RecordBatch};
use drumlin_chunks::NoProgress;
use drumlin_tables::{ColumnType, DeleteRows, ReadOptions, Source};
use parquet::arrow::ArrowWriter;

use crate::support::{TestTables, columns, creating, on, upserting};

pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

async fn create(tables: &TestTables, table: &str, source: &Source, key: &[&str]) {
    let options = ReadOptions::default();
    let done = tables
        .engine
        .table_create(
            &on("main"),
            &creating(table, source, &options, &columns(key)),
            &NoProgress,
        )
        .await;
    done.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn long_decimals_are_found() {
    let tables = TestTables::memory().await;
    let unit = 10_i128.pow(20);
    let long = Decimal128Array::from(vec![unit, 2 * unit])
        .with_precision_and_scale(38, 0)
        .unwrap();
    let money = Decimal128Array::from(vec![1_234_567_890_123_456_789]);
    let money = money.with_precision_and_scale(20, 2).unwrap();
    create(
        &tables,
        "d",
        &tables.file("d.parquet", parquet(vec![("d", Arc::new(long))])),
        &[],
    )
    .await;
    create(
        &tables,
        "m",
        &tables.file("m.parquet", parquet(vec![("d", Arc::new(money))])),
        &[],
    )
    .await;
    let count = async |sql: &str| tables.sql(sql).await.unwrap();
    assert_eq!(
        count("SELECT d FROM d WHERE d > 0 ORDER BY d").await,
        format!("{unit} ; {}", 2 * unit)
    );
    let equal = format!(
        "SELECT count(*) FROM d WHERE d = CAST('{}' AS DECIMAL(38, 0))",
        2 * unit
    );
    assert_eq!(count(&equal).await, "1");
    let equal = "SELECT d FROM m WHERE d = CAST('12345678901234567.89' AS DECIMAL(20, 2))";
    assert_eq!(count(equal).await, "12345678901234567.89");
    let done = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("m", "d > 0"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(done.rows_deleted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nan_is_a_value() {
    let tables = TestTables::memory().await;
    create(
        &tables,
        "a",
        &tables.file("a.parquet", parquet(vec![("x", floats(&[5.0, f64::NAN]))])),
        &[],
    )
    .await;
    create(
        &tables,
        "b",
        &tables.file("b.parquet", parquet(vec![("x", floats(&[1.0, f64::NAN]))])),
        &["x"],
    )
    .await;
    assert_eq!(
        tables.sql("SELECT x FROM a WHERE x >= 1 ORDER BY x").await.unwrap(),
        "5.0 ; NaN"
    );
    assert_eq!(tables.sql("SELECT x FROM b WHERE x > 2").await.unwrap(), "NaN");
    let done = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("a", "x = 5.0"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(done.rows_deleted, 1);
    assert_eq!(tables.sql("SELECT x FROM a").await.unwrap(), "NaN");
    let options = ReadOptions {
        types: vec![("x".into(), ColumnType::Float64)],
        ..ReadOptions::default()
    };
    let again = tables.file("again.csv", "x\nNaN\n");
    let done = tables
        .engine
        .table_upsert(&on("main"), &upserting("b", &again, &options, &[], false), &NoProgress)
        .await
        .unwrap();
    assert_eq!((done.rows_updated, done.rows_added), (1, 0));
    assert_eq!(tables.sql("SELECT x FROM b ORDER BY x").await.unwrap(), "1.0 ; NaN");
}
