//! Rows into data files, and the verbs that need nothing but that: create, append, overwrite.
//! `upsert` and `delete` rewrite rows; `verb` runs them all in sessions.
//! Invariant: files hold the rows in the order given, so equal input gives equal bytes, whatever the machine.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema, SchemaRef},
};
use datafusion::{error::DataFusionError, execution::SendableRecordBatchStream};
use deltalake::{
    datafile::writer::{DeltaWriter, WriterConfig},
    kernel::Action,
    operations::get_num_idx_cols_and_stats_columns,
    protocol::{DeltaOperation, SaveMode},
};
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::{RepoPath, Timestamp};
use drumlin_objects::object_path;
use futures::StreamExt;
use object_store::{ObjectStore, prefix::PrefixStore};
use parquet::{
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::{
    delta::{Delta, ORDER_TAG, SESSION_SCOPE, Stamp, WRITTEN_TAG, has_false_bounds},
    engine::Engine,
    error::{Error, Result},
    fit::Fit,
    keys::{Keys, Part, PartKeys},
    read::Incoming,
};

/// Rows per Parquet row group: what a reader of one group holds, and the grain of its statistics.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// A data file is closed when it has about this many bytes, so that files are read in parallel and rewritten in part.
pub(crate) const DATA_FILE_BYTES: NonZeroU64 = NonZeroU64::new(128 << 20).expect("not zero");
/// Rows between looks at a file's size.
const WRITE_ROWS: usize = 8192;
/// Level 3 is zstd's own default: half the bytes of level 1 gains little more for twice the time.
const ZSTD_LEVEL: i32 = 3;

/// Columns of which the log has bounds: Delta's own default.
const STATISTICS_COLUMNS_MAX: usize = 32;

/// What one write did to a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableWrite {
    /// The table's version after it.
    pub(crate) version: u64,
    pub(crate) rows: u64,
    /// Rows that were there before and are not now.
    pub(crate) rows_removed: u64,
}

impl Engine {
    /// Makes a new table of the rows.
    pub(crate) async fn create_table(
        &self,
        store: Arc<dyn ObjectStore>,
        path: &RepoPath,
        incoming: &mut Incoming,
        key: &[String],
        progress: &dyn Progress,
    ) -> Result<TableWrite> {
        let fit = Fit::new_table(&incoming.rows.schema(), &incoming.name)?;
        check_key(&fit.schema, key, &incoming.name)?;
        let fit = fit.with_key(key);
        let stamp = Written::new(self.repo().now(), 0);
        let files = self.write_files(&store, path, &fit, incoming, &stamp, progress).await?;
        let version = Delta::create(store, path, SESSION_SCOPE, &fit.schema, key, files.adds).await?;
        Ok(TableWrite {
            version,
            rows: files.rows,
            rows_removed: 0,
        })
    }

    /// Adds the rows after those that are there; `evolve` adds columns that the table lacks.
    pub(crate) async fn append_rows(
        &self,
        table: &Delta,
        incoming: &mut Incoming,
        evolve: bool,
        progress: &dyn Progress,
    ) -> Result<TableWrite> {
        table.require_writable()?;
        let input = incoming.rows.schema();
        let fit = Fit::existing(&table.path, &table.schema(), &input, &incoming.name, evolve)?;
        let fit = fit.with_key(&table.key());
        let stamp = self.stamp_of_next(table).await?;
        let files = self
            .write_files(&table.store, &table.path, &fit, incoming, &stamp, progress)
            .await?;
        let mut actions = files.adds;
        if fit.evolved {
            actions.push(table.metadata_with(&fit.schema)?);
        }
        let version = table.commit(actions, write_operation(SaveMode::Append)).await?;
        Ok(TableWrite {
            version,
            rows: files.rows,
            rows_removed: 0,
        })
    }

