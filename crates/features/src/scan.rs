//! A table's Parquet files read one after the other, in the order of writing: a spine keeps its order, a row its sequence.
//! `source` finds the files; the as-of join reads them by itself, since it does not need their order in memory.
//! Invariant: batches have exactly the wanted columns in the table's types, whatever an older file lacks.

use std::{fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    compute::cast,
    datatypes::{Schema, SchemaRef},
};
use datafusion::{
    catalog::streaming::StreamingTable,
    error::DataFusionError,
    execution::TaskContext,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use drumlin_asof::{ParquetFile, ParquetSource};
use drumlin_model::Input;
use futures::{StreamExt, TryFutureExt, TryStreamExt, stream, stream::BoxStream};
use object_store::ObjectStore;
use parquet::arrow::{
    ProjectionMask,
    async_reader::{self, ParquetRecordBatchStreamBuilder},
};

use crate::error::{Error, Result};

/// Rows that are decoded at once.
pub(crate) const BATCH_ROWS: usize = 8192;

/// A table at a commit, its files in the order of writing.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub name: String,
    pub input: Input,
    pub schema: SchemaRef,
    pub store: Arc<dyn ObjectStore>,
    pub files: Vec<ParquetFile>,
}

impl Table {
    /// For the as-of join.
    pub fn parquet_source(&self) -> ParquetSource {
        ParquetSource {
            store: self.store.clone(),
            schema: self.schema.clone(),
            files: self.files.clone(),
        }
    }

    /// The names of the first `count` files as one hash: equal while the table has only been appended to.
    pub fn files_hash(&self, count: usize) -> Option<String> {
        let mut hasher = blake3::Hasher::new();
        for file in self.files.get(..count)? {
            hasher.update(&(file.path.as_ref().len() as u64).to_le_bytes());
            hasher.update(file.path.as_ref().as_bytes());
        }
        Some(hasher.finalize().to_hex().to_string())
    }

    /// The schema of some of its columns; those that it lacks are left out.
    pub fn project(&self, columns: &[String]) -> SchemaRef {
        let fields = columns
            .iter()
            .filter_map(|name| self.schema.field_with_name(name).ok().cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// One file's rows, in order.
    pub fn read_file(&self, file: &ParquetFile, schema: SchemaRef) -> BoxStream<'static, Result<RecordBatch>> {
        let (store, file) = (self.store.clone(), file.clone());
        let opened = async move {
            let failed = || Error::parquet("read a table's file");
            let builder = open(&store, &file).await?;
            let wanted = builder.schema().fields().iter().enumerate();
            let wanted = wanted
                .filter(|(_, field)| schema.field_with_name(field.name()).is_ok())
                .map(|(index, _)| index);
            let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
            let rows = builder
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(failed())?;
            Ok(rows.map(move |batch| adapt(&batch.map_err(Error::parquet("read a table's file"))?, &schema)))
        };
        opened.try_flatten_stream().boxed()
    }

    /// All rows of the table, in the order of writing.
    pub fn rows(&self, schema: &SchemaRef) -> BoxStream<'static, Result<RecordBatch>> {
        let (table, schema, files) = (self.clone(), schema.clone(), self.files.clone());
        stream::iter(files)
            .flat_map(move |file| table.read_file(&file, schema.clone()))
            .boxed()
    }

    /// The table for a plan that has to keep the order of its rows.
    pub fn ordered(&self, schema: SchemaRef) -> Result<Arc<StreamingTable>> {
        let rows = OrderedRows {
            table: self.clone(),
            schema: schema.clone(),
        };
        let table = StreamingTable::try_new(schema, vec![Arc::new(rows)]);
        table
            .map(Arc::new)
            .map_err(Error::query(format!("table {:?}", self.name)))
    }
}

/// The columns of a Parquet file.
pub(crate) async fn schema_of(store: &Arc<dyn ObjectStore>, file: &ParquetFile) -> Result<SchemaRef> {
    Ok(open(store, file).await?.schema().clone())
}

#[expect(
    deprecated,
    reason = "the reader over object_store is what we need; its successor is an example to copy"
)]
async fn open(
    store: &Arc<dyn ObjectStore>,
    file: &ParquetFile,
) -> Result<ParquetRecordBatchStreamBuilder<async_reader::ParquetObjectReader>> {
    let reader = async_reader::ParquetObjectReader::new(store.clone(), file.path.clone()).with_file_size(file.size);
    ParquetRecordBatchStreamBuilder::new(reader)
        .await
        .map_err(Error::parquet("open a table's file"))
}

/// A batch with the columns of `schema`, cast to its types; null where the file has none.
fn adapt(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
            Some(array) => cast(array, field.data_type()).map_err(Error::arrow(format!("column {:?}", field.name()))),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(Error::arrow("a table's rows"))
}

struct OrderedRows {
    table: Table,
    schema: SchemaRef,
}

impl fmt::Debug for OrderedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderedRows({})", self.table.name)
    }
}

impl PartitionStream for OrderedRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self
            .table
            .rows(&self.schema)
            .map_err(|error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}
