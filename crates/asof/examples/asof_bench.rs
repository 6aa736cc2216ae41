//! One as-of join in a process of its own, Parquet in and Parquet out, for `bench/asof.py`.
//! Prints seconds and peak memory as JSON; the peers do the same in theirs.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use arrow::datatypes::SchemaRef;
use datafusion::{
    execution::{runtime_env::RuntimeEnvBuilder, session_state::SessionStateBuilder},
    prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext},
};
use drumlin_asof::{
    AsOfJoin, AsOfSpec, Feature, FeatureSource, KeyPair, Lookup, ParquetFile, ParquetSource, with_as_of,
};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    file::properties::WriterProperties,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const THREADS: usize = 2;
const ROWS_PER_GROUP: usize = 128 * 1024;

#[expect(clippy::print_stdout, reason = "the result is read by the benchmark")]
fn main() -> Outcome<()> {
    let paths: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [spine, view, out] = paths.as_slice() else {
        return Err("usage: asof_bench SPINE.parquet VIEW.parquet OUT.parquet".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    let begun = Instant::now();
    let rows = runtime.block_on(join(spine, view, out))?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{{\"seconds\": {seconds:.3}, \"peak_mb\": {:.1}, \"rows\": {rows}}}",
        peak_bytes()? as f64 / 1e6
    );
    Ok(())
}

async fn join(spine: &Path, view: &Path, out: &Path) -> Outcome<usize> {
    let runtime = Arc::new(RuntimeEnvBuilder::new().build()?);
    let config = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    let context = SessionContext::new_with_state(with_as_of(state));
    let spine = context
        .read_parquet(spine.to_string_lossy().to_string(), ParquetReadOptions::default())
        .await?;
    let source = source(view)?;
    let mut lookup = Lookup::new("view", "at", FeatureSource::Parquet(source.clone()));
    lookup.keys = vec![KeyPair::same("user")];
    let values = source
        .schema
        .fields()
        .iter()
        .map(|field| field.name())
        .filter(|name| !["user", "at"].contains(&name.as_str()));
    lookup.features = values.map(Feature::new).collect();
    let mut spec = AsOfSpec::new("t");
    spec.threads = THREADS;
    spec.lookups = vec![lookup];
    let join = AsOfJoin::new(spine.logical_plan().clone(), spec)?;
    let schema = join.schema();
    let mut batches = DataFrame::new(context.state(), join.into_plan())
        .execute_stream()
        .await?;
    // Readings hardly ever repeat: a dictionary of them would be made and thrown away.
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP));
    let mut writer = ArrowWriter::try_new(File::create(out)?, schema, Some(properties.build()))?;
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(rows)
}

fn source(view: &Path) -> Outcome<ParquetSource> {
    let folder = view.parent().ok_or("a file lies in a folder")?;
    let name = view
        .file_name()
        .ok_or("a file has a name")?
        .to_string_lossy()
        .to_string();
    let schema: SchemaRef = ParquetRecordBatchReaderBuilder::try_new(File::open(view)?)?
        .schema()
        .clone();
    let file = ParquetFile {
        path: name.into(),
        size: view.metadata()?.len(),
        written: None,
    };
    Ok(ParquetSource {
        store: Arc::new(LocalFileSystem::new_with_prefix(folder)?),
        schema,
        files: vec![file],
    })
}

/// The most memory that this process ever held.
fn peak_bytes() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("a peak")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
