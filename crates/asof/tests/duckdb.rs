//! A second judge: DuckDB's `ASOF JOIN` on the same Parquet files, where its definition and the law's meet:
//! no ties, no nulls, inclusive, no age, nothing known later. It is run in the Python that `make tools` installs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow::{
    array::{AsArray, Int64Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit},
};
use drumlin_asof::{AsOfSpec, Feature, FeatureSource, KeyPair, Lookup, ParquetFile, ParquetSource};
use object_store::local::LocalFileSystem;
use parquet::arrow::ArrowWriter;

use crate::kit;

const QUERY: &str = "
import duckdb, sys
folder = sys.argv[1]
rows = duckdb.sql(f'''
    select spine.row, view.amount
    from read_parquet('{folder}/spine.parquet') spine
    asof left join read_parquet('{folder}/view.parquet') view on spine.user = view.user and spine.t >= view.at
    order by spine.row''').fetchall()
print('\\n'.join(f'{row},{amount}' for row, amount in rows))
";

fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python");
    assert!(path.exists(), "the tests' Python is not there: run `make tools`");
    path
}

fn batch(names: [&str; 3], columns: [Int64Array; 3]) -> RecordBatch {
    let times = cast(
        &columns[1],
        &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    )
    .expect("times");
    let [first, _, last] = columns;
    let columns: [arrow::array::ArrayRef; 3] = [Arc::new(first), times, Arc::new(last)];
    RecordBatch::try_from_iter(names.into_iter().zip(columns)).expect("a batch")
}

fn write(path: &Path, batch: &RecordBatch) -> u64 {
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("rows");
    writer.close().expect("a footer");
    path.metadata().expect("a file").len()
}

/// Times of the view are all different, so that no two rows tie.
fn tables(seed: i64) -> (RecordBatch, RecordBatch) {
    let (spine_rows, view_rows, users) = (20_000, 50_000, 300 + seed * 97);
    let mixed = |row: i64, factor: i64, modulus: i64| (row + seed).wrapping_mul(factor).rem_euclid(modulus);
    let spine = batch(
        ["user", "t", "row"],
        [
            (0..spine_rows).map(|row| mixed(row, 7_919, users)).collect(),
            (0..spine_rows)
                .map(|row| mixed(row, 104_729, 1_000_003) - 500_000)
                .collect(),
            (0..spine_rows).collect(),
        ],
    );
    let view = batch(
        ["user", "at", "amount"],
        [
            (0..view_rows).map(|row| mixed(row, 15_485_863, users + 20)).collect(),
            (0..view_rows)
                .map(|row| mixed(row, 32_452_843, 1_000_003) - 500_000)
                .collect(),
            (0..view_rows).collect(),
        ],
    );
    (spine, view)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_gives_the_same_rows() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let (spine, view) = tables(seed);
        write(&folder.path().join("spine.parquet"), &spine);
        let size = write(&folder.path().join("view.parquet"), &view);
        let store = LocalFileSystem::new_with_prefix(folder.path()).expect("a store");
        let files = vec![ParquetFile {
            path: "view.parquet".into(),
            size,
            written: None,
        }];
        let source = ParquetSource {
            store: Arc::new(store),
            schema: view.schema(),
            files,
        };
        let mut lookup = Lookup::new("view", "at", FeatureSource::Parquet(source));
        lookup.keys = vec![KeyPair::same("user")];
        lookup.features = vec![Feature::new("amount")];
        let mut spec = AsOfSpec::new("t");
        spec.lookups = vec![lookup];
        let context = kit::context(None);
        let plan = kit::scan(&context, &spine.schema(), vec![spine]);
        let (rows, _) = kit::run(&context, plan, spec).await.expect("rows");
        let ours: Vec<String> = rows
            .column(2)
            .as_primitive::<Int64Type>()
            .iter()
            .zip(rows.column(3).as_primitive::<Int64Type>())
            .map(|(row, amount)| {
                format!(
                    "{},{}",
                    row.expect("a number"),
                    amount.map_or("None".to_owned(), |amount| amount.to_string())
                )
            })
            .collect();
        let judge = Command::new(python())
            .args(["-c", QUERY])
            .arg(folder.path())
            .output()
            .expect("python runs");
        assert!(judge.status.success(), "{}", String::from_utf8_lossy(&judge.stderr));
        let theirs = String::from_utf8(judge.stdout).expect("text");
        let found = ours.iter().filter(|row| !row.ends_with("None")).count();
        assert!(
            found > 10_000,
            "only {found} rows have an answer: this would test nothing"
        );
        assert!(theirs.lines().eq(ours.iter()), "seed {seed}: DuckDB and Drumlin differ");
    }
}
