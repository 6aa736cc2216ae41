//! Tables and SQL at the desk: what a surface asks, and what it is told.

use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_verbs::{
    QUERY_LEN_MAX, RowsAs, RowsFrom, SqlRequest, TableAppendRequest, TableCreateRequest, TableDeleteRequest,
    TableHistoryRequest, TableListRequest, TableShowRequest, TableWriteAnswer,
};

use crate::support::Place;

const FLIGHTS: &str = "id,carrier\n1,UA\n2,AA\n3,UA\n";

fn from(file: &str) -> RowsFrom {
    RowsFrom {
        from: file.to_owned(),
        ..RowsFrom::default()
    }
}

async fn create(place: &Place, table: &str, file: &str) -> drumlin_verbs::Result<TableWriteAnswer> {
    let request = TableCreateRequest {
        table: table.to_owned(),
        rows: from(file),
        key: vec!["id".to_owned()],
        message: None,
    };
    place.desk.table_create(request).await
}

fn delete(condition: &str, dry_run: bool) -> TableDeleteRequest {
    TableDeleteRequest {
        table: "flights".to_owned(),
        condition: condition.to_owned(),
        dry_run,
        message: None,
    }
}

/// The rows of a query, as CSV without the header.
async fn rows(place: &Place, query: &str) -> String {
    let request = SqlRequest {
        query: query.to_owned(),
        format: Some(RowsAs::Csv),
        ..SqlRequest::default()
    };
    let mut out = Vec::new();
    place.desk.sql(request, &mut out).await.expect("the query is right");
    let text = String::from_utf8(out).expect("a CSV is text");
    text.lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_from_a_file_or_from_a_version() {
    let place = Place::new().await;
    place.write("raw/flights.csv", FLIGHTS);
    place.commit("raw").await;
    place.write("raw/flights.csv", "id,carrier\n9,ZZ\n");
    let now = create(&place, "now", "raw/flights.csv")
        .await
        .expect("the file is there");
    let then = create(&place, "then", "raw/flights.csv@main")
        .await
        .expect("the version has it");
    assert_eq!((now.rows_added, then.rows_added, then.version), (1, 3, 0));
    // A file whose name has an @ in it is that file.
    place.write("raw/flights.csv@main", FLIGHTS);
    let request = TableAppendRequest {
        table: "then".to_owned(),
        rows: RowsFrom {
            format: Some("csv".parse().expect("a format")),
            ..from("raw/flights.csv@main")
        },
        evolve: false,
        message: Some("again".to_owned()),
    };
    place.desk.table_append(request).await.expect("the file is there");
    let request = TableHistoryRequest {
        table: "then".to_owned(),
        limit: None,
        at: None,
    };
    let history = place.desk.table_history(request).await.expect("the table is there");
    let said: Vec<_> = history
        .iter()
        .map(|row| (row.verb.as_str(), row.message.as_str(), row.version))
        .collect();
    assert_eq!(
        said,
        [
            ("table append", "again", Some(1)),
            (
                "table create",
                "table create then: 3 rows from raw/flights.csv@main",
                Some(0)
            )
        ]
    );
    let names: Vec<String> = place
        .desk
        .table_list(TableListRequest::default())
        .await
        .expect("tables can be listed")
        .into_iter()
        .map(|table| table.name)
        .collect();
    assert_eq!(names, ["now", "then"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_delete_says_what_the_delete_does() {
    let place = Place::new().await;
    place.write("flights.csv", FLIGHTS);
    let created = create(&place, "flights", "flights.csv")
        .await
        .expect("the file is there");
    let planned = place
        .desk
        .table_delete(delete("carrier = 'UA'", true))
        .await
        .expect("a condition");
    assert_eq!(
        (planned.dry_run, planned.written.rows_deleted, planned.files_rewritten),
        (true, 2, Some(1))
    );
    assert_eq!(
        (planned.written.commit, planned.written.version),
        (None, created.version)
    );
    for wrong in [
        "random() < 2",
        "id = 1 LIMIT 0",
        "id = 1 UNION ALL SELECT 77",
        "id = 1 GROUP BY id",
    ] {
        for dry_run in [true, false] {
            let error = place.desk.table_delete(delete(wrong, dry_run)).await.expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }
    assert_eq!(rows(&place, "SELECT count(*) FROM flights").await, "3");
    let done = place
        .desk
        .table_delete(delete("carrier = 'UA'", false))
        .await
        .expect("a condition");
    assert_eq!(
        (done.dry_run, done.written.rows_deleted, done.files_rewritten),
        (false, 2, None)
    );
    assert_eq!(rows(&place, "SELECT * FROM flights").await, "2,AA");
    let request = TableShowRequest {
        table: "flights".to_owned(),
        at: None,
    };
    let shown = place.desk.table_show(request).await.expect("the table is there");
    assert_eq!((shown.table.rows, Some(shown.commit)), (1, done.written.commit));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_to_a_file_whole_or_not_at_all() {
    let place = Place::new().await;
    place.write("flights.csv", FLIGHTS);
    create(&place, "flights", "flights.csv")
        .await
        .expect("the file is there");
    let to = |query: &str, file: &str| SqlRequest {
        query: query.to_owned(),
        output: Some(file.into()),
        ..SqlRequest::default()
    };
    let mut unused = Vec::new();
    let request = to("SELECT id FROM flights ORDER BY id", "out.jsonl");
    let written = place.desk.sql(request, &mut unused).await.expect("the query is right");
    assert_eq!((written.rows, written.more), (3, false));
    let text = std::fs::read_to_string(place.path().join("out.jsonl")).expect("it was written");
    assert_eq!(text, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    // The last row fails when the others are written already.
    let request = to("SELECT 1 / (3 - id) FROM flights ORDER BY id", "out.jsonl");
    place
        .desk
        .sql(request, &mut unused)
        .await
        .expect_err("it divides by zero");
    let after = std::fs::read_to_string(place.path().join("out.jsonl")).expect("it is still there");
    assert_eq!((after, unused.len()), (text, 0));
    let files = std::fs::read_dir(place.path()).expect("the folder is there").count();
    assert_eq!(files, 3, "the repository, and two files: nothing is left beside them");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_cures() {
    let place = Place::new().await;
    place.write("flights.csv", FLIGHTS);
    create(&place, "flights", "flights.csv")
        .await
        .expect("the file is there");
    let error = create(&place, "flights", "flights.csv").await.expect_err("it is there");
    assert_eq!(
        (error.kind(), error.cures()),
        (
            ErrorKind::AlreadyExists,
            vec![Cure::run(Verb::TableAppend).with("table", "flights")]
        )
    );
    let long = SqlRequest {
        query: format!("SELECT 1 -- {}", "x".repeat(QUERY_LEN_MAX)),
        ..SqlRequest::default()
    };
    let error = place.desk.sql(long, &mut Vec::new()).await.expect_err("it is too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let wide = TableAppendRequest {
        table: "flights".to_owned(),
        rows: RowsFrom {
            delimiter: Some('→'),
            ..from("flights.csv")
        },
        evolve: false,
        message: None,
    };
    let error = place.desk.table_append(wide).await.expect_err("it takes three bytes");
    assert!(error.to_string().contains("'→' cannot be the delimiter"), "{error}");
}

/// A writer whose reader is gone.
struct Closed;

impl std::io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_known_as_one() {
    let place = Place::new().await;
    for format in [RowsAs::Csv, RowsAs::Jsonl, RowsAs::Table] {
        let request = SqlRequest {
            query: "SELECT 1".to_owned(),
            format: Some(format),
            ..SqlRequest::default()
        };
        let error = place.desk.sql(request, &mut Closed).await.expect_err("nobody reads");
        assert!(error.is_closed_pipe(), "{format:?}: {error}");
    }
}
