//! Upsert: rows replace those with the same key, and the others are added.
//! `rewrite` has what it shares with `delete`; `keys` knows which rows of the table have a key of the input.
//! Invariant: a key is at most once in the input, and after the write at most once in the rows that it wrote.

use std::{collections::BTreeMap, fs::File, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef, util::display::array_value_to_string};
use datafusion::{
    common::{Column, ScalarValue},
    dataframe::DataFrame,
    datasource::{
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        provider_as_source,
    },
    execution::{
        SessionState,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    functions_aggregate::expr_fn::{max, min},
    logical_expr::{Expr, LogicalPlanBuilder, ident, lit},
};
use deltalake::{
    kernel::Action,
    protocol::{DeltaOperation, MergePredicate},
};
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::Cure;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};
use tempfile::NamedTempFile;
use url::Url;

use crate::{
    delta::{Delta, has_false_bounds},
    engine::{Engine, Plan},
    error::{Error, Result},
    fit::{Fit, check_no_null},
    keys::{KeyPart, Keys, Marked, Part, PartKeys},
    options::UpsertRows,
    read::Incoming,
    rewrite::{FILE_COLUMN, Rewrite, Touched, files_of},
    write::{DATA_FILE_BYTES, DataFileWriter, check_key},
};

const MICROS_PER_MILLI: i64 = 1_000;
/// Of a text's bound, the characters that every writer keeps.
const BOUND_START_LEN: usize = 16;

/// The rows of an upsert, in a file of their own: parsed once and checked; and their keys.
struct Staged {
    file: NamedTempFile,
    keys: Keys,
}

/// The rows of the table that an upsert replaces.
struct Replaced {
    /// By the URL of their file.
    marked: BTreeMap<String, Marked>,
    /// How many keys of the input have such a row.
    keys_there: u64,
    /// What `marked` takes.
    memory: MemoryReservation,
}

