//! What the verbs that rewrite rows share: copy-on-write by file. `upsert` and `delete` say which rows change.
//! A first pass finds the files that hold rows to change; a second copies their other rows. `write` writes.
//! Invariant: every row of a file that is replaced is either counted as changed or written again.

use std::{collections::BTreeMap, ops::Range};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::partition,
    datatypes::{Int64Type, SchemaRef},
    util::display::array_value_to_string,
};
use datafusion::{
    common::Column,
    dataframe::DataFrame,
    datasource::provider_as_source,
    execution::SessionState,
    functions_aggregate::expr_fn::count,
    logical_expr::{Expr, LogicalPlanBuilder, lit},
};
use deltalake::kernel::{Action, LogicalFileView};
use drumlin_chunks::Task;
use drumlin_model::names::table_name;
use futures::TryStreamExt;
use object_store::path::Path;
use url::Url;

use crate::{
    delta::{Delta, Stamp},
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    fit::Fit,
    write::{DataFileWriter, Written},
};

/// The columns that passes add; a table may not have columns of these names.
pub(crate) const FILE_COLUMN: &str = "__drumlin_file";
const COUNT_COLUMN: &str = "__drumlin_count";

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

impl Engine {
    /// How many rows the table has by reading them, for tables whose log does not say.
    pub(crate) async fn count_rows(&self, table: &Delta) -> Result<u64> {
        let state = self.session_state(Plan::Query);
        let rows = self.target(&state, table, None, None).await?.count().await;
        Ok(rows.map_err(|error| self.explain(&format!("count the rows of {}", table.path), error))? as u64)
    }

    /// The rows of the table: all, or those of the files at these URLs; with `file_column`, each says its file.
    pub(crate) async fn target(
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

    /// All rows of one file.
    pub(crate) async fn file_rows(&self, state: &SessionState, table: &Delta, file: &TouchedFile) -> Result<DataFrame> {
        let files = std::slice::from_ref(&file.url);
        self.target(state, table, None, Some(files)).await
    }

    /// How many rows of a frame are in each file, by its URL.
    pub(crate) async fn rows_by_file(&self, rows: DataFrame) -> Result<BTreeMap<String, u64>> {
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
    pub(crate) async fn touched(&self, table: &Delta, rows: BTreeMap<String, u64>) -> Result<Touched> {
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
    pub(crate) async fn copy(
        &self,
        table: &Delta,
        old: &TouchedFile,
        rows: DataFrame,
        schema: &SchemaRef,
        mut stay: impl FnMut(RecordBatch) -> Result<RecordBatch>,
        task: &Task<'_>,
    ) -> Result<Vec<Action>> {
        let doing = format!("rewrite {}", table.path);
        let name = table_name(&table.path);
        let fit = Fit::existing(&table.path, schema, rows.schema().as_arrow(), name, false)?;
        let mut rows = rows
            .execute_stream()
            .await
            .map_err(|error| self.explain(&doing, error))?;
        let mut files = DataFileWriter::new(&table.store, &table.path, schema, None);
        let shape = |batch| fit.apply(&stay(batch)?, name);
        let copied = files.write(self, &mut rows, shape, name, task).await?;
        let held = match old.file.num_records() {
            Some(held) => held as u64,
            None => {
                let state = self.session_state(Plan::Query);
                let rows = self.file_rows(&state, table, old).await?.count();
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
pub(crate) struct Touched {
    pub(crate) files: Vec<TouchedFile>,
    /// How many rows change.
    pub(crate) rows: u64,
}

pub(crate) struct TouchedFile {
    pub(crate) file: LogicalFileView,
    pub(crate) url: String,
    /// How many of its rows change.
    rows: u64,
    stamp: Stamp,
}

impl Touched {
    /// All rows of the files; none when the log does not say it of each.
    pub(crate) fn held(&self) -> Option<u64> {
        let held = self.files.iter().map(|touched| touched.file.num_records());
        held.map(|rows| rows.map(|rows| rows as u64)).sum()
    }
}

/// The path of a repository that a URL of a scan means.
fn decoded(url: &str) -> String {
    let path = Url::parse(url)
        .ok()
        .and_then(|url| Path::from_url_path(url.path()).ok());
    path.map_or_else(|| url.to_owned(), |path| path.to_string())
}

/// The files of a batch by their URLs, each with its rows.
pub(crate) fn files_of(batch: &RecordBatch) -> Result<Vec<(String, Range<usize>)>> {
    let failed = || Error::arrow("read the names of files");
    let files = batch.column_by_name(FILE_COLUMN).expect("it was asked for");
    let ranges = partition(std::slice::from_ref(files)).map_err(failed())?.ranges();
    let named = ranges.into_iter().map(|rows| {
        let url = array_value_to_string(files, rows.start).map_err(failed())?;
        Ok((url, rows))
    });
    named.collect()
}
