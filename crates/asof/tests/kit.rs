//! What the tests of the as-of join share: running one, tables from batches, Parquet files in memory.

use std::sync::Arc;

use arrow::{array::RecordBatch, compute::concat_batches, datatypes::SchemaRef};
use datafusion::{
    datasource::MemTable,
    execution::{memory_pool::FairSpillPool, runtime_env::RuntimeEnvBuilder, session_state::SessionStateBuilder},
    logical_expr::LogicalPlan,
    prelude::{DataFrame, SessionConfig, SessionContext},
};
use drumlin_asof::{AsOfJoin, AsOfSpec, Counts, Error, ParquetFile, ParquetSource, with_as_of};
use drumlin_model::{Timestamp, feature::Length};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

/// A session with one partition and, if given, a memory limit in bytes.
pub fn context(limit_bytes: Option<usize>) -> SessionContext {
    let mut runtime = RuntimeEnvBuilder::new();
    if let Some(limit) = limit_bytes {
        runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(limit)));
    }
    let runtime = Arc::new(runtime.build().expect("a runtime"));
    let config = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    SessionContext::new_with_state(with_as_of(state))
}

/// A length of time, in microseconds.
pub fn length(micros: i64) -> Length {
    Length::from_micros(micros).expect("more than nothing")
}

/// The batches as a plan that returns them one by one.
pub fn scan(context: &SessionContext, schema: &SchemaRef, batches: Vec<RecordBatch>) -> LogicalPlan {
    let table = MemTable::try_new(schema.clone(), vec![batches]).expect("a table");
    context
        .read_table(Arc::new(table))
        .expect("a scan")
        .logical_plan()
        .clone()
}

/// Runs the join and returns its rows, and what it counted.
pub async fn run(context: &SessionContext, spine: LogicalPlan, spec: AsOfSpec) -> Result<(RecordBatch, Counts), Error> {
    let join = AsOfJoin::new(spine, spec)?;
    let (schema, report) = (join.schema(), join.report());
    let frame = DataFrame::new(context.state(), join.into_plan());
    let batches = frame.collect().await.map_err(Error::from_datafusion)?;
    Ok((
        concat_batches(&schema, &batches).expect("batches of one schema"),
        report.counts(),
    ))
}

/// Writes each batch as a Parquet file with row groups of `group_rows`, in the order given.
pub async fn parquet(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    group_rows: usize,
    created: &[Option<i64>],
) -> ParquetSource {
    let store = InMemory::new();
    let mut files = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(group_rows))
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
        writer.write(batch).expect("rows written");
        writer.close().expect("a footer");
        // Names that do not sort in the order of writing: the order is that of the list.
        let path = object_store::path::Path::from(format!("{}-{number}.parquet", (7 * number + 3) % 10));
        let size = bytes.len() as u64;
        store.put(&path, bytes.into()).await.expect("stored");
        files.push(ParquetFile {
            path,
            size,
            written: created.get(number).copied().flatten().map(Timestamp::from_micros),
        });
    }
    ParquetSource {
        store: Arc::new(store) as Arc<dyn ObjectStore>,
        schema: schema.clone(),
        files,
    }
}
