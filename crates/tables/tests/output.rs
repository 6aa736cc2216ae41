//! Results for people and programs.

use drumlin_chunks::NoProgress;
use drumlin_model::ErrorKind;
use drumlin_tables::{RowFormat, write_rows};

use crate::support::{TestTables, expr};

async fn sample() -> TestTables {
    let tables = TestTables::memory().await;
    let csv =
        "id,name,at,score\n1,\"a, \"\"b\"\"\",2024-01-01T00:00:00Z,0.5\n2,,,\n3,c,2024-01-01T00:00:00.25Z,1e300\n";
    tables.create("t", csv, &[]).await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_json() {
    let tables = sample().await;
    let csv = tables
        .write("SELECT * FROM t ORDER BY id", "main", RowFormat::Csv)
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "id,name,at,score\n1,\"a, \"\"b\"\"\",2024-01-01T00:00:00Z,0.5\n2,,,\n3,c,2024-01-01T00:00:00.250Z,1e300\n"
    );
    let json = tables
        .write(
            "SELECT id, name, at FROM t WHERE id < 3 ORDER BY id",
            "main",
            RowFormat::JsonLines,
        )
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        "{\"id\":1,\"name\":\"a, \\\"b\\\"\",\"at\":\"2024-01-01T00:00:00Z\"}\n{\"id\":2,\"name\":null,\"at\":null}\n"
    );
    let none = tables
        .write("SELECT id FROM t WHERE false", "main", RowFormat::Csv)
        .await
        .unwrap();
    assert_eq!(none, b"id\n");
    let lists = tables
        .write("SELECT make_array(id) AS ids FROM t", "main", RowFormat::Csv)
        .await;
    let error = lists.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("has the column ids of the type list"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_shows_types_and_stops_in_time() {
    let tables = sample().await;
    let rows = tables
        .engine
        .query("SELECT id, name FROM t ORDER BY id", &expr("main"))
        .await
        .unwrap();
    let mut out = Vec::new();
    let format = RowFormat::Table { rows_max: 2 };
    let written = write_rows(
        &tables.engine,
        rows.stream().await.unwrap(),
        format,
        &mut out,
        &NoProgress,
    )
    .await
    .unwrap();
    assert!(written.more && written.rows == 2, "{written:?}");
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("name") && text.contains("string") && text.contains("int64"),
        "{text}"
    );
    assert!(
        text.contains("a, \"b\"") && text.contains("null") && !text.contains("│  3 "),
        "{text}"
    );
    let rows = tables
        .engine
        .query("SELECT id FROM t", &expr("main"))
        .await
        .unwrap()
        .stream()
        .await
        .unwrap();
    let written = write_rows(
        &tables.engine,
        rows,
        RowFormat::Table { rows_max: 3 },
        &mut Vec::new(),
        &NoProgress,
    )
    .await
    .unwrap();
    assert!(!written.more && written.rows == 3, "{written:?}");
}
