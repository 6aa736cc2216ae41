//! Every case of the law, from its file, through the library: views as queries, and as Parquet files.
//! Cases of kind `online` are about writes to the online store: `online_cases` runs those.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    compute::concat_batches,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::prelude::SessionContext;
use drumlin_asof::{
    AsOfJoin, AsOfSpec, Error, Feature, FeatureSource, KeyPair, KnownAt, Lookup, OnNullTime, Window, WindowFunction,
};
use drumlin_model::{
    ErrorKind, Timestamp,
    feature::{Length, Nulls, TextError},
};
use drumlin_testkit::law::{self, CaseFile, Expected, Request, TableText, View};

use crate::{kit, table::Table};

/// Rows per row group when a view is written as Parquet: several groups even for the smallest tables.
const GROUP_ROWS: usize = 2;
const GROUP_ROWS_OF_QUERIES: usize = 100_000;

#[test]
fn every_case_of_the_law_has_one_file_that_says_its_answer() {
    let files = law::cases();
    let cases: BTreeSet<u32> = files.iter().map(|(_, case)| case.law).collect();
    assert_eq!(cases, (1..=38).collect());
    assert_eq!(files.len(), 38);
    for (name, case) in files {
        assert!(name.starts_with(&format!("{:02}-", case.law)), "{name}");
        assert!(!case.title.is_empty() && !case.answer.is_empty(), "{name}");
        assert!(
            ["join", "training", "online"].contains(&case.kind.as_str()),
            "{name}: kind {}",
            case.kind
        );
        assert!(
            case.kind == "online" || !case.requests.is_empty(),
            "{name} asks nothing"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_law_is_answered_from_queries() {
    answer_all(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_law_is_answered_from_parquet_files() {
    answer_all(true).await;
}

async fn answer_all(files: bool) {
    for (name, case) in law::cases().into_iter().filter(|(_, case)| case.kind != "online") {
        for request in &case.requests {
            let what = format!("{name}, {:?} (files: {files})", request.name);
            answer(&case, request, files, &what).await;
        }
    }
}

async fn answer(case: &CaseFile, request: &Request, files: bool, what: &str) {
    let context = kit::context(request.memory_limit_mb.map(|limit| limit << 20));
    let tables = tables(&context, case).await;
    let outcome = run(&context, &tables, request, files).await;
    match (&request.expected, outcome) {
        (Expected::Rows(rows), Ok((result, notices))) => {
            compare(&result, &Table::parse(rows), what);
            for notice in &request.notices {
                assert_eq!(
                    notices.iter().filter(|said| *said == notice).count(),
                    1,
                    "{what}: said {notices:?}"
                );
            }
        }
        (Expected::Summary { sql, rows }, Ok((result, _))) => {
            let summary = SessionContext::new();
            summary.register_batch("result", result).expect("registered");
            let frame = summary.sql(sql).await.expect("a query");
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let batches = frame.collect().await.expect("a summary");
            compare(
                &concat_batches(&schema, &batches).expect("a batch"),
                &Table::parse(rows),
                what,
            );
        }
        (Expected::Error(text), Err(error)) => {
            assert!(error.text.contains(text), "{what}: {error:?}");
            assert_ne!(error.kind, ErrorKind::Internal, "{what}: {error:?}");
        }
        (_, Ok((result, _))) => panic!("{what}: an error is wanted, and rows came: {result:?}"),
        (_, Err(error)) => panic!("{what}: {error:?}"),
    }
}

/// The tables as batches; those given by a query are computed without a limit.
async fn tables(context: &SessionContext, case: &CaseFile) -> BTreeMap<String, Vec<RecordBatch>> {
    let unlimited = SessionContext::new_with_config(context.copied_config());
    let mut tables = BTreeMap::new();
    for (name, text) in &case.tables {
        let batches = match text {
            TableText::Rows(text) => vec![Table::parse(text).batch()],
            TableText::Sql(sql) => unlimited
                .sql(sql)
                .await
                .expect("a query")
                .collect()
                .await
                .expect("rows"),
        };
        tables.insert(name.clone(), batches);
    }
    tables
}

/// Why a request has no answer: a length that cannot be, or the join's own error.
#[derive(Debug)]
struct Refused {
    text: String,
    kind: ErrorKind,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused {
            text: error.to_string(),
            kind: error.kind(),
        }
    }
}

async fn run(
    context: &SessionContext,
    tables: &BTreeMap<String, Vec<RecordBatch>>,
    request: &Request,
    files: bool,
) -> Result<(RecordBatch, Vec<String>), Refused> {
    let mut spec = AsOfSpec::new(&request.time);
    spec.on_null_time = if request.keep_null_times {
        OnNullTime::Keep
    } else {
        OnNullTime::Error
    };
    spec.known_at = known_at(request.known_at.as_deref());
    for view in &request.views {
        let mut batches = tables[&view.view].clone();
        for appended in &view.appended {
            batches.extend(tables[appended].clone());
        }
        let schema = batches[0].schema();
        let source = if files {
            let group_rows = if batches[0].num_rows() > 100 {
                GROUP_ROWS_OF_QUERIES
            } else {
                GROUP_ROWS
            };
            FeatureSource::Parquet(kit::parquet(&schema, &batches, group_rows, &[]).await)
        } else {
            FeatureSource::Query(Box::new(kit::scan(context, &schema, batches)))
        };
        spec.lookups.push(lookup(view, source)?);
    }
    let spine = &tables[&request.spine];
    let join = AsOfJoin::new(kit::scan(context, &spine[0].schema(), spine.clone()), spec)?;
    let (schema, report) = (join.schema(), join.report());
    let mut notices = join.notices().to_vec();
    let frame = datafusion::prelude::DataFrame::new(context.state(), join.into_plan());
    let batches = frame.collect().await.map_err(Error::from_datafusion)?;
    notices.extend(report.notices());
    Ok((
        concat_batches(&schema, &batches).expect("batches of one schema"),
        notices,
    ))
}

fn known_at(text: Option<&str>) -> KnownAt {
    match text {
        None | Some("none") => KnownAt::None,
        Some("row") => KnownAt::Row,
        Some(time) => KnownAt::Time(Timestamp::parse_rfc3339(time).expect("a time")),
    }
}

fn lookup(view: &View, source: FeatureSource) -> Result<Lookup, Refused> {
    let pair = |(spine, feature): &(String, String)| KeyPair {
        spine: spine.clone(),
        feature: feature.clone(),
    };
    let max_age = view
        .max_age
        .as_deref()
        .map(|text| length("max_age", text))
        .transpose()?;
    Ok(Lookup {
        prefix: view.prefix.clone(),
        keys: view.keys.iter().map(pair).collect(),
        created_time: view.created_time.clone(),
        valid_to: view.valid_to.clone(),
        deleted: view.tombstone.clone(),
        max_age,
        inclusive: !view.exclusive,
        nulls: if view.last_non_null {
            Nulls::LastNonNull
        } else {
            Nulls::Row
        },
        features: view.features.iter().map(Feature::new).collect(),
        windows: view.windows.iter().map(window).collect::<Result<_, _>>()?,
        with_event_time: view.with_event_time,
        with_status: view.status,
        ..Lookup::new(&view.view, &view.event_time, source)
    })
}

fn window(window: &law::Window) -> Result<Window, Refused> {
    let function = WindowFunction::ALL
        .into_iter()
        .find(|function| function.as_str() == window.function)
        .unwrap_or_else(|| panic!("no such function: {}", window.function));
    Ok(Window {
        name: window.name.clone(),
        function,
        column: window.column.clone(),
        length: length(&format!("the length of window {:?}", window.name), &window.length)?,
        inclusive: window.inclusive,
        label: window.label,
        description: None,
    })
}

/// A length of time as the file has it.
fn length(what: &str, text: &str) -> Result<Length, Refused> {
    text.parse().map_err(|error: TextError| Refused {
        text: format!("{what} {error}"),
        kind: ErrorKind::InvalidInput,
    })
}

/// Names, types where they are given, and every cell.
fn compare(result: &RecordBatch, wanted: &Table, what: &str) {
    let names: Vec<String> = result
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let wanted_names: Vec<String> = wanted.columns.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, wanted_names, "{what}");
    assert_eq!(result.num_rows(), wanted.rows.len(), "{what}: {result:?}");
    for (position, (name, kind)) in wanted.columns.iter().enumerate() {
        let column = result.column(position);
        if let Some(kind) = kind {
            assert_eq!(column.data_type(), kind, "{what}: the type of {name}");
        }
        let cells = wanted.column(position, column.data_type());
        let options = FormatOptions::default().with_null("null");
        let text = |array: &arrow::array::ArrayRef| {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options).expect("text");
            (0..array.len())
                .map(|row| formatter.value(row).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(text(column), text(&cells), "{what}: column {name}");
    }
}
