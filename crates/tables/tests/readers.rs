//! Other readers open the same table: the `deltalake`, `duckdb` and `polars` Python packages on a table's folder on disk.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use drumlin_chunks::NoProgress;
use drumlin_tables::{DeleteRows, ReadOptions};
use drumlin_testkit::path;
use futures::TryStreamExt;

use crate::support::{TestTables, columns, creating, data, on, upserting};

const SCRIPT: &str = r#"
import json, os, sys
import deltalake
table = deltalake.DeltaTable(sys.argv[1])
rows = table.to_pyarrow_table()
print(json.dumps({
    "version": table.version(),
    "rows": rows.num_rows,
    "distance": sum(rows["distance"].to_pylist()),
    "nulls": rows["dep_time"].null_count,
    "time_hour": str(rows.schema.field("time_hour").type),
    "key": table.metadata().configuration.get("drumlin.key"),
    "first": [str(v) for v in sorted(rows["time_hour"].to_pylist())[:1]],
}))
# Not through the interpreter's end: the threads of the packages may abort there.
sys.stdout.flush()
os._exit(0)
"#;

fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python");
    assert!(python.exists(), "there is no {}: run `make tools`", python.display());
    python
}

/// The table's folder as a checkout would have it.
async fn check_out(tables: &TestTables, at: &str, to: &Path) {
    let snapshot = tables.snapshot(at).await;
    let mut files = snapshot.list(Some(&path("tables/flights")), None);
    while let Some((file, _)) = files.try_next().await.unwrap() {
        let target = to.join(file.as_str());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, snapshot.read(&file).await.unwrap()).unwrap();
    }
}

fn read_with_python(folder: &Path) -> serde_json::Value {
    let table = folder.join("tables/flights");
    let output = Command::new(python()).args(["-c", SCRIPT]).arg(table).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_what_we_wrote() {
    let tables = TestTables::memory().await;
    let source = drumlin_tables::Source::File {
        file: data("flights.csv"),
        name: "flights.csv".into(),
        path: None,
    };
    let options = ReadOptions::default();
    let key = columns(&["time_hour", "carrier", "flight", "origin"]);
    tables
        .engine
        .table_create(&on("main"), &creating("flights", &source, &options, &key), &NoProgress)
        .await
        .unwrap();
    // Enough versions that a checkpoint is among them, with rewritten and removed files.
    for carrier in ["B6", "AA", "DL", "EV"] {
        tables
            .engine
            .table_delete(
                &on("main"),
                &DeleteRows::new("flights", format!("carrier = '{carrier}'")),
                &NoProgress,
            )
            .await
            .unwrap();
        tables
            .engine
            .table_upsert(
                &on("main"),
                &upserting("flights", &source, &options, &[], false),
                &NoProgress,
            )
            .await
            .unwrap();
    }
    tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("flights", "carrier = 'UA'"), &NoProgress)
        .await
        .unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    check_out(&tables, "main", folder.path()).await;
    assert!(
        folder
            .path()
            .join("tables/flights/_delta_log/_last_checkpoint")
            .exists()
    );
    let seen = read_with_python(folder.path());
    let ours = "SELECT count(*), sum(distance), count(*) - count(dep_time) FROM flights";
    let numbers = format!("{},{},{}", seen["rows"], seen["distance"], seen["nulls"]);
    assert_eq!(numbers, tables.sql(ours).await.unwrap());
    assert_eq!(seen["version"], 9);
    assert_eq!(seen["time_hour"], "timestamp[us, tz=UTC]");
    assert_eq!(seen["first"][0], "2013-01-01 10:00:00+00:00");
    assert_eq!(seen["key"], serde_json::json!(serde_json::to_string(&key).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_and_polars_read_the_files() {
    let tables = TestTables::memory().await;
    let source = drumlin_tables::Source::File {
        file: data("flights.csv"),
        name: "flights.csv".into(),
        path: None,
    };
    tables
        .engine
        .table_create(
            &on("main"),
            &creating("flights", &source, &ReadOptions::default(), &[]),
            &NoProgress,
        )
        .await
        .unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    check_out(&tables, "main", folder.path()).await;
    let script = "import os, sys, duckdb, polars\n\
                  files = sys.argv[1] + '/*.parquet'\n\
                  print(duckdb.sql(f\"SELECT count(*), sum(distance) FROM '{files}'\").fetchall()[0])\n\
                  frame = polars.read_delta(sys.argv[1])\n\
                  print((frame.height, frame['distance'].sum()), flush=True)\n\
                  os._exit(0)";
    let table = folder.path().join("tables/flights");
    let output = Command::new(python()).args(["-c", script]).arg(table).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = tables.sql("SELECT sum(distance) FROM flights").await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("(30, {ours})\n(30, {ours})\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_and_refuse_what_python_wrote() {
    let tables = TestTables::memory().await;
    let folder = tempfile::TempDir::new().unwrap();
    let script = "import sys, deltalake, pyarrow as pa\n\
                  rows = pa.table({'id': pa.array([1, 2], pa.int64()), 'day': ['a', 'b']})\n\
                  deltalake.write_deltalake(sys.argv[1] + '/plain', rows)\n\
                  deltalake.write_deltalake(sys.argv[1] + '/parted', rows, partition_by=['day'])";
    let output = Command::new(python())
        .args(["-c", script])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let session = tables.test.session("main").await;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let below = entry.strip_prefix(folder.path()).unwrap();
                session
                    .write_file(&path(&format!("tables/{}", below.display())), &entry)
                    .await
                    .unwrap();
            }
        }
    }
    session.commit(drumlin_testkit::info("import")).await.unwrap();
    assert_eq!(tables.sql("SELECT sum(id) FROM plain").await.unwrap(), "3");
    assert_eq!(
        tables.sql("SELECT sum(id) FROM parted WHERE day = 'b'").await.unwrap(),
        "2"
    );
    tables.append("main", "plain", "id,day\n3,c\n").await.unwrap();
    assert_eq!(tables.sql("SELECT sum(id) FROM plain").await.unwrap(), "6");
    let error = tables.append("main", "parted", "id,day\n3,c\n").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table tables/parted is partitioned, which is not supported"
    );
}
