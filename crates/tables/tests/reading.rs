//! Input files: what types are found, what is null, and that values come through unchanged.

use arrow::datatypes::SchemaRef;
use drumlin_chunks::NoProgress;
use drumlin_model::RefExpr;
use drumlin_tables::{ColumnType, FileFormat, ReadOptions, RowFormat, Source, type_name};
use drumlin_testkit::{info, path};

use crate::support::{TestTables, appending, columns, creating, data, expr, on, overwriting};

fn types(schema: &SchemaRef) -> String {
    let fields = schema
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())));
    fields.collect::<Vec<_>>().join(", ")
}

async fn create_from(tables: &TestTables, table: &str, source: &Source, options: &ReadOptions) -> String {
    tables
        .engine
        .table_create(&on("main"), &creating(table, source, options, &[]), &NoProgress)
        .await
        .unwrap();
    types(
        &tables
            .engine
            .table_show(&tables.snapshot("main").await, table)
            .await
            .unwrap()
            .schema,
    )
}

fn excerpt(file: &str) -> Source {
    Source::File {
        file: data(file),
        name: file.into(),
        path: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flights_get_their_types() {
    let tables = TestTables::memory().await;
    let found = create_from(&tables, "flights", &excerpt("flights.csv"), &ReadOptions::default()).await;
    assert_eq!(
        found,
        "year: int64, month: int64, day: int64, dep_time: int64, sched_dep_time: int64, dep_delay: int64, \
         arr_time: int64, sched_arr_time: int64, arr_delay: int64, carrier: string, flight: int64, tailnum: string, \
         origin: string, dest: string, air_time: int64, distance: int64, hour: int64, minute: int64, \
         time_hour: timestamp"
    );
    let rows = tables
        .sql("SELECT count(*), count(dep_time), min(time_hour) FROM flights")
        .await
        .unwrap();
    let file = std::fs::read_to_string(data("flights.csv")).unwrap();
    let left = file
        .lines()
        .skip(1)
        .filter(|line| line.split(',').nth(3) != Some("NA"))
        .count();
    assert_eq!(rows, format!("30,{left},2013-01-01T10:00:00Z"));
    assert!(left < 30, "the excerpt has flights that never left");

    let found = create_from(&tables, "weather", &excerpt("weather.csv"), &ReadOptions::default()).await;
    assert!(found.starts_with("origin: string, year: int64"), "{found}");
    assert!(
        found.contains("temp: float64") && found.ends_with("time_hour: timestamp"),
        "{found}"
    );
    let found = create_from(&tables, "planes", &excerpt("planes.csv"), &ReadOptions::default()).await;
    assert!(
        found.starts_with("tailnum: string, year: int64, type: string"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_comes_through() {
    let tables = TestTables::memory().await;
    create_from(&tables, "flights", &excerpt("flights.csv"), &ReadOptions::default()).await;
    let out = tables
        .write("SELECT * FROM flights", "main", RowFormat::Csv)
        .await
        .unwrap();
    let file = std::fs::read_to_string(data("flights.csv")).unwrap();
    let as_written = file.replace(",NA,", ",,").replace(",NA,", ",,");
    assert_eq!(String::from_utf8(out).unwrap(), as_written);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_found_in_the_whole_file() {
    let tables = TestTables::memory().await;
    let mut csv = String::from("whole,late_float,late_text,zip,big,flag,day,at,void,mixed\n");
    for row in 0..20_000 {
        csv.push_str(&format!(
            "{row},{row},{row},01234,1,true,2024-02-29,2024-02-29 12:00:00,NA,2024-01-01\n"
        ));
    }
    csv.push_str(
        "-1,1.5,x,1,123456789012345678901,FALSE,2024-03-01,2024-03-01T00:00:00.5+02:00,,2024-01-01T01:00:00Z\n",
    );
    let source = tables.file("wide.csv", csv);
    let found = create_from(&tables, "wide", &source, &ReadOptions::default()).await;
    assert_eq!(
        found,
        "whole: int64, late_float: float64, late_text: string, zip: string, big: string, flag: bool, day: date, \
         at: timestamp, void: string, mixed: timestamp"
    );
    let last = tables
        .sql("SELECT late_float, zip, big, at, void, mixed FROM wide WHERE whole = -1")
        .await
        .unwrap();
    assert_eq!(
        last,
        "1.5,1,123456789012345678901,2024-02-29T22:00:00.500Z,,2024-01-01T01:00:00Z"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_win_over_what_is_found() {
    let tables = TestTables::memory().await;
    let options = ReadOptions {
        format: Some(FileFormat::Csv),
        types: vec![
            ("column_1".into(), ColumnType::String),
            ("column_2".into(), "decimal(8,2)".parse().unwrap()),
            ("column_3".into(), ColumnType::Timestamp),
            ("column_4".into(), ColumnType::Int32),
        ],
        nulls: columns(&["-"]),
        delimiter: b';',
        header: false,
    };
    let source = tables.file("odd.data", "\u{feff}7;1.50;2024-01-01;NA;5\n");
    assert!(
        tables
            .engine
            .table_create(&on("main"), &creating("odd", &source, &options, &[]), &NoProgress)
            .await
            .is_err(),
        "NA is no int32 now"
    );
    let source = tables.file(
        "odd.data",
        "\u{feff}7;1.50;2024-01-01;-;NA\n\"8;\"\"\n\";-0.01;2024-01-02 01:00;;\n",
    );
    let found = create_from(&tables, "odd", &source, &options).await;
    assert_eq!(
        found,
        "column_1: string, column_2: decimal(8,2), column_3: timestamp, column_4: int32, column_5: string"
    );
    let rows = tables
        .sql("SELECT column_1 = '8;\"\n' AS same, column_2, column_3, column_5 FROM odd")
        .await
        .unwrap();
    assert_eq!(
        rows,
        "false,1.50,2024-01-01T00:00:00Z,NA ; true,-0.01,2024-01-02T01:00:00Z,"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_are_read() {
    let tables = TestTables::memory().await;
    let json = "{\"id\": 1, \"at\": \"2024-01-01T00:00:00Z\", \"tags\": [\"a\"], \"code\": \"12\"}\n\n\
                {\"id\": 2, \"score\": 0.5, \"at\": null, \"place\": {\"x\": 1}}\n";
    let source = tables.file("events.jsonl", json);
    let found = create_from(&tables, "events", &source, &ReadOptions::default()).await;
    assert!(
        found.contains("id: int64") && found.contains("at: timestamp"),
        "{found}"
    );
    assert!(
        found.contains("tags: list<string>") && found.contains("code: string"),
        "{found}"
    );
    assert!(
        found.contains("place: struct<x: int64>") && found.contains("score: float64"),
        "{found}"
    );
    let rows = tables
        .sql("SELECT id, at, score, tags[1], place['x'] FROM events ORDER BY id")
        .await
        .unwrap();
    assert_eq!(rows, "1,2024-01-01T00:00:00Z,,a, ; 2,,0.5,,1");
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_read() {
    let tables = TestTables::memory().await;
    create_from(&tables, "weather", &excerpt("weather.csv"), &ReadOptions::default()).await;
    let parquet = tables
        .write("SELECT * FROM weather", "main", RowFormat::Parquet)
        .await
        .unwrap();
    let source = tables.file("weather.parquet", parquet);
    let found = create_from(&tables, "copy", &source, &ReadOptions::default()).await;
    assert!(found.ends_with("time_hour: timestamp"), "{found}");
    let differing = "SELECT count(*) FROM (SELECT * FROM weather EXCEPT SELECT * FROM copy)";
    assert_eq!(tables.sql(differing).await.unwrap(), "0");
    assert_eq!(tables.sql("SELECT count(*) FROM copy").await.unwrap(), "15");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_repository_is_an_input_with_its_commit() {
    let tables = TestTables::memory().await;
    let session = tables.test.session("main").await;
    session
        .write_file(&path("raw/airlines.csv"), &data("airlines.csv"))
        .await
        .unwrap();
    let added = session.commit(info("add")).await.unwrap();
    let source = Source::Path {
        path: path("raw/airlines.csv"),
        at: expr("main"),
    };
    let options = ReadOptions::default();
    let request = creating("airlines", &source, &options, &columns(&["carrier"]));
    let written = tables.engine.table_create(&on("main"), &request, &NoProgress).await;
    let id = blake3::hash(&std::fs::read(data("airlines.csv")).unwrap())
        .to_hex()
        .to_string();
    let provenance = tables.test.provenance(written.unwrap().commit.unwrap()).await;
    assert_eq!(provenance.verb, "table create");
    assert_eq!(provenance.outputs, [path("tables/airlines")]);
    assert_eq!(provenance.inputs[0].name, "raw/airlines.csv");
    assert_eq!(
        (provenance.inputs[0].commit, provenance.inputs[0].version.clone()),
        (Some(added), Some(id.clone()))
    );
    assert_eq!(provenance.parameters["rows_added"], 16);
    assert_eq!(provenance.parameters["table_version"], 0);

    // The same bytes in the working folder are that path too; other bytes are a file outside, known by its hash.
    let known = Source::File {
        file: data("airlines.csv"),
        name: "raw/airlines.csv".into(),
        path: Some(path("raw/airlines.csv")),
    };
    let request = overwriting("airlines", &known, &options);
    let written = tables.engine.table_overwrite(&on("main"), &request, &NoProgress).await;
    let written = written.unwrap();
    let provenance = tables.test.provenance(written.commit.unwrap()).await;
    assert!(provenance.inputs[0].commit.is_some());
    assert_eq!((written.rows_added, written.rows_deleted), (16, 16));
    let outside = tables.file("more.csv", "carrier,name\nZZ,Zed\n");
    let request = appending("airlines", &outside, &options, false);
    let written = tables.engine.table_append(&on("main"), &request, &NoProgress).await;
    let input = &tables.test.provenance(written.unwrap().commit.unwrap()).await.inputs[0];
    assert_eq!((input.name.as_str(), input.commit), ("more.csv", None));
    let id = blake3::hash(b"carrier,name\nZZ,Zed\n").to_hex().to_string();
    assert_eq!(input.version, Some(id));
    // A file of a tree needs no table to be queried.
    let rows = tables
        .sql("SELECT count(*) FROM \"raw/airlines.csv\"@main")
        .await
        .unwrap();
    assert_eq!(rows, "16");
    let _: RefExpr = expr("main");
}
