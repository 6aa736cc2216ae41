//! The verbs that rewrite rows: upsert by key and delete by predicate, both copy-on-write by file.
//! A first pass finds the files that hold rows to change; a second copies their other rows. `write` writes.
//! Invariant: every row of a file that is replaced is either counted as changed or written again.

use std::{collections::BTreeMap, fs::File, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    util::display::array_value_to_string,
};
use datafusion::{
    common::Column,
    dataframe::DataFrame,
    datasource::file_format::options::ParquetReadOptions,
    execution::SendableRecordBatchStream,
    functions_aggregate::expr_fn::{count, max, min},
    logical_expr::{Expr, JoinType, lit},
    prelude::SessionContext,
};
use deltalake::{
    kernel::Action,
    protocol::{DeltaOperation, MergePredicate},
};
use drumlin_repo::Session;
use futures::{StreamExt, TryStreamExt};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use tempfile::NamedTempFile;

use crate::{
    delta::Delta,
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    fit::Fit,
    table::table_name,
    write::{DataFileWriter, SESSION_SCOPE, check_key},
};

/// The columns that passes add; a table may not have columns of these names.
const FILE_COLUMN: &str = "__drumlin_file";
const ROW_COLUMN: &str = "__drumlin_row";
const COUNT_COLUMN: &str = "__drumlin_count";
/// A join whose keys are more than this part of the memory limit sorts instead of hashing, since a hash join can't spill.
/// The sorts of both sides share what is left, so a limit of few tens of megabytes may be too small for them, and says so.
const HASHED_PART: usize = 2;

/// What a rewrite did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// The version after it; none when there was nothing to do.
    pub(crate) version: Option<u64>,
    pub(crate) rows_added: u64,
    pub(crate) rows_changed: u64,
}

/// The rows of an upsert, in a file of their own: parsed once, checked, numbered.
struct Staged {
    file: NamedTempFile,
    /// Of the key columns, in bytes.
    key_bytes: usize,
    rows: u64,
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
        let staged = self.stage(rows, &fit, &key, name).await?;
        if staged.rows == 0 {
            return Ok(Rewrite::default());
        }
        let spills = staged.key_bytes > self.options().memory_limit_bytes / HASHED_PART;
        let context = SessionContext::new_with_state(self.session_state(Plan::Write { spills }));
        let input = self.staged_frame(&context, &staged).await?;
        self.check_unique(&input, &key, name).await?;

        let on = |side: &str, column: &String| Expr::Column(Column::new(Some(side), column));
        let same_key = |kind: JoinType, target: DataFrame| {
            let keys = input
                .clone()
                .select(key.iter().map(|column| on("input", column)).collect::<Vec<_>>())?;
            keys.join_on(
                target,
                kind,
                key.iter().map(|column| on("input", column).eq(on("target", column))),
            )
        };
        let matched = same_key(
            JoinType::RightSemi,
            self.target(&context, table, Some(FILE_COLUMN), None).await?,
        );
        let touched = self.touched(matched.map_err(explain::query)?).await?;

        let mut files = DataFileWriter::new(&table.store, &table.path, &fit.schema);
        let removed = removals(table, &touched.files);
        if !removed.is_empty() {
            let target = self.target(&context, table, None, Some(&touched.files)).await?;
            let kept = same_key(JoinType::RightAnti, target).map_err(explain::query)?;
            let kept = if spills { in_key_order(kept, &key)? } else { kept };
            let kept_fit = Fit::existing(&table.path, &fit.schema, kept.schema().as_arrow(), name, false)?;
            self.copy(&mut files, kept, &kept_fit, table, &touched).await?;
        }
        let rows_in = self.write_staged(&mut files, &staged, &fit, table, name).await?;

