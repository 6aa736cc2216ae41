//! The verbs that rewrite rows: upsert by key and delete by predicate, both copy-on-write by file.
//! A first pass finds the files that hold rows to change; a second copies their other rows. `write` writes.
//! Invariant: every row of a file that is replaced is either counted as changed or written again.

use std::{collections::BTreeMap, fs::File, ops::Range, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::partition,
    datatypes::{Int64Type, SchemaRef},
    util::display::array_value_to_string,
};
use datafusion::{
    common::{Column, ScalarValue},
    dataframe::DataFrame,
    datasource::{
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        provider_as_source,
    },
    execution::{
        SendableRecordBatchStream, SessionState,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    functions_aggregate::expr_fn::{count, max, min},
    logical_expr::{Expr, LogicalPlanBuilder, ident, lit},
    prelude::SessionContext,
};
use deltalake::{
    kernel::{Action, LogicalFileView},
    protocol::{DeltaOperation, MergePredicate},
};
use drumlin_repo::Session;
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
    delta::{Delta, Stamp, has_false_bounds},
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    fit::Fit,
    keys::{KeyPart, Keys, Marked},
    table::table_name,
    write::{DATA_FILE_BYTES, DataFileWriter, SESSION_SCOPE, Written, check_key},
};

/// The columns that passes add; a table may not have columns of these names.
const FILE_COLUMN: &str = "__drumlin_file";
const COUNT_COLUMN: &str = "__drumlin_count";
const MICROS_PER_MILLI: i64 = 1_000;
/// Of a text's bound, the characters that every writer keeps.
const BOUND_START_LEN: usize = 16;
/// What a rewrite did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// The version after it; none when there was nothing to do.
    pub(crate) version: Option<u64>,
    pub(crate) rows_added: u64,
    pub(crate) rows_changed: u64,
    /// Rows that are gone without another in their place.
    pub(crate) rows_removed: u64,
}

/// The rows of an upsert, in a file of their own: parsed once and checked; and their keys.
struct Staged {
    file: NamedTempFile,
    keys: Keys,
}

