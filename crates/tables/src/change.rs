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
    datasource::{
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        provider_as_source,
    },
    error::DataFusionError,
    execution::{SendableRecordBatchStream, SessionState},
    functions_aggregate::expr_fn::{count, max, min},
    functions_window::expr_fn::row_number,
    logical_expr::{Expr, JoinType, LogicalPlanBuilder, lit},
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
    file::properties::WriterProperties,
};
use tempfile::NamedTempFile;
use url::Url;

use crate::{
    delta::{Delta, Stamp},
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    fit::Fit,
    table::table_name,
    write::{DATA_FILE_BYTES, DataFileWriter, SESSION_SCOPE, Written, check_key},
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
        let state = self.session_state(Plan::Write { spills });
        let input = self.staged_frame(&state, &staged).await?;
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
        let whole = self.target(&state, table, Some(FILE_COLUMN), None).await?;
        let matched = same_key(JoinType::RightSemi, whole).map_err(explain::query)?;
        let touched = self.touched(table, matched).await?;

        let mut actions = Vec::new();
        for file in &touched.files {
            let target = self
                .target(&state, table, None, Some(std::slice::from_ref(&file.url)))
                .await?;
            let kept = if spills {
                in_file_order(target, |target| same_key(JoinType::RightAnti, target))
            } else {
                same_key(JoinType::RightAnti, target)
            };
            let kept = kept.map_err(explain::query)?;
            actions.extend(self.copy(table, file, kept, &fit.schema).await?);
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
        let state = self.session_state(Plan::Write { spills: false });
        let input = self.staged_frame(&state, staged).await?;
        let column = |field: &Arc<Field>| Expr::Column(Column::new(Some("input"), field.name()));
        let rows = input.select(fit.schema.fields().iter().map(column).collect::<Vec<_>>());
        let rows = rows.map_err(explain::query)?.execute_stream().await;
        let rows = rows.map_err(|error| self.explain("read the staged rows", error))?;
        let exact = Fit::existing(&table.path, &fit.schema, &rows.schema(), name, false)?;
        files.write(self, rows, |batch| exact.apply(&batch, name), name).await
    }

    pub(crate) async fn delete_rows(&self, table: &Delta, predicate: &str) -> Result<Rewrite> {
        table.require_writable()?;
        // One state for both passes, so that now() is the same in both.
        let state = SessionContext::new_with_state(self.session_state(Plan::Write { spills: false })).state();
        let found = self.target(&state, table, Some(FILE_COLUMN), None).await?;
        let condition = found.parse_sql_expr(predicate).map_err(explain::query)?;
        if condition.is_volatile() {
            let detail = "a predicate must give the same answer each time".into();
            return Err(Error::Query { detail, hint: None });
        }
        let found = found.filter(condition.clone()).map_err(explain::query)?;
        let touched = self.touched(table, found).await?;
        if touched.rows == 0 {
            return Ok(Rewrite::default());
        }
        let mut actions = Vec::new();
        for file in &touched.files {
            let target = self
                .target(&state, table, None, Some(std::slice::from_ref(&file.url)))
                .await?;
            let kept = target.filter(condition.clone().is_not_true()).map_err(explain::query)?;
            actions.extend(self.copy(table, file, kept, &table.schema()).await?);
        }
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
    async fn touched(&self, table: &Delta, rows: DataFrame) -> Result<Touched> {
        let file = Expr::Column(Column::new(Some("target"), FILE_COLUMN));
        let counted = rows
            .aggregate(vec![file], vec![count(lit(1)).alias(COUNT_COLUMN)])
            .map_err(explain::query)?;
        let failed = |error| self.explain("find the files to rewrite", error);
        let mut batches = counted.execute_stream().await.map_err(failed)?;
        let mut matched = BTreeMap::new();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let names = cast(batch.column(0), &DataType::Utf8).map_err(Error::arrow("read the names of files"))?;
            let counts = batch.column(1).as_primitive::<Int64Type>();
            for (url, count) in names.as_string::<i32>().iter().flatten().zip(counts.values()) {
                matched.insert(decoded(url), (url.to_owned(), *count as u64));
            }
        }
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
    async fn copy(&self, table: &Delta, old: &TouchedFile, kept: DataFrame, schema: &SchemaRef) -> Result<Vec<Action>> {
        let doing = format!("rewrite {}", table.path);
        let name = table_name(&table.path);
        let fit = Fit::existing(&table.path, schema, kept.schema().as_arrow(), name, false)?;
        let rows = kept
            .execute_stream()
            .await
            .map_err(|error| self.explain(&doing, error))?;
        let mut files = DataFileWriter::new(&table.store, &table.path, schema, None);
        let copied = files.write(self, rows, |batch| fit.apply(&batch, name), name).await?;
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

/// A join that sorts gives the rows of its parts in any order; the copy of a file wants the file's.
fn in_file_order(
    file: DataFrame,
    join: impl FnOnce(DataFrame) -> Result<DataFrame, DataFusionError>,
) -> Result<DataFrame, DataFusionError> {
    let numbered = file.window(vec![row_number().alias(ROW_COLUMN)])?;
    let sorted = join(numbered)?.sort(vec![Expr::Column(Column::from_name(ROW_COLUMN)).sort(true, false)])?;
    sorted.drop_columns(&[ROW_COLUMN])
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
pub(crate) fn check_no_null(batch: &RecordBatch, key: &[String], rows_before: u64, name: &str) -> Result<usize> {
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