impl Engine {
    pub(crate) async fn upsert_rows(
        &self,
        table: &Delta,
        incoming: &mut Incoming,
        asked: &UpsertRows,
        progress: &dyn Progress,
    ) -> Result<Rewrite> {
        table.require_writable()?;
        let Key { columns: key, is_new } = agreed_key(table, &asked.key)?;
        let (input, name) = (incoming.rows.schema(), incoming.name.clone());
        let fit = Fit::existing(&table.path, &table.schema(), &input, &name, asked.evolve)?;
        check_key(&input, &key, &name)?;
        check_whole(table, &input, &name)?;
        let mut staged = self.stage(incoming, &fit, &key, progress).await?;
        if staged.keys.len() == 0 {
            return Ok(Rewrite::default());
        }
        let found = self.mark(table, &mut staged, &name, progress).await?;
        let counts = found.marked.iter().map(|(url, marked)| (url.clone(), marked.count));
        let touched = self.touched(table, counts.collect()).await?;

        let mut actions = self
            .copy_others(table, &touched, &found.marked, &fit.schema, progress)
            .await?;
        let stamp = self.stamp_of_next(table).await?;
        let mut files = DataFileWriter::new(&table.store, &table.path, &fit.schema, Some(DATA_FILE_BYTES));
        let rows_in = self
            .write_staged(&mut files, &staged, &fit, table, &name, progress)
            .await?;
        actions.extend(files.finish(&stamp).await?.adds);
        if is_new {
            actions.push(table.metadata_with_key(&fit.schema, &key)?);
        } else if fit.evolved {
            actions.push(table.metadata_with(&fit.schema)?);
        }
        let version = table.commit(actions, upsert_operation(&key)).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_added: rows_in - found.keys_there,
            rows_changed: found.keys_there,
            rows_removed: touched.rows - found.keys_there,
        })
    }

    /// Copies the rows of the touched files that are not marked.
    async fn copy_others(
        &self,
        table: &Delta,
        touched: &Touched,
        marked: &BTreeMap<String, Marked>,
        schema: &SchemaRef,
        progress: &dyn Progress,
    ) -> Result<Vec<Action>> {
        let state = self.session_state(Plan::Write);
        let task = Task::start(progress, "rewrite", touched.held(), Unit::Rows);
        let mut actions = Vec::new();
        for file in &touched.files {
            let whole = self.file_rows(&state, table, file).await?;
            let (marked, mut row) = (&marked[&file.url], 0);
            let others = |batch: RecordBatch| {
                let first = row;
                row += batch.num_rows() as u64;
                marked.others(&batch, first)
            };
            actions.extend(self.copy(table, file, whole, schema, others, &task).await?);
        }
        Ok(actions)
    }

    /// Writes the rows of the input, in their order.
    async fn write_staged(
        &self,
        files: &mut DataFileWriter,
        staged: &Staged,
        fit: &Fit,
        table: &Delta,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<u64> {
        let task = Task::start(progress, "write", Some(staged.keys.len()), Unit::Rows);
        let state = self.session_state(Plan::Write);
        let input = self.staged_frame(&state, staged).await?;
        let rows = input.execute_stream().await;
        let mut rows = rows.map_err(|error| self.explain("read the staged rows", error))?;
        let exact = Fit::existing(&table.path, &fit.schema, &rows.schema(), name, false)?;
        let shape = |batch| exact.apply(&batch, name);
        files.write(self, &mut rows, shape, name, &task).await
    }

    /// Writes the rows to a scratch file, fitted to the table, and their keys to another; refuses a null key.
    async fn stage(
        &self,
        incoming: &mut Incoming,
        fit: &Fit,
        key: &[String],
        progress: &dyn Progress,
    ) -> Result<Staged> {
        let Incoming { rows, total, name, .. } = incoming;
        let (task, name) = (Task::start(progress, "read", *total, Unit::Rows), name.as_str());
        let doing = || format!("stage the rows of {name}");
        let file = self.scratch_file()?;
        let mut keys = self.new_keys(&fit.schema, key)?;
        // No statistics: bounds of floats leave out NaN, and a reader that trusts them takes a column for a constant.
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("a level that zstd has")))
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let failed = |source| Error::Parquet { doing: doing(), source };
        let handle = file.as_file().try_clone().map_err(Error::io(doing()))?;
        let mut writer = ArrowWriter::<File>::try_new(handle, fit.schema.clone(), Some(properties)).map_err(failed)?;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| self.explain(&format!("read {name}"), error))?;
            task.advance(batch.num_rows() as u64);
            let batch = fit.apply(&batch, name)?;
            check_no_null(&batch, key, keys.len(), name)?;
            keys.push(&batch)?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(Staged { file, keys })
    }

    async fn staged_frame(&self, state: &SessionState, staged: &Staged) -> Result<DataFrame> {
        let path = staged.file.path();
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().into_owned());
        let options = ListingOptions::new(Arc::new(ParquetFormat::default().with_force_view_types(false)))
            .with_file_extension(extension.unwrap_or_default());
        let doing = "read the staged rows";
        let url = Url::from_file_path(path).map_err(|()| Error::Io {
            doing: format!("name {} by a URL: the spill folder must be a full path", path.display()),
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        // Not parsed as text, in which brackets would be a pattern.
        let listed = async {
            let url = ListingTableUrl::try_new(url, None)?;
            let config = ListingTableConfig::new(url).with_listing_options(options);
            let table = Arc::new(ListingTable::try_new(config.infer_schema(state).await?)?);
            let plan = LogicalPlanBuilder::scan("input", provider_as_source(table), None)?.build()?;
            Ok(DataFrame::new(state.clone(), plan))
        };
        listed.await.map_err(|error| self.explain(doing, error))
    }

    /// Finds the rows of the table whose key is among those of the input. A pass over the table's key columns for each part
    /// of the keys that fits in memory. Refuses a key that is in the input twice.
    async fn mark(&self, table: &Delta, staged: &mut Staged, name: &str, progress: &dyn Progress) -> Result<Replaced> {
        let state = self.session_state(Plan::Write);
        let pool = self.runtime_env().memory_pool.clone();
        let mut found = Replaced {
            marked: BTreeMap::new(),
            keys_there: 0,
            memory: MemoryConsumer::new("rows to replace").register(&pool),
        };
        let files = self.candidates(&state, table, staged).await?;
        let parts = staged.keys.parts(self.options().memory_limit_bytes)?;
        let passes = table.rows().filter(|_| files.is_none());
        let task = Task::start(
            progress,
            "find the rows",
            passes.map(|rows| rows * parts as u64),
            Unit::Rows,
        );
        for part in 0..parts {
            let keys = staged.keys.part(Part { part, parts }, &pool);
            let keys = keys.map_err(|error| self.explain("look for duplicate keys", error))?;
            let mut part = match keys {
                PartKeys::Distinct(part) => part,
                PartKeys::Doubled { first, second } => {
                    return Err(self.duplicate(staged, first, second, name).await?);
                }
            };
            if files.as_ref().is_none_or(|files| !files.is_empty()) {
                let rows = self.target(&state, table, Some(FILE_COLUMN), files.as_deref()).await?;
                self.mark_part(rows, &staged.keys, &mut part, &mut found, &task).await?;
            }
            found.keys_there += part.found();
        }
        Ok(found)
    }

    /// The files that may hold a key of the input; none when that is all of them.
    async fn candidates(&self, state: &SessionState, table: &Delta, staged: &Staged) -> Result<Option<Vec<String>>> {
        let failed = |error| self.explain("compare the keys with the files' bounds", error);
        let input = self.staged_frame(state, staged).await?;
        let bounded = |name: &&String| {
            let field = input.schema().field_with_unqualified_name(name);
            field.is_ok_and(|field| !field.data_type().is_nested() && !has_false_bounds(field.data_type()))
        };
        let columns: Vec<Expr> = staged.keys.columns().iter().filter(bounded).map(ident).collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let ends = columns
            .iter()
            .flat_map(|column| [min(column.clone()), max(column.clone())]);
        let ends = input.aggregate(Vec::new(), ends.collect()).map_err(failed)?;
        let ends = ends.collect().await.map_err(failed)?;
        let end = |at: usize| ScalarValue::try_from_array(ends[0].column(at), 0);
        let mut within = lit(true);
        for (at, column) in columns.into_iter().enumerate() {
            let (low, high) = (end(2 * at).map_err(failed)?, end(2 * at + 1).map_err(failed)?);
            within = within.and(column.between(widened(low, -1), widened(high, 1)));
        }
        let found = table.files_that_may_hold(state, within).await.map_err(failed)?;
        let all: Vec<String> = table.files().map(|file| file.path().into_owned()).collect();
        let held =
            |path: &&String| Path::parse(format!("{}/{path}", table.path)).is_ok_and(|path| found.contains(&path));
        let files: Vec<String> = all.iter().filter(held).cloned().collect();
        // A file that goes by another name must not be passed over, nor one whose name a scan takes for a URL.
        let is_plain = |path: &String| {
            path.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte))
        };
        let some = files.len() == found.len() && files.len() < all.len() && files.iter().all(is_plain);
        Ok(some.then_some(files))
    }

    async fn mark_part(
        &self,
        rows: DataFrame,
        keys: &Keys,
        part: &mut KeyPart,
        found: &mut Replaced,
        task: &Task<'_>,
    ) -> Result<()> {
        let failed = |error| self.explain("find the rows to replace", error);
        let column = |name: &str| Expr::Column(Column::new(Some("target"), name));
        let columns = keys.columns().iter().map(String::as_str).chain([FILE_COLUMN]);
        let rows = rows.select(columns.map(column).collect::<Vec<_>>()).map_err(failed)?;
        let mut rows = rows.execute_stream().await.map_err(failed)?;
        let mut next: BTreeMap<String, u64> = BTreeMap::new();
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            task.advance(batch.num_rows() as u64);
            let hashes = keys.of(&batch)?;
            for (url, rows) in files_of(&batch)? {
                let first = next.entry(url.clone()).or_default();
                for (row, &key) in (*first..).zip(&hashes[rows.clone()]) {
                    if part.find(key).map_err(failed)? {
                        let file = found.marked.entry(url.clone()).or_default();
                        file.mark(row, &mut found.memory).map_err(failed)?;
                    }
                }
                *first += rows.len() as u64;
            }
        }
        Ok(())
    }

    /// Says which key two rows of the input share.
    async fn duplicate(&self, staged: &Staged, first: u64, second: u64, name: &str) -> Result<Error> {
        let failed = |error| self.explain("read the staged rows", error);
        let rows = self.staged_frame(&self.session_state(Plan::Write), staged).await?;
        let row = rows.limit(first as usize, Some(1)).map_err(failed)?;
        let row = row.collect().await.map_err(failed)?;
        let row = row.iter().find(|batch| batch.num_rows() > 0);
        let values = staged.keys.columns().iter().map(|column| {
            let values = row.and_then(|row| row.column_by_name(column));
            let value = values.and_then(|values| array_value_to_string(values, 0).ok());
            format!("{column} = {}", value.unwrap_or_default())
        });
        Ok(Error::DuplicateKey {
            file: name.to_owned(),
            first: first + 1,
            second: second + 1,
            key: values.collect::<Vec<_>>().join(", "),
        })
    }
}