    /// Puts the rows in place of all rows and of the schema. The key stays: the new schema must have its columns.
    pub(crate) async fn overwrite_rows(
        &self,
        table: &Delta,
        incoming: &mut Incoming,
        progress: &dyn Progress,
    ) -> Result<TableWrite> {
        table.require_writable()?;
        let fit = Fit::new_table(&incoming.rows.schema(), &incoming.name)?;
        check_key(&fit.schema, &table.key(), &incoming.name)?;
        let fit = fit.with_key(&table.key());
        let stamp = self.stamp_of_next(table).await?;
        let files = self
            .write_files(&table.store, &table.path, &fit, incoming, &stamp, progress)
            .await?;
        let rows_removed = table
            .files()
            .filter_map(|file| file.num_records())
            .map(|rows| rows as u64)
            .sum();
        let mut actions: Vec<_> = table
            .files()
            .map(|file| Action::Remove(file.remove_action(true)))
            .collect();
        actions.extend(files.adds);
        if fit.schema != table.schema() {
            actions.push(table.metadata_with(&fit.schema)?);
        }
        let version = table.commit(actions, write_operation(SaveMode::Overwrite)).await?;
        Ok(TableWrite {
            version,
            rows: files.rows,
            rows_removed,
        })
    }

    /// Streams rows into new data files of the table; nothing refers to them yet. Refuses a key that is there twice.
    async fn write_files(
        &self,
        store: &Arc<dyn ObjectStore>,
        path: &RepoPath,
        fit: &Fit,
        incoming: &mut Incoming,
        stamp: &Written,
        progress: &dyn Progress,
    ) -> Result<DataFiles> {
        let Incoming { rows, total, name, .. } = incoming;
        let (task, name) = (Task::start(progress, "write", *total, Unit::Rows), name.as_str());
        let mut files = DataFileWriter::new(store, path, &fit.schema, Some(DATA_FILE_BYTES));
        if fit.key().is_empty() {
            let shape = |batch| fit.apply(&batch, name);
            files.write(self, rows, shape, name, &task).await?;
            return files.finish(stamp).await;
        }
        let mut keys = self.new_keys(&fit.schema, fit.key())?;
        let shape = |batch| {
            let batch = fit.apply(&batch, name)?;
            keys.push(&batch)?;
            Ok(batch)
        };
        files.write(self, rows, shape, name, &task).await?;
        self.check_unique(&mut keys, name)?;
        files.finish(stamp).await
    }

    /// An empty list of keys in a scratch file.
    pub(crate) fn new_keys(&self, schema: &SchemaRef, key: &[String]) -> Result<Keys> {
        Keys::new(schema, key, self.scratch_file()?.into_file())
    }

    fn check_unique(&self, keys: &mut Keys, name: &str) -> Result<()> {
        let parts = keys.parts(self.options().memory_limit_bytes)?;
        for part in 0..parts {
            let part = keys.part(Part { part, parts }, &self.runtime_env().memory_pool);
            let part = part.map_err(|error| self.explain("look for duplicate keys", error))?;
            if let PartKeys::Doubled { first, second } = part {
                return Err(Error::DuplicateKey {
                    file: name.to_owned(),
                    first: first + 1,
                    second: second + 1,
                    key: keys.columns().join(", "),
                });
            }
        }
        Ok(())
    }

    /// What the files of a write say that makes the table's next version.
    pub(crate) async fn stamp_of_next(&self, table: &Delta) -> Result<Written> {
        let written = table.next_written(self.repo().now()).await?;
        Ok(Written::new(written, table.version() + 1))
    }
}

/// When and by which version the rows of new files were written.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// By the version that the write makes.
    Now { written: Timestamp, version: u64 },
    /// In a file that this one replaces.
    Before(Stamp),
}

impl Written {
    fn new(written: Timestamp, version: u64) -> Self {
        Written::Now { written, version }
    }
    fn tags(&self, part: usize) -> HashMap<String, Option<String>> {
        let (written, order) = match self {
            Written::Now { written, version } => (*written, format!("{version:020}/{part:05}")),
            Written::Before(stamp) => (stamp.written, stamp.order.clone()),
        };
        HashMap::from([
            (WRITTEN_TAG.to_owned(), Some(written.micros().to_string())),
            (ORDER_TAG.to_owned(), Some(order)),
        ])
    }
}

/// New data files, as actions that add them.
#[derive(Debug, Default)]
pub(crate) struct DataFiles {
    pub(crate) adds: Vec<Action>,
    pub(crate) rows: u64,
}

/// Data files being written; several streams may follow one another.
pub(crate) struct DataFileWriter {
    writer: DeltaWriter,
    path: RepoPath,
    rows: u64,
}