impl Engine {
    pub(crate) async fn upsert_rows(
        &self,
        table: &Delta,
        rows: SendableRecordBatchStream,
        (key, evolve): (&[String], bool),
        name: &str,
    ) -> Result<Rewrite> {
        table.require_writable()?;
        let (key, record) = agreed_key(table, key)?;
        let fit = Fit::existing(&table.path, &table.schema(), &rows.schema(), name, evolve)?;
        check_key(&rows.schema(), &key, name)?;
        check_whole(table, &rows.schema(), name)?;
        let mut staged = self.stage(rows, &fit, &key, name).await?;
        if staged.keys.len() == 0 {
            return Ok(Rewrite::default());
        }
        let (marked, keys_there, _memory) = self.mark(table, &mut staged, name).await?;
        let counts = marked.iter().map(|(url, marked)| (url.clone(), marked.count)).collect();
        let touched = self.touched(table, counts).await?;

        let state = self.session_state(Plan::Write);
        let mut actions = Vec::new();
        for file in &touched.files {
            let whole = self
                .target(&state, table, None, Some(std::slice::from_ref(&file.url)))
                .await?;
            let (marked, mut row) = (&marked[&file.url], 0);
            let others = |batch: RecordBatch| {
                let first = row;
                row += batch.num_rows() as u64;
                marked.others(&batch, first)
            };
            actions.extend(self.copy(table, file, whole, &fit.schema, others).await?);
        }
        let stamp = self.stamp_of_next(table).await?;
        let mut files = DataFileWriter::new(&table.store, &table.path, &fit.schema, Some(DATA_FILE_BYTES));
        let rows_in = self.write_staged(&mut files, &staged, &fit, table, name).await?;

        actions.extend(files.finish(&stamp).await?.adds);
        if record {
            actions.push(table.metadata_with_key(&fit.schema, &key)?);
        } else if fit.evolved {
            actions.push(table.metadata_with(&fit.schema)?);
        }
        let version = table.commit(actions, upsert_operation(&key)).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_added: rows_in - keys_there,
            rows_changed: keys_there,
            rows_removed: touched.rows - keys_there,
        })
    }

    /// Writes the rows of the input, in their order.
    async fn write_staged(
        &self,
        files: &mut DataFileWriter,
        staged: &Staged,
        fit: &Fit,
        table: &Delta,
        name: &str,
    ) -> Result<u64> {
        let state = self.session_state(Plan::Write);
        let input = self.staged_frame(&state, staged).await?;
        let rows = input.execute_stream().await;
        let rows = rows.map_err(|error| self.explain("read the staged rows", error))?;
        let exact = Fit::existing(&table.path, &fit.schema, &rows.schema(), name, false)?;
        files.write(self, rows, |batch| exact.apply(&batch, name), name).await
    }

    pub(crate) async fn delete_rows(&self, table: &Delta, predicate: &str) -> Result<Rewrite> {
        table.require_writable()?;
        // One state for both passes, so that now() is the same in both.
        let state = SessionContext::new_with_state(self.session_state(Plan::Write)).state();
        let found = self.target(&state, table, Some(FILE_COLUMN), None).await?;
        let condition = found.parse_sql_expr(predicate).map_err(explain::query)?;
        if condition.is_volatile() {
            let detail = "a predicate must give the same answer each time".into();
            return Err(Error::Query { detail, hint: None });
        }
        let found = found.filter(condition.clone()).map_err(explain::query)?;
        let counts = self.rows_by_file(found).await?;
        let touched = self.touched(table, counts).await?;
        if touched.rows == 0 {
            return Ok(Rewrite::default());
        }
        let mut actions = Vec::new();
        for file in &touched.files {
            let target = self
                .target(&state, table, None, Some(std::slice::from_ref(&file.url)))
                .await?;
            let kept = target.filter(condition.clone().is_not_true()).map_err(explain::query)?;
            actions.extend(self.copy(table, file, kept, &table.schema(), Ok).await?);
        }
        let operation = DeltaOperation::Delete {
            predicate: Some(predicate.to_owned()),
        };
        let version = table.commit(actions, operation).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_removed: touched.rows,
            ..Rewrite::default()
        })
    }

    /// The table in the session, to rewrite it.
    pub(crate) async fn open_in(&self, session: &Session, path: &drumlin_model::RepoPath) -> Result<Delta> {
        match Delta::open(self.session_store(session, path).await?, path, SESSION_SCOPE).await? {
            Some(table) => Ok(table),
            None => Err(crate::table::no_table(&session.base(), table_name(path)).await?),
        }
    }

    /// How many rows the table has by reading them, for tables whose log does not say.
    pub(crate) async fn count_rows(&self, table: &Delta) -> Result<u64> {
        let state = self.session_state(Plan::Query);
        let rows = self.target(&state, table, None, None).await?.count().await;
        Ok(rows.map_err(|error| self.explain(&format!("count the rows of {}", table.path), error))? as u64)
    }

    async fn target(
        &self,
        state: &SessionState,
        table: &Delta,
        file_column: Option<&str>,
        files: Option<&[String]>,
    ) -> Result<DataFrame> {
        let doing = || format!("read {}", table.path);
        let provider = table
            .provider(file_column, files)
            .await
            .map_err(|error| self.explain(&doing(), error))?;
        let plan = LogicalPlanBuilder::scan("target", provider_as_source(provider), None);
        let plan = plan.and_then(LogicalPlanBuilder::build);
        let frame = plan.map(|plan| DataFrame::new(state.clone(), plan));
        frame.map_err(|error| self.explain(&doing(), error))
    }

    /// Writes the rows to a scratch file, fitted to the table, and their keys to another; refuses a null key.
    async fn stage(
        &self,
        mut rows: SendableRecordBatchStream,
        fit: &Fit,
        key: &[String],
        name: &str,
    ) -> Result<Staged> {
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

    /// The rows of the table whose key is among those of the input, by the URL of their file; how many of the keys have any; and
    /// what memory that takes. A pass over the table's key columns for each part of the keys that fits in memory. Refuses a
    /// key that is in the input twice.
    async fn mark(
        &self,
        table: &Delta,
        staged: &mut Staged,
        name: &str,
    ) -> Result<(BTreeMap<String, Marked>, u64, MemoryReservation)> {
        let state = self.session_state(Plan::Write);
        let pool = self.runtime_env().memory_pool.clone();
        let mut memory = MemoryConsumer::new("rows to replace").register(&pool);
        let (mut marked, mut keys_there) = (BTreeMap::new(), 0);
        let files = self.candidates(&state, table, staged).await?;
        let parts = staged.keys.parts(self.options().memory_limit_bytes)?;
        for part in 0..parts {
            let found = staged.keys.part((part, parts), &pool);
            let found = found.map_err(|error| self.explain("look for duplicate keys", error))?;
            let mut part = match found {
                Ok(part) => part,
                Err(rows) => return Err(self.duplicate(staged, rows, name).await?),
            };
            if files.as_ref().is_none_or(|files| !files.is_empty()) {
                let rows = self.target(&state, table, Some(FILE_COLUMN), files.as_deref()).await?;
                self.mark_part(rows, (&staged.keys, &mut part), &mut marked, &mut memory)
                    .await?;
            }
            keys_there += part.found();
        }
        Ok((marked, keys_there, memory))
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
        (keys, part): (&Keys, &mut KeyPart),
        marked: &mut BTreeMap<String, Marked>,
        memory: &mut MemoryReservation,
    ) -> Result<()> {
        let failed = |error| self.explain("find the rows to replace", error);
        let column = |name: &str| Expr::Column(Column::new(Some("target"), name));
        let columns = keys.columns().iter().map(String::as_str).chain([FILE_COLUMN]);
        let rows = rows.select(columns.map(column).collect::<Vec<_>>()).map_err(failed)?;
        let mut rows = rows.execute_stream().await.map_err(failed)?;
        let mut next: BTreeMap<String, u64> = BTreeMap::new();
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            let hashes = keys.of(&batch)?;
            for (url, rows) in files_of(&batch)? {
                let first = next.entry(url.clone()).or_default();
                for (row, &key) in (*first..).zip(&hashes[rows.clone()]) {
                    if part.find(key).map_err(failed)? {
                        let file = marked.entry(url.clone()).or_default();
                        file.mark(row, memory).map_err(failed)?;
                    }
                }
                *first += rows.len() as u64;
            }
        }
        Ok(())
    }

    /// Says which key two rows of the input share.
    async fn duplicate(&self, staged: &Staged, (first, second): (u64, u64), name: &str) -> Result<Error> {
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

    /// How many rows of a frame are in each file, by its URL.
    async fn rows_by_file(&self, rows: DataFrame) -> Result<BTreeMap<String, u64>> {
        let file = Expr::Column(Column::new(Some("target"), FILE_COLUMN));
        let counted = rows
            .aggregate(vec![file], vec![count(lit(1)).alias(COUNT_COLUMN)])
            .map_err(explain::query)?;
        let failed = |error| self.explain("find the files to rewrite", error);
        let mut batches = counted.execute_stream().await.map_err(failed)?;
        let mut found = BTreeMap::new();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let counts = batch.column(1).as_primitive::<Int64Type>();
            for (url, rows) in files_of(&batch)? {
                found.insert(url, counts.value(rows.start) as u64);
            }
        }
        Ok(found)
    }

    /// The files at these URLs, and how many of their rows change.
    async fn touched(&self, table: &Delta, rows: BTreeMap<String, u64>) -> Result<Touched> {
        let matched = rows.into_iter().map(|(url, rows)| (decoded(&url), (url, rows)));
        let mut matched: BTreeMap<String, (String, u64)> = matched.collect();
        let (rows, urls) = (matched.values().map(|(_, count)| count).sum(), matched.len());
        let mut files = Vec::new();
        for file in table.files() {
            if let Some((url, rows)) = matched.remove(&format!("{}/{}", table.path, file.path())) {
                let stamp = table.stamp(&file).await?;
                files.push(TouchedFile { file, url, rows, stamp });
            }
        }
        if files.len() != urls {
            return Err(Error::Lost {
                table: table.path.clone(),
                held: rows,
                accounted: files.iter().map(|file| file.rows).sum(),
            });
        }
        files.sort_by(|a, b| a.stamp.cmp(&b.stamp));
        Ok(Touched { files, rows })
    }

    /// Writes the rows of a touched file that stay, as one file that is as old; gives the actions that swap the two.
    async fn copy(
        &self,
        table: &Delta,
        old: &TouchedFile,
        rows: DataFrame,
        schema: &SchemaRef,
        mut stay: impl FnMut(RecordBatch) -> Result<RecordBatch>,
    ) -> Result<Vec<Action>> {
        let doing = format!("rewrite {}", table.path);
        let name = table_name(&table.path);
        let fit = Fit::existing(&table.path, schema, rows.schema().as_arrow(), name, false)?;
        let rows = rows
            .execute_stream()
            .await
            .map_err(|error| self.explain(&doing, error))?;
        let mut files = DataFileWriter::new(&table.store, &table.path, schema, None);
        let shape = |batch| fit.apply(&stay(batch)?, name);
        let copied = files.write(self, rows, shape, name).await?;
        let held = match old.file.num_records() {
            Some(held) => held as u64,
            None => {
                let state = self.session_state(Plan::Query);
                let rows = self
                    .target(&state, table, None, Some(std::slice::from_ref(&old.url)))
                    .await?
                    .count();
                rows.await.map_err(|error| self.explain(&doing, error))? as u64
            }
        };
        if copied + old.rows != held {
            return Err(Error::Lost {
                table: table.path.clone(),
                held,
                accounted: copied + old.rows,
            });
        }
        let mut actions = vec![Action::Remove(old.file.remove_action(true))];
        actions.extend(files.finish(&Written::Before(old.stamp.clone())).await?.adds);
        Ok(actions)
    }
}