/// An upsert replaces whole rows, so it must know every value of them.
fn check_whole(table: &Delta, input: &SchemaRef, name: &str) -> Result<()> {
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    let lacking: Vec<&str> = columns.filter(|column| input.index_of(column).is_err()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let columns = lacking.join(", ");
    Err(Error::Schema {
        file: name.to_owned(),
        table: table.path.clone(),
        detail: format!("it lacks {columns}, and an upsert replaces whole rows"),
        cures: vec![Cure::say(format!("add {columns} to {name}; an empty value is null"))],
    })
}

/// A bound as a literal, widened by what a bound in the log may have lost: of a time, what is below a millisecond; of a long
/// greatest text, all but its first 16 characters.
fn widened(bound: ScalarValue, sign: i64) -> Expr {
    lit(match bound {
        ScalarValue::TimestampMicrosecond(Some(time), zone) => {
            ScalarValue::TimestampMicrosecond(Some(time.saturating_add(sign * MICROS_PER_MILLI)), zone)
        }
        ScalarValue::Utf8(Some(text)) if sign < 0 => {
            ScalarValue::Utf8(Some(text.chars().take(BOUND_START_LEN).collect()))
        }
        ScalarValue::Binary(Some(bytes)) if sign < 0 => {
            ScalarValue::Binary(Some(bytes.into_iter().take(BOUND_START_LEN).collect()))
        }
        bound => bound,
    })
}

/// The row key of an upsert.
struct Key {
    columns: Vec<String>,
    /// Whether the table does not record it yet.
    is_new: bool,
}

/// The key to use: the table's own, or the given one when it has none.
fn agreed_key(table: &Delta, given: &[String]) -> Result<Key> {
    let recorded = table.key();
    let known = |columns| Ok(Key { columns, is_new: false });
    match (recorded.is_empty(), given.is_empty()) {
        (true, true) => Err(Error::NoKey {
            table: table.path.clone(),
        }),
        (true, false) => Ok(Key {
            columns: given.to_vec(),
            is_new: true,
        }),
        (false, true) => known(recorded),
        (false, false) if recorded == given => known(recorded),
        (false, false) => Err(Error::OtherKey {
            table: table.path.clone(),
            recorded: recorded.join(","),
            given: given.join(","),
        }),
    }
}

fn upsert_operation(key: &[String]) -> DeltaOperation {
    let on: Vec<_> = key
        .iter()
        .map(|column| format!("target.{column} = source.{column}"))
        .collect();
    let on = on.join(" AND ");
    let action = |action_type: &str| MergePredicate {
        action_type: action_type.into(),
        predicate: None,
    };
    DeltaOperation::Merge {
        predicate: None,
        merge_predicate: Some(on),
        matched_predicates: vec![action("update")],
        not_matched_predicates: vec![action("insert")],
        not_matched_by_source_predicates: Vec::new(),
    }
}