impl DataFileWriter {
    /// Without `file_bytes` all rows go into one file.
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        path: &RepoPath,
        schema: &SchemaRef,
        file_bytes: Option<NonZeroU64>,
    ) -> Self {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("a level that zstd has");
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Page);
        // Bounds of floats leave out NaN, which readers take for greater than all else.
        for path in float_leaves(schema) {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        let (indexed, _) = get_num_idx_cols_and_stats_columns(None, HashMap::new());
        let config = WriterConfig::new(
            schema.clone(),
            Vec::new(),
            Some(properties.build()),
            file_bytes,
            Some(WRITE_ROWS),
            indexed,
            Some(statistics_columns(schema)),
        );
        let below = Arc::new(PrefixStore::new(store.clone(), object_path(path)));
        Self {
            writer: DeltaWriter::new(below, config),
            path: path.clone(),
            rows: 0,
        }
    }

    /// Writes all rows of a stream, each batch through `shape` first. Gives how many rows there were.
    pub(crate) async fn write(
        &mut self,
        engine: &Engine,
        rows: &mut SendableRecordBatchStream,
        mut shape: impl FnMut(RecordBatch) -> Result<RecordBatch>,
        name: &str,
        task: &Task<'_>,
    ) -> Result<u64> {
        let before = self.rows;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error: DataFusionError| engine.explain(&format!("read {name}"), error))?;
            task.advance(batch.num_rows() as u64);
            let batch = shape(batch)?;
            self.writer
                .write(&batch)
                .await
                .map_err(Error::delta(format!("write rows to {}", self.path)))?;
            self.rows += batch.num_rows() as u64;
        }
        Ok(self.rows - before)
    }

    /// Closes the files and says in the log when their rows were written.
    pub(crate) async fn finish(self, stamp: &Written) -> Result<DataFiles> {
        let adds = self
            .writer
            .close()
            .await
            .map_err(Error::delta(format!("write the files of {}", self.path)))?;
        let tagged = |(part, mut add): (usize, deltalake::kernel::Add)| {
            add.tags = Some(stamp.tags(part));
            Action::Add(add)
        };
        Ok(DataFiles {
            adds: adds.into_iter().enumerate().map(tagged).collect(),
            rows: self.rows,
        })
    }
}

/// Where floats are, as Parquet names its leaves.
fn float_leaves(schema: &Schema) -> Vec<ColumnPath> {
    fn visit(path: &[String], kind: &DataType, found: &mut Vec<ColumnPath>) {
        let below = |names: &[&str]| [path, &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()].concat();
        match kind {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => found.push(ColumnPath::new(path.to_vec())),
            DataType::List(item) => visit(&below(&["list", item.name()]), item.data_type(), found),
            DataType::Struct(fields) => {
                for field in fields {
                    visit(&below(&[field.name()]), field.data_type(), found);
                }
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return;
                };
                for field in fields {
                    visit(&below(&[entries.name(), field.name()]), field.data_type(), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for field in schema.fields() {
        visit(&[field.name().clone()], field.data_type(), &mut found);
    }
    found
}

/// The columns of which the log has bounds, quoted. Delta finds them by the name of a leaf, wherever it stands, so a
/// column that shares its name with one inside another has none.
fn statistics_columns(schema: &Schema) -> Vec<String> {
    fn names(kind: &DataType, found: &mut Vec<String>) {
        match kind {
            DataType::List(item) | DataType::Map(item, _) => {
                found.push(item.name().clone());
                names(item.data_type(), found);
            }
            DataType::Struct(fields) => {
                for field in fields {
                    found.push(field.name().clone());
                    names(field.data_type(), found);
                }
            }
            _ => {}
        }
    }
    let mut inner = Vec::new();
    for field in schema.fields() {
        names(field.data_type(), &mut inner);
    }
    let plain = schema.fields().iter().filter(|field| {
        !field.data_type().is_nested() && !has_false_bounds(field.data_type()) && !inner.contains(field.name())
    });
    plain
        .take(STATISTICS_COLUMNS_MAX)
        .map(|field| format!("\"{}\"", field.name().replace('"', "\"\"")))
        .collect()
}

fn write_operation(mode: SaveMode) -> DeltaOperation {
    DeltaOperation::Write {
        mode,
        partition_by: None,
        predicate: None,
    }
}

/// The key's columns must be there.
pub(crate) fn check_key(schema: &SchemaRef, key: &[String], file: &str) -> Result<()> {
    match key.iter().find(|column| schema.index_of(column).is_err()) {
        None => Ok(()),
        Some(column) => Err(Error::NoColumn {
            file: file.to_owned(),
            column: column.clone(),
            known: schema.fields().iter().map(|field| field.name().clone()).collect(),
        }),
    }
}