/// The files that hold rows to change, oldest first.
struct Touched {
    files: Vec<TouchedFile>,
    rows: u64,
}

struct TouchedFile {
    file: LogicalFileView,
    url: String,
    /// How many of its rows change.
    rows: u64,
    stamp: Stamp,
}

/// The path of a repository that a URL of a scan means.
fn decoded(url: &str) -> String {
    let path = Url::parse(url)
        .ok()
        .and_then(|url| Path::from_url_path(url.path()).ok());
    path.map_or_else(|| url.to_owned(), |path| path.to_string())
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
        hint: Some(format!("add {columns} to {name}; an empty value is null")),
    })
}

/// A bound as a literal, moved by what bounds in a log may leave out: of times what is less than a millisecond, of the greatest
/// texts all but their start.
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

/// The files of a batch by their URLs, each with its rows.
fn files_of(batch: &RecordBatch) -> Result<Vec<(String, Range<usize>)>> {
    let failed = || Error::arrow("read the names of files");
    let files = batch.column_by_name(FILE_COLUMN).expect("it was asked for");
    let ranges = partition(std::slice::from_ref(files)).map_err(failed())?.ranges();
    let named = ranges.into_iter().map(|rows| {
        let url = array_value_to_string(files, rows.start).map_err(failed())?;
        Ok((url, rows))
    });
    named.collect()
}

/// The key to use, and whether it has to be recorded: the table's own, or the given one when it has none.
fn agreed_key(table: &Delta, given: &[String]) -> Result<(Vec<String>, bool)> {
    let recorded = table.key();
    match (recorded.is_empty(), given.is_empty()) {
        (true, true) => Err(Error::NoKey {
            table: table.path.clone(),
        }),
        (true, false) => Ok((given.to_vec(), true)),
        (false, true) => Ok((recorded, false)),
        (false, false) if recorded == given => Ok((recorded, false)),
        (false, false) => Err(Error::OtherKey {
            table: table.path.clone(),
            recorded: recorded.join(","),
            given: given.join(","),
        }),
    }
}

/// Refuses a null in the key.
pub(crate) fn check_no_null(batch: &RecordBatch, key: &[String], rows_before: u64, name: &str) -> Result<()> {
    for column in key {
        let values = batch.column_by_name(column).expect("the key's columns were checked");
        if let Some(row) = (0..values.len()).find(|&row| values.is_null(row)) {
            return Err(Error::NullKey {
                file: name.into(),
                row: rows_before + row as u64 + 1,
                column: column.clone(),
            });
        }
    }
    Ok(())
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
