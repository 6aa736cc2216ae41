//! Bad input: one clear line with a cure, and nothing is changed.

use drumlin_chunks::NoProgress;
use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_tables::{ColumnType, DeleteRows, Error, ReadOptions, Source, type_name};

use crate::support::{TestTables, appending, columns, creating, line, on, upserting};

/// Creating a table of this CSV fails, and the branch stays where it was.
async fn refused(csv: &[u8], options: ReadOptions, key: &[&str]) -> Error {
    let tables = TestTables::memory().await;
    let head = tables.test.head("main").await.unwrap();
    let source = tables.file("bad.csv", csv);
    let error = tables
        .engine
        .table_create(
            &on("main"),
            &creating("t", &source, &options, &columns(key)),
            &NoProgress,
        )
        .await
        .unwrap_err();
    assert_eq!(tables.test.head("main").await.unwrap(), head);
    assert!(
        tables
            .engine
            .table_paths(&tables.snapshot("main").await)
            .await
            .unwrap()
            .is_empty()
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_errors_name_line_and_column() {
    let plain = ReadOptions::default;
    let typed = |column: &str| ReadOptions {
        types: vec![(column.into(), ColumnType::Int64)],
        ..plain()
    };
    for (csv, options, message) in [
        (
            &b"a,b\n1,2\n3\n"[..],
            plain(),
            "bad.csv, line 3: 1 fields where the header has 2",
        ),
        (
            b"a,b\n1,2\n\n\"x\ny\",2\n3,4,5\n",
            plain(),
            "bad.csv, line 6: 3 fields where the header has 2",
        ),
        (
            b"a,b\n1,x1\n",
            typed("b"),
            "bad.csv, line 2, column b: \"x1\" is not an int64",
        ),
        (
            b"a,b\n\"1\n\",2\n\n3,9x\n",
            typed("b"),
            "bad.csv, line 5, column b: \"9x\" is not an int64",
        ),
        (
            b"a,b\n1,\"2\n",
            plain(),
            "bad.csv ends inside a row: is a quote left open?",
        ),
        (b"a,A\n1,2\n", plain(), "bad.csv has two columns called \"A\""),
        (b"a,\n1,2\n", plain(), "bad.csv has no name for column 2"),
        (b"", plain(), "bad.csv is empty: it has no columns"),
        (
            b"a\n\xff\xfe\n",
            plain(),
            "bad.csv is not UTF-8 text; convert it first, as in: iconv -f latin1 -t utf8",
        ),
        (b"a,b\n1,2\n", typed("c"), "bad.csv has no column \"c\""),
    ] {
        let error = refused(csv, options, &[]).await;
        assert_eq!(line(&error), message);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let error = refused(b"a,b\n1,2\n", plain(), &["id"]).await;
    assert_eq!(
        (line(&error).as_str(), error.cures()),
        (
            "bad.csv has no column \"id\"",
            vec![Cure::choose("columns", ["a", "b"])]
        )
    );
    let error = refused(b"a\nx1\n", typed("a"), &[]).await;
    assert_eq!(
        error.cures(),
        [Cure::give("nulls", "x1"), Cure::give("types", "a=string")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_number_far_down_changes_nothing() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n1,2\n", &[]).await;
    let head = tables.test.head("main").await.unwrap();
    let mut csv = String::from("id,v\n");
    (0..30_000).for_each(|row| csv.push_str(&format!("{row},1\n")));
    csv.push_str("30000,one\n");
    let error = tables.append("main", "t", &csv).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "main-append.csv, line 30002, column v: \"one\" is not an int64"
    );
    assert_eq!(tables.test.head("main").await.unwrap(), head);
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_is_not_read_into_memory() {
    let tables = TestTables::memory().await;
    let endless = |start: &str, filler: &str, bytes: usize| format!("{start}{}", filler.repeat(bytes / filler.len()));
    let options = ReadOptions::default();
    let refused = async |source| {
        let created = tables
            .engine
            .table_create(&on("main"), &creating("t", &source, &options, &[]), &NoProgress)
            .await;
        created.unwrap_err().to_string()
    };
    let source = tables.file("a.csv", endless("a,b\n1,2\n3,\"4\n", "5,6\n", 300 << 20));
    assert_eq!(
        refused(source).await,
        "a.csv, line 2: from here on less than 256 rows take 256 MiB: is a quote left open?"
    );
    let source = tables.file("h.csv", endless("a,\"b\n1,2\n", "5,6\n", 17 << 20));
    assert_eq!(
        refused(source).await,
        "h.csv, line 1: the header takes more than 16 MiB: is a quote left open?"
    );
    // Few rows, then many wide ones of several lines each.
    let wide = format!("1,\"{}\"\n", "word after word\n".repeat(2_500)).repeat(2_000);
    let source = tables.file("w.csv", format!("a,b\n{}{wide}", "1,2\n".repeat(50_000)));
    let written = tables
        .engine
        .table_create(&on("main"), &creating("wide", &source, &options, &[]), &NoProgress)
        .await;
    assert_eq!(written.unwrap().rows_added, 52_000);
    let source = tables.file("b.jsonl", endless("{\"a\": 1}\n[{\"a\": 1}", ", {\"a\": 1}", 70 << 20));
    assert_eq!(
        refused(source).await,
        "b.jsonl, line 2: longer than 64 MiB; each line must be one JSON object"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_errors_name_the_line() {
    let tables = TestTables::memory().await;
    for (json, message) in [
        (
            "{\"a\": 1}\n{\"a\": \n",
            "bad.jsonl, line 2: not JSON: EOF while parsing a value at line 1 column 6",
        ),
        (
            "{\"a\": 1}\n\n[1]\n",
            "bad.jsonl, line 3: not an object; each line must be one JSON object",
        ),
        ("\n", "bad.jsonl is empty: it has no columns"),
    ] {
        let source = tables.file("bad.jsonl", json);
        let created = tables
            .engine
            .table_create(
                &on("main"),
                &creating("t", &source, &ReadOptions::default(), &[]),
                &NoProgress,
            )
            .await;
        assert_eq!(line(&created.unwrap_err()), message);
    }
    let source = tables.file("bad.jsonl", "{\"a\": 1}\n{\"a\": \"x\"}\n");
    let options = ReadOptions {
        types: vec![("a".into(), ColumnType::Int64)],
        ..ReadOptions::default()
    };
    let error = tables
        .engine
        .table_create(&on("main"), &creating("t", &source, &options, &[]), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(line(&error), "bad.jsonl, line 2, column a: \"x\" is not an int64");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read_have_a_cure() {
    let tables = TestTables::memory().await;
    let options = ReadOptions::default();
    let refuse = async |source: &Source| {
        tables
            .engine
            .table_create(&on("main"), &creating("t", source, &options, &[]), &NoProgress)
            .await
            .unwrap_err()
    };
    let error = refuse(&tables.file("flights.csv.zip", "PK")).await;
    assert_eq!(
        error.cures(),
        [Cure::say(
            "unpack flights.csv.zip first, as with unzip; then name the unpacked file"
        )]
    );
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = refuse(&tables.file("flights.xlsx", "")).await;
    assert_eq!(error.cures(), [Cure::choose("format", ["csv", "jsonl", "parquet"])]);
    let error = refuse(&tables.file("x.parquet", "no")).await;
    assert!(
        error.to_string().starts_with("x.parquet is not a Parquet file"),
        "{error}"
    );
    let missing = Source::File {
        file: "/nowhere/x.csv".into(),
        name: "x.csv".into(),
        path: None,
    };
    assert_eq!(refuse(&missing).await.kind(), ErrorKind::NotFound);
    let folder = Source::File {
        file: tables.folder.path().into(),
        name: "x.csv".into(),
        path: None,
    };
    assert!(matches!(
        refuse(&folder).await.kind(),
        ErrorKind::Unsupported | ErrorKind::InvalidInput
    ));
    let error = "float99".parse::<ColumnType>().unwrap_err();
    let [Cure::Choose { one_of, .. }] = &error.cures()[..] else {
        panic!("{:?}", error.cures())
    };
    assert!(one_of.contains(&"float64".to_owned()));
    // What is offered is what is understood.
    for name in one_of {
        let name = name.replace("P,S", "10,2");
        assert_eq!(type_name(&name.parse::<ColumnType>().unwrap().to_arrow()), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_or_are_not_there() {
    let tables = TestTables::memory().await;
    tables.create("flights", "id\n1\n", &[]).await;
    let source = tables.file("in.csv", "id\n1\n");
    let options = ReadOptions::default();
    let error = tables
        .engine
        .table_create(&on("main"), &creating("flights", &source, &options, &[]), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.cures()),
        (
            ErrorKind::AlreadyExists,
            vec![Cure::run(Verb::TableAppend).with("table", "flights")]
        )
    );
    for name in ["fligths", "tables/fligths"] {
        let error = tables
            .engine
            .table_append(&on("main"), &appending(name, &source, &options, false), &NoProgress)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
    }
    let error = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("fligths", "true"), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.cures(), [Cure::did_you_mean("flights")]);
    for name in ["", "a b", "a'b", "../x", "/x", "x/"] {
        let error = tables
            .engine
            .table_create(&on("main"), &creating(name, &source, &options, &[]), &NoProgress)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    let error = tables
        .engine
        .table_append(
            &on("nowhere"),
            &appending("flights", &source, &options, false),
            &NoProgress,
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_must_be_there_and_differ() {
    let tables = TestTables::memory().await;
    tables.create("t", "a,b,v\nx,1,1\n", &["a", "b"]).await;
    tables.create("free", "a\nx\n", &[]).await;
    let head = tables.test.head("main").await.unwrap();
    for (table, csv, message) in [
        (
            "t",
            "a,b,v\nx,1,1\ny,,2\n",
            "upsert.csv, row 2: the key column b is null",
        ),
        (
            "t",
            "a,b,v\nz,1,1\nx,2,1\nx,1,1\nx,2,9\n",
            "upsert.csv: rows 2 and 4 have the same key (a = x, b = 2)",
        ),
        ("t", "a,v\nx,1\n", "upsert.csv has no column \"b\""),
        ("free", "a\nx\n", "table tables/free has no key"),
    ] {
        let error = tables.upsert(table, csv).await.unwrap_err();
        assert_eq!(
            (line(&error).as_str(), error.kind()),
            (message, ErrorKind::InvalidInput)
        );
    }
    let source = tables.file("in.csv", "a,b,v\nx,1,1\n");
    let key = columns(&["a"]);
    let error = tables
        .engine
        .table_upsert(
            &on("main"),
            &upserting("t", &source, &ReadOptions::default(), &key, false),
            &NoProgress,
        )
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "table tables/t has the key (a,b), not (a)");
    assert_eq!(tables.test.head("main").await.unwrap(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_only_read() {
    let tables = TestTables::memory().await;
    tables.create("t", "id\n1\n", &[]).await;
    for sql in [
        "CREATE TABLE x (a INT)",
        "DROP TABLE t",
        "INSERT INTO t VALUES (2)",
        "COPY t TO '/tmp/never.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "DELETE FROM t",
    ] {
        let error = tables.sql(sql).await.unwrap_err();
        assert!(
            matches!(error, Error::NotAQuery | Error::Query { .. }),
            "{sql}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sql}");
    }
    for sql in [
        "SELEC 1",
        "SELECT 1; SELECT 2",
        "SELECT 'open",
        "SELECT * FROM '/etc/passwd'",
        "SELECT nofunction(1)",
        "",
    ] {
        let error = tables.sql(sql).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound),
            "{sql}: {error}"
        );
        assert!(!line(&error).contains('\n'), "{sql}: {error}");
    }
    let error = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "idd = 1"), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.cures()),
        (
            "cannot understand the query: there is no column \"idd\"",
            vec![Cure::did_you_mean("id")]
        )
    );
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "1");
}