        let mut actions = removed;
        actions.extend(files.finish().await?.adds);
        if record {
            actions.push(table.metadata_with_key(&fit.schema, &key)?);
        } else if fit.evolved {
            actions.push(table.metadata_with(&fit.schema)?);
        }
        let version = table.commit(actions, upsert_operation(&key)).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_added: rows_in.saturating_sub(touched.rows),
            rows_changed: touched.rows,
        })
    }

    /// Writes the rows of the input, in their order and without their numbers.
    async fn write_staged(
        &self,
        files: &mut DataFileWriter,
        staged: &Staged,
        fit: &Fit,
        table: &Delta,
        name: &str,
    ) -> Result<u64> {
        let context = SessionContext::new_with_state(self.session_state(Plan::Write { spills: false }));
        let input = self.staged_frame(&context, staged).await?;
        let column = |field: &Arc<Field>| Expr::Column(Column::new(Some("input"), field.name()));
        let rows = input.select(fit.schema.fields().iter().map(column).collect::<Vec<_>>());
        let rows = rows.map_err(explain::query)?.execute_stream().await;
        let rows = rows.map_err(|error| self.explain("read the staged rows", error))?;
        let exact = Fit::existing(&table.path, &fit.schema, &rows.schema(), name, false)?;
        files.write(self, rows, |batch| exact.apply(&batch, name), name).await
    }

    pub(crate) async fn delete_rows(&self, table: &Delta, predicate: &str) -> Result<Rewrite> {
        table.require_writable()?;
        let context = SessionContext::new_with_state(self.session_state(Plan::Write { spills: false }));
        let found = self.target(&context, table, Some(FILE_COLUMN), None).await?;
        let condition = found.parse_sql_expr(predicate).map_err(explain::query)?;
        if condition.is_volatile() {
            let detail = "a predicate must give the same answer each time".into();
            return Err(Error::Query { detail, hint: None });
        }
        let touched = self
            .touched(found.filter(condition.clone()).map_err(explain::query)?)
            .await?;
        if touched.rows == 0 {
            return Ok(Rewrite::default());
        }
        let mut actions = removals(table, &touched.files);
        let target = self.target(&context, table, None, Some(&touched.files)).await?;
        let kept = target.filter(condition.is_not_true()).map_err(explain::query)?;
        let fit = Fit::existing(
            &table.path,
            &table.schema(),
            kept.schema().as_arrow(),
            table_name(&table.path),
            false,
        )?;
        let mut files = DataFileWriter::new(&table.store, &table.path, &fit.schema);
        self.copy(&mut files, kept, &fit, table, &touched).await?;
        actions.extend(files.finish().await?.adds);
        let operation = DeltaOperation::Delete {
            predicate: Some(predicate.to_owned()),
        };
        let version = table.commit(actions, operation).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_added: 0,
            rows_changed: touched.rows,
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
        let context = SessionContext::new_with_state(self.session_state(Plan::Query));
        let rows = self.target(&context, table, None, None).await?.count().await;
        Ok(rows.map_err(|error| self.explain(&format!("count the rows of {}", table.path), error))? as u64)
    }

    async fn target(
        &self,
        context: &SessionContext,
        table: &Delta,
        file_column: Option<&str>,
        files: Option<&[String]>,
    ) -> Result<DataFrame> {
        let doing = || format!("read {}", table.path);
        let provider = table
            .provider(file_column, files)
            .await
            .map_err(|error| self.explain(&doing(), error))?;
        let frame = context.read_table(provider).and_then(|frame| frame.alias("target"));
        frame.map_err(|error| self.explain(&doing(), error))
    }

    /// Writes the rows to a scratch file, fitted to the table and numbered; refuses a null key.
    async fn stage(
        &self,
        mut rows: SendableRecordBatchStream,
        fit: &Fit,
        key: &[String],
        name: &str,
    ) -> Result<Staged> {
        let doing = || format!("stage the rows of {name}");
        let file = self.scratch_file()?;
        let mut fields: Vec<_> = fit.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(ROW_COLUMN, DataType::Int64, false)));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("a level that zstd has")))
            .build();
        let failed = |source| Error::Parquet { doing: doing(), source };
        let handle = file.as_file().try_clone().map_err(Error::io(doing()))?;
        let mut writer = ArrowWriter::<File>::try_new(handle, schema.clone(), Some(properties)).map_err(failed)?;
        let (mut count, mut key_bytes) = (0, 0);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| self.explain(&format!("read {name}"), error))?;
            let batch = fit.apply(&batch, name)?;
            key_bytes += check_no_null(&batch, key, count, name)?;
            let numbers = (count + 1..).take(batch.num_rows()).map(|row| row as i64);
            let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
            columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
            count += batch.num_rows() as u64;
            let numbered = RecordBatch::try_new(schema.clone(), columns).map_err(Error::arrow(doing()))?;
            writer.write(&numbered).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(Staged {
            file,
            key_bytes,
            rows: count,
        })
    }

    async fn staged_frame(&self, context: &SessionContext, staged: &Staged) -> Result<DataFrame> {
        let path = staged.file.path().to_string_lossy().into_owned();
        let extension = staged
            .file
            .path()
            .extension()
            .map(|e| e.to_string_lossy().into_owned())
            .unwrap_or_default();
        let options = ParquetReadOptions::default().file_extension(&extension);
        let frame = context
            .read_parquet(path, options)
            .await
            .and_then(|frame| frame.alias("input"));
        frame.map_err(|error| self.explain("read the staged rows", error))
    }

    async fn check_unique(&self, input: &DataFrame, key: &[String], name: &str) -> Result<()> {
        let row = || Expr::Column(Column::new(Some("input"), ROW_COLUMN));
        let keys = key
            .iter()
            .map(|column| Expr::Column(Column::new(Some("input"), column)));
        let aggregates = vec![
            min(row()).alias("__drumlin_first"),
            max(row()).alias("__drumlin_last"),
            count(lit(1)).alias(COUNT_COLUMN),
        ];
        let plain = |name: &str| Expr::Column(Column::from_name(name));
        let doubled = input
            .clone()
            .aggregate(keys.collect(), aggregates)
            .and_then(|frame| frame.filter(plain(COUNT_COLUMN).gt(lit(1))))
            .and_then(|frame| frame.sort(vec![plain("__drumlin_first").sort(true, false)]))
            .and_then(|frame| frame.limit(0, Some(1)))
            .map_err(explain::query)?;
        let found = doubled
            .collect()
            .await
            .map_err(|error| self.explain("look for duplicate keys", error))?;
        let Some(batch) = found.iter().find(|batch| batch.num_rows() > 0) else {
            return Ok(());
        };
        let number = |index: usize| batch.column(index).as_primitive::<Int64Type>().value(0) as u64;
        let values = key.iter().zip(batch.columns()).map(|(column, values)| {
            let value = array_value_to_string(values, 0).unwrap_or_default();
            format!("{column} = {value}")
        });
        Err(Error::DuplicateKey {
            file: name.to_owned(),
            first: number(key.len()),
            second: number(key.len() + 1),
            key: values.collect::<Vec<_>>().join(", "),
        })
    }

    /// The files that the rows of a frame are in, and how many rows there are.
    async fn touched(&self, rows: DataFrame) -> Result<Touched> {
        let file = Expr::Column(Column::new(Some("target"), FILE_COLUMN));
        let counted = rows
            .aggregate(vec![file], vec![count(lit(1)).alias(COUNT_COLUMN)])
            .map_err(explain::query)?;
        let failed = |error| self.explain("find the files to rewrite", error);
        let mut batches = counted.execute_stream().await.map_err(failed)?;
        let mut touched = BTreeMap::new();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let names = cast(batch.column(0), &DataType::Utf8).map_err(Error::arrow("read the names of files"))?;
            let counts = batch.column(1).as_primitive::<Int64Type>();
            for (name, count) in names.as_string::<i32>().iter().flatten().zip(counts.values()) {
                touched.insert(name.to_owned(), *count as u64);
            }
        }
        Ok(Touched {
            rows: touched.values().sum(),
            files: touched.into_keys().collect(),
        })
    }

    /// Writes the rows of the touched files that stay.
    async fn copy(
        &self,
        files: &mut DataFileWriter,
        kept: DataFrame,
        fit: &Fit,
        table: &Delta,
        touched: &Touched,
    ) -> Result<()> {
        let doing = format!("rewrite {}", table.path);
        let name = table_name(&table.path);
        let rows = kept
            .execute_stream()
            .await
            .map_err(|error| self.explain(&doing, error))?;
        let copied = files.write(self, rows, |batch| fit.apply(&batch, name), name).await?;
        let held = table
            .files()
            .filter(|file| touched.holds(&file.path()))
            .map(|file| file.num_records());
        match held.sum::<Option<usize>>() {
            Some(held) if copied + touched.rows != held as u64 => Err(Error::Lost {
                table: table.path.clone(),
                held: held as u64,
                accounted: copied + touched.rows,
            }),
            _ => Ok(()),
        }
    }
}

