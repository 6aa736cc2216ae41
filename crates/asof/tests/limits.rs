//! What must hold however the join is run: limits, threads, the order of files, sorted queries, the columns of old files.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use datafusion::logical_expr::{LogicalPlanBuilder, col};
use drumlin_asof::{
    AsOfSpec, Error, Feature, FeatureSource, KeyPair, KnownAt, Lookup, ParquetSource, Window, WindowFunction,
};
use drumlin_model::{ErrorKind, Timestamp};

use crate::kit::{self, length};

const SPINE_ROWS: i64 = 60_000;
const VIEW_ROWS: i64 = 20_000;

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    let values: Int64Array = values.map(Some).collect();
    cast(&values, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).expect("times")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("a batch")
}

fn spine() -> RecordBatch {
    let texts: StringArray = (0..SPINE_ROWS)
        .map(|row| Some(format!("payload of row {row}")))
        .collect();
    batch(vec![
        (
            "user",
            Arc::new((0..SPINE_ROWS).map(|row| row * 31 % 499).collect::<Int64Array>()),
        ),
        ("t", times((0..SPINE_ROWS).map(|row| row * 7_919 % SPINE_ROWS))),
        ("text", Arc::new(texts)),
    ])
}

fn view() -> RecordBatch {
    let texts: StringArray = (0..VIEW_ROWS).map(|row| Some(format!("value {row}"))).collect();
    batch(vec![
        (
            "user",
            Arc::new((0..VIEW_ROWS).map(|row| row * 17 % 503).collect::<Int64Array>()),
        ),
        ("at", times((0..VIEW_ROWS).map(|row| row * 104_729 % SPINE_ROWS))),
        ("text", Arc::new(texts)),
        (
            "x",
            Arc::new(
                (0..VIEW_ROWS)
                    .map(|row| 0.1 * row as f64 - 1e9 * (row % 3) as f64)
                    .collect::<Float64Array>(),
            ),
        ),
    ])
}

fn slices(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(rows)
        .map(|first| batch.slice(first, rows.min(batch.num_rows() - first)))
        .collect()
}

fn lookup(source: FeatureSource) -> Lookup {
    let mut lookup = Lookup::new("view", "at", source);
    lookup.keys = vec![KeyPair::same("user")];
    lookup.prefix = Some("v".to_owned());
    lookup.features = vec![Feature::new("text"), Feature::new("x")];
    lookup.max_age = Some(length(30_000));
    lookup.with_status = true;
    let window = |name: &str, function| Window {
        name: name.to_owned(),
        function,
        column: Some("x".to_owned()),
        length: length(5_000),
        inclusive: false,
        label: false,
        description: None,
    };
    lookup.windows = vec![window("sum", WindowFunction::Sum), window("mean", WindowFunction::Mean)];
    lookup
}

fn spec(lookup: Lookup, threads: usize) -> AsOfSpec {
    let mut spec = AsOfSpec::new("t");
    spec.threads = threads;
    spec.lookups = vec![lookup];
    spec
}

async fn files(rows: usize) -> ParquetSource {
    kit::parquet(&view().schema(), &slices(&view(), rows), 1_000, &[]).await
}