struct Touched {
    /// As URLs.
    files: Vec<String>,
    rows: u64,
}

impl Touched {
    fn holds(&self, path: &str) -> bool {
        holds(&self.files, path)
    }
}

fn holds(urls: &[String], path: &str) -> bool {
    urls.iter()
        .any(|url| url.strip_suffix(path).is_some_and(|before| before.ends_with('/')))
}

/// A join that sorts gives the rows of its parts in any order; files want one order.
fn in_key_order(kept: DataFrame, key: &[String]) -> Result<DataFrame> {
    let by = |column: &String| Expr::Column(Column::new(Some("target"), column)).sort(true, false);
    kept.sort(key.iter().map(by).collect()).map_err(explain::query)
}

fn removals(table: &Delta, urls: &[String]) -> Vec<Action> {
    let files = table.files().filter(|file| holds(urls, &file.path()));
    files.map(|file| Action::Remove(file.remove_action(true))).collect()
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

/// Refuses a null in the key; gives the size of the key's columns.
fn check_no_null(batch: &RecordBatch, key: &[String], rows_before: u64, name: &str) -> Result<usize> {
    let mut bytes = 0;
    for column in key {
        let values = batch.column_by_name(column).expect("the key's columns were checked");
        bytes += values.get_array_memory_size();
        if let Some(row) = (0..values.len()).find(|&row| values.is_null(row)) {
            return Err(Error::NullKey {
                file: name.into(),
                row: rows_before + row as u64 + 1,
                column: column.clone(),
            });
        }
    }
    Ok(bytes)
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