async fn joined(source: FeatureSource, threads: usize, limit: Option<usize>) -> Result<(RecordBatch, u64), Error> {
    let context = kit::context(limit);
    let spine = spine();
    let plan = kit::scan(&context, &spine.schema(), slices(&spine, 1_000));
    let (rows, counts) = kit::run(&context, plan, spec(lookup(source), threads)).await?;
    Ok((rows, counts.spine_pieces))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_limit_changes_the_pieces_and_not_one_bit_of_the_answer() {
    let (whole, pieces) = joined(FeatureSource::Parquet(files(6_000).await), 2, None)
        .await
        .expect("no limit");
    assert_eq!(pieces, 1);
    for limit in [4_000_000, 2_000_000] {
        let (rows, pieces) = joined(FeatureSource::Parquet(files(6_000).await), 2, Some(limit))
            .await
            .expect("a small limit");
        assert!(pieces > 3, "{pieces} pieces within {limit} bytes");
        assert_eq!(rows, whole);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_does_not_fit_is_spilled_and_not_one_bit_changes() {
    let (whole, _) = joined(FeatureSource::Parquet(files(6_000).await), 1, None)
        .await
        .expect("no limit");
    let limit = 4_000_000;
    let context = kit::context(Some(limit));
    let query = kit::scan(&context, &view().schema(), slices(&view(), 500));
    let plan = kit::scan(&context, &spine().schema(), slices(&spine(), 1_000));
    let spilled = context.runtime_env().disk_manager.used_disk_space();
    let (rows, _) = kit::run(&context, plan, spec(lookup(FeatureSource::Query(Box::new(query))), 2))
        .await
        .expect("a spooled query");
    assert_eq!(rows, whole);
    assert_eq!(
        context.runtime_env().disk_manager.used_disk_space(),
        spilled,
        "spill files are gone"
    );
    assert_eq!(
        context.runtime_env().memory_pool.reserved(),
        0,
        "all memory was given back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_the_size_of_files_do_not_change_one_bit() {
    let (one, _) = joined(FeatureSource::Parquet(files(20_000).await), 1, None)
        .await
        .expect("one thread");
    for (threads, rows) in [(2, 20_000), (4, 3_000), (8, 100)] {
        let (many, _) = joined(FeatureSource::Parquet(files(rows).await), threads, None)
            .await
            .expect("threads");
        assert_eq!(many, one, "{threads} threads, files of {rows} rows");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_no_join_fits_is_said_and_nothing_is_returned() {
    let error = joined(FeatureSource::Parquet(files(6_000).await), 2, Some(20_000))
        .await
        .expect_err("20 kB are too few");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_sorted_spine_and_a_sorted_query_stay_sorted_with_several_partitions() {
    let context = kit::context(None);
    context
        .state_ref()
        .write()
        .config_mut()
        .options_mut()
        .execution
        .target_partitions = 4;
    let sorted = |plan, column: &str| {
        LogicalPlanBuilder::from(plan)
            .sort(vec![col(column).sort(true, true)])
            .and_then(LogicalPlanBuilder::build)
            .expect("a sort")
    };
    let spine = spine();
    let plan = sorted(kit::scan(&context, &spine.schema(), slices(&spine, 1_000)), "text");
    // Rows that tie in event time are ranked by the query's order.
    let view = batch(vec![
        (
            "user",
            Arc::new((0..9_000).map(|row| row % 499).collect::<Int64Array>()),
        ),
        ("at", times((0..9_000).map(|_| 0))),
        (
            "rank",
            Arc::new((0..9_000).map(|row| row * 7_919 % 9_001).collect::<Int64Array>()),
        ),
    ]);
    let query = sorted(kit::scan(&context, &view.schema(), slices(&view, 100)), "rank");
    let mut lookup = Lookup::new("view", "at", FeatureSource::Query(Box::new(query)));
    lookup.keys = vec![KeyPair::same("user")];
    lookup.features = vec![Feature::new("rank")];
    let (rows, _) = kit::run(&context, plan, spec(lookup, 2)).await.expect("rows");
    let texts: Vec<&str> = arrow::array::AsArray::as_string::<i32>(rows.column(2))
        .iter()
        .flatten()
        .collect();
    assert!(texts.is_sorted(), "the spine's order is kept");
    let users = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(rows.column(0))
        .values()
        .to_vec();
    let ranks = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(rows.column(3))
        .values()
        .to_vec();
    for (user, rank) in users.into_iter().zip(ranks).take(1_000) {
        let last = (0..9_000)
            .filter(|row| row % 499 == user)
            .map(|row| row * 7_919 % 9_001)
            .max()
            .expect("rows");
        assert_eq!(rank, last, "user {user}: the last in the query's order");
    }
}

#[tokio::test]
async fn a_column_that_an_old_file_lacks_is_null_there_and_narrow_numbers_widen() {
    let old = batch(vec![
        ("user", Arc::new(arrow::array::Int32Array::from(vec![1]))),
        ("at", times([5].into_iter())),
    ]);
    let new = batch(vec![
        ("user", Arc::new(Int64Array::from(vec![2]))),
        ("at", times([6].into_iter())),
        ("amount", Arc::new(Int64Array::from(vec![7]))),
    ]);
    let source = kit::parquet(&new.schema(), &[old, new], 10, &[]).await;
    let context = kit::context(None);
    let spine = batch(vec![
        ("user", Arc::new(Int64Array::from(vec![1, 2]))),
        ("t", times([9, 9].into_iter())),
    ]);
    let plan = kit::scan(&context, &spine.schema(), vec![spine.clone()]);
    let mut lookup = Lookup::new("view", "at", FeatureSource::Parquet(source));
    lookup.keys = vec![KeyPair::same("user")];
    lookup.features = vec![Feature {
        column: "amount".to_owned(),
        data_type: Some(DataType::Float64),
    }];
    lookup.with_status = true;
    let (rows, _) = kit::run(&context, plan, spec(lookup, 2)).await.expect("rows");
    assert_eq!(
        rows.column(2).as_ref(),
        &Float64Array::from(vec![None, Some(7.0)]) as &dyn arrow::array::Array
    );
    let statuses = StringArray::from(vec!["NULL_VALUE", "PRESENT"]);
    assert_eq!(rows.column(3).as_ref(), &statuses as &dyn arrow::array::Array);
}

#[tokio::test]
async fn a_files_commit_time_is_its_rows_created_time() {
    let file = |amount: i64| {
        batch(vec![
            ("user", Arc::new(Int64Array::from(vec![1]))),
            ("at", times([5].into_iter())),
            ("amount", Arc::new(Int64Array::from(vec![amount]))),
        ])
    };
    let files = [file(1), file(2)];
    let context = kit::context(None);
    let spine = batch(vec![
        ("user", Arc::new(Int64Array::from(vec![1, 1, 1]))),
        ("t", times([9, 15, 25].into_iter())),
    ]);
    for (known_at, wanted) in [
        (KnownAt::Row, [None, Some(1), Some(2)]),
        (KnownAt::Time(Timestamp::from_micros(19)), [Some(1); 3]),
        (KnownAt::None, [Some(2); 3]),
    ] {
        let source = kit::parquet(&files[0].schema(), &files, 10, &[Some(10), Some(20)]).await;
        let mut lookup = Lookup::new("view", "at", FeatureSource::Parquet(source));
        lookup.keys = vec![KeyPair::same("user")];
        lookup.features = vec![Feature::new("amount")];
        let mut spec = spec(lookup, 2);
        spec.known_at = known_at;
        let plan = kit::scan(&context, &spine.schema(), vec![spine.clone()]);
        let (rows, _) = kit::run(&context, plan, spec).await.expect("rows");
        assert_eq!(
            rows.column(2).as_ref(),
            &Int64Array::from(wanted.to_vec()) as &dyn arrow::array::Array,
            "{known_at:?}"
        );
    }
}

#[tokio::test]
async fn known_at_without_a_created_time_is_refused() {
    let context = kit::context(None);
    let spine = spine();
    let plan = kit::scan(&context, &spine.schema(), vec![spine]);
    let mut spec = spec(lookup(FeatureSource::Parquet(files(20_000).await)), 2);
    spec.known_at = KnownAt::Row;
    let error = kit::run(&context, plan, spec).await.expect_err("no created time");
    assert!(
        matches!(&error, Error::NoCreatedTime { view } if view == "view"),
        "{error:?}"
    );
    assert!(!error.cures().is_empty());
}

#[tokio::test]
async fn a_missing_file_is_not_found_and_a_broken_one_is_corrupt() {
    let mut source = files(20_000).await;
    source.files[0].path = "nowhere.parquet".into();
    let error = joined(FeatureSource::Parquet(source.clone()), 2, None)
        .await
        .expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let path: object_store::path::Path = "broken.parquet".into();
    object_store::ObjectStoreExt::put(&source.store, &path, vec![7u8; 100].into())
        .await
        .expect("stored");
    source.files[0].path = path;
    source.files[0].size = 100;
    let error = joined(FeatureSource::Parquet(source), 2, None)
        .await
        .expect_err("not a Parquet file");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn numbers_that_lie_close_together_and_far_apart_are_found() {
    const FAR: [i64; 5] = [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX];
    let asked = |keys: &[i64]| {
        batch(vec![
            ("id", Arc::new(Int64Array::from(keys.to_vec()))),
            ("t", times(keys.iter().map(|_| 9))),
        ])
    };
    for spine in [
        &FAR[..],
        &[5, 7, 6],
        &[i64::MAX, i64::MAX - 2],
        &[i64::MIN, i64::MIN + 3],
        &[0],
        &[],
    ] {
        let known: Vec<i64> = FAR
            .into_iter()
            .chain(-2..9)
            .chain([i64::MAX - 2, i64::MIN + 3])
            .collect();
        let view = batch(vec![
            ("id", Arc::new(Int64Array::from(known.clone()))),
            ("at", times(known.iter().map(|_| 1))),
            ("amount", Arc::new(Int64Array::from(known))),
        ]);
        let context = kit::context(None);
        let source = FeatureSource::Query(Box::new(kit::scan(&context, &view.schema(), vec![view])));
        let mut lookup = Lookup::new("view", "at", source);
        lookup.keys = vec![KeyPair::same("id")];
        lookup.features = vec![Feature::new("amount")];
        let rows = asked(spine);
        let plan = kit::scan(&context, &rows.schema(), vec![rows]);
        let (rows, _) = kit::run(&context, plan, spec(lookup, 1)).await.expect("rows");
        let wanted: &dyn arrow::array::Array = &Int64Array::from(spine.to_vec());
        assert_eq!(rows.column(2).as_ref(), wanted);
    }
}

#[tokio::test]
async fn unsigned_and_signed_keys_of_64_bits_are_compared_exactly() {
    let large = u64::MAX - 1;
    let view = batch(vec![
        ("id", Arc::new(arrow::array::UInt64Array::from(vec![large, 5]))),
        ("at", times([1, 1].into_iter())),
        ("amount", Arc::new(Int64Array::from(vec![1, 2]))),
    ]);
    let context = kit::context(None);
    // As 64-bit patterns, -2 and the large number are the same.
    let spine = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![-2, 5]))),
        ("t", times([9, 9].into_iter())),
    ]);
    let mut lookup = Lookup::new(
        "view",
        "at",
        FeatureSource::Query(Box::new(kit::scan(&context, &view.schema(), vec![view]))),
    );
    lookup.keys = vec![KeyPair::same("id")];
    lookup.features = vec![Feature::new("amount")];
    let plan = kit::scan(&context, &spine.schema(), vec![spine]);
    let (rows, _) = kit::run(&context, plan, spec(lookup, 1)).await.expect("rows");
    assert_eq!(
        rows.column(2).as_ref(),
        &Int64Array::from(vec![None, Some(2)]) as &dyn arrow::array::Array
    );
}

#[test]
fn a_spine_without_the_time_column_is_refused() {
    let schema = Arc::new(Schema::new(vec![Field::new("user", DataType::Int64, true)]));
    let context = kit::context(None);
    let plan = kit::scan(&context, &schema, vec![]);
    let error = drumlin_asof::AsOfJoin::new(plan, AsOfSpec::new("t")).expect_err("no time column");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(format!("{:?}", error.cures()).contains("user"), "{:?}", error.cures());
}
