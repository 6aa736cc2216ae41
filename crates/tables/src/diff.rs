//! How the rows of a table differ between two commits: by row key where the table has one, else as a multiset of rows.
//! `rewrite` counts rows; `delta` gives scans of chosen files. Files that both versions share are never read.
//! Invariant: `rows_before - removed + added = rows_after`.

use std::collections::BTreeSet;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, SchemaRef},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{datasource::empty::EmptyTable, prelude::SessionContext};
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::RepoPath;
use drumlin_repo::Snapshot;
use serde::Serialize;
use std::sync::Arc;

use crate::{
    delta::Delta,
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    types::type_name,
};

/// Changed rows that are shown as examples.
const SAMPLE_ROWS_MAX: usize = 5;
/// A comparison of more than this part of the memory limit sorts instead of hashing, since a hash join can't spill.
const HASHED_PART: u64 = 4;
/// A column that is null where a side lacks the row; a table may not have one of this name.
const PRESENT: &str = "__drumlin_present";

/// A column that is 1 for a row of the later side and -1 for one of the earlier.
const COUNTED: &str = "__drumlin_d";

/// What became of a table's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowDiff {
    pub path: RepoPath,
    /// The row key that rows were matched by; empty when whole rows were compared.
    pub key: Vec<String>,
    pub rows_before: u64,
    pub rows_after: u64,
    pub added: u64,
    pub removed: u64,
    /// Rows with the same key and other values; none without a key, where such a row counts as removed and added.
    pub changed: Option<u64>,
    pub schema_changes: Vec<String>,
    /// A few changed rows, as text.
    pub sample: Vec<String>,
}

/// One side of the comparison: the table, and its files that the other side lacks.
struct Side {
    table: Option<Delta>,
    files: Vec<String>,
    bytes: u64,
    /// Of these files; none when the log does not say it of each.
    rows: Option<u64>,
}

impl Side {
    fn new(table: Option<Delta>, other: &Option<Delta>) -> Side {
        let paths = |table: &Delta| {
            table
                .files()
                .map(|file| file.path().to_string())
                .collect::<BTreeSet<_>>()
        };
        let shared = other.as_ref().map(paths).unwrap_or_default();
        let (mut files, mut bytes, mut rows) = (Vec::new(), 0, Some(0));
        for file in table.iter().flat_map(Delta::files) {
            if !shared.contains(file.path().as_ref()) {
                files.push(file.path().to_string());
                bytes += file.size().max(0) as u64;
                rows = rows.zip(file.num_records()).map(|(rows, more)| rows + more as u64);
            }
        }
        Side {
            table,
            files,
            bytes,
            rows,
        }
    }
    fn schema(&self) -> Option<SchemaRef> {
        self.table.as_ref().map(Delta::schema)
    }
    fn key(&self) -> Vec<String> {
        self.table.as_ref().map(Delta::key).unwrap_or_default()
    }
}

impl Engine {
    /// Compares the table at `path` of one commit with that of another; it may be missing in one of them.
    #[tracing::instrument(level = "debug", skip_all, fields(table = %path, from = %from.commit(), to = %to.commit()))]
    pub async fn table_diff(
        &self,
        from: &Snapshot,
        to: &Snapshot,
        path: &RepoPath,
        progress: &dyn Progress,
    ) -> Result<RowDiff> {
        let (before, after) = (self.table_if_any(from, path).await?, self.table_if_any(to, path).await?);
        let (rows_before, rows_after) = (self.rows_of(&before).await?, self.rows_of(&after).await?);
        let (before, after) = (Side::new(before.clone(), &after), Side::new(after, &before));
        let _task = Task::start(
            progress,
            "compare",
            before.rows.zip(after.rows).map(|(one, other)| one + other),
            Unit::Rows,
        );
        let (key_before, key_after) = (before.key(), after.key());
        let key = if key_before == key_after { key_after } else { Vec::new() };
        let mut diff = RowDiff {
            path: path.clone(),
            key: key.clone(),
            rows_before,
            rows_after,
            added: 0,
            removed: 0,
            changed: (!key.is_empty()).then_some(0),
            schema_changes: schema_changes(before.schema(), after.schema()),
            sample: Vec::new(),
        };
        match (before.schema(), after.schema()) {
            (None, _) => diff.added = rows_after,
            (_, None) => diff.removed = rows_before,
            (Some(old), Some(new)) => {
                let context = self.both_sides(&before, &after).await?;
                let columns = common(&old, &new);
                if key.is_empty() {
                    self.compare_rows(&context, &columns, &mut diff).await?;
                } else {
                    self.compare_by_key(&context, &columns, &mut diff).await?;
                }
            }
        }
        Ok(diff)
    }

    async fn table_if_any(&self, at: &Snapshot, path: &RepoPath) -> Result<Option<Delta>> {
        match self.delta_at(at, path.as_str()).await {
            Ok(table) => Ok(Some(table)),
            Err(Error::NoTable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn rows_of(&self, table: &Option<Delta>) -> Result<u64> {
        match table {
            Some(table) => self.count_rows(table).await,
            None => Ok(0),
        }
    }

    /// A session with the rows of the files that only one side has, as `before` and `after`.
    async fn both_sides(&self, before: &Side, after: &Side) -> Result<SessionContext> {
        let spills = before.bytes + after.bytes > self.options().memory_limit_bytes as u64 / HASHED_PART;
        let plan = if spills { Plan::SortingQuery } else { Plan::Query };
        let context = SessionContext::new_with_state(self.session_state(plan));
        for (name, side) in [("before", before), ("after", after)] {
            let Some(table) = &side.table else { continue };
            let provider = if side.files.is_empty() {
                Arc::new(EmptyTable::new(table.schema()))
            } else {
                let doing = || format!("read {}", table.path);
                table
                    .provider(None, Some(&side.files))
                    .await
                    .map_err(|error| self.explain(&doing(), error))?
            };
            context.register_table(name, provider).map_err(explain::query)?;
        }
        Ok(context)
    }

    /// Rows without a key: how often each row is there more, or less.
    async fn compare_rows(&self, context: &SessionContext, columns: &[String], diff: &mut RowDiff) -> Result<()> {
        if columns.is_empty() {
            // Rows that have no column in common are all other rows.
            (diff.added, diff.removed) = (diff.rows_after, diff.rows_before);
            return Ok(());
        }
        let list = columns
            .iter()
            .map(|column| quote(column))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!(
            "SELECT coalesce(sum(CASE WHEN {COUNTED} > 0 THEN {COUNTED} END), 0), \
             coalesce(sum(CASE WHEN {COUNTED} < 0 THEN -{COUNTED} END), 0) FROM (\
             SELECT sum({COUNTED}) AS {COUNTED} FROM (SELECT {list}, 1 AS {COUNTED} FROM after UNION ALL \
             SELECT {list}, -1 AS {COUNTED} FROM before) \
             GROUP BY {list})"
        );
        let counts = self.counts(context, &sql).await?;
        (diff.added, diff.removed) = (counts[0], counts[1]);
        Ok(())
    }

    async fn compare_by_key(&self, context: &SessionContext, columns: &[String], diff: &mut RowDiff) -> Result<()> {
        let on = diff
            .key
            .iter()
            .map(|key| format!("b.{0} = a.{0}", quote(key)))
            .collect::<Vec<_>>()
            .join(" AND ");
        let values: Vec<&String> = columns.iter().filter(|column| !diff.key.contains(column)).collect();
        let differs = values
            .iter()
            .map(|column| format!("(b.{0} IS DISTINCT FROM a.{0})", quote(column)));
        let differs = differs.chain(["false".to_owned()]).collect::<Vec<_>>().join(" OR ");
        let joined = format!(
            "(SELECT *, true AS {PRESENT} FROM before) AS b FULL OUTER JOIN (SELECT *, true AS {PRESENT} FROM after) AS a ON {on}"
        );
        let both = format!("a.{PRESENT} AND b.{PRESENT}");
        let sql = format!(
            "SELECT count(*) FILTER (WHERE b.{PRESENT} IS NULL), count(*) FILTER (WHERE a.{PRESENT} IS NULL), \
             count(*) FILTER (WHERE {both} AND ({differs})) FROM {joined}"
        );
        let counts = self.counts(context, &sql).await?;
        (diff.added, diff.removed, diff.changed) = (counts[0], counts[1], Some(counts[2]));
        if counts[2] > 0 {
            let shown = diff.key.iter().map(|key| format!("a.{}", quote(key)));
            let pairs = values
                .iter()
                .flat_map(|column| ["b", "a"].map(|side| format!("{side}.{}", quote(column))));
            let numbered = shown
                .chain(pairs)
                .enumerate()
                .map(|(at, column)| format!("{column} AS c{at}"));
            let list = numbered.collect::<Vec<_>>().join(", ");
            let order = (0..diff.key.len())
                .map(|at| format!("c{at}"))
                .collect::<Vec<_>>()
                .join(", ");
            let sql = format!(
                "SELECT {list} FROM {joined} WHERE {both} AND ({differs}) ORDER BY {order} LIMIT {SAMPLE_ROWS_MAX}"
            );
            for batch in self.collect(context, &sql).await? {
                diff.sample.extend(sample(&batch, &diff.key, &values)?);
            }
        }
        Ok(())
    }

    async fn counts(&self, context: &SessionContext, sql: &str) -> Result<Vec<u64>> {
        let batches = self.collect(context, sql).await?;
        let batch = batches
            .iter()
            .find(|batch| batch.num_rows() == 1)
            .expect("an aggregate without groups has one row");
        let count = |column: &arrow::array::ArrayRef| column.as_primitive::<Int64Type>().value(0).max(0) as u64;
        Ok(batch.columns().iter().map(count).collect())
    }

    async fn collect(&self, context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
        let frame = context.sql(sql).await.map_err(explain::query)?;
        frame
            .collect()
            .await
            .map_err(|error| self.explain("compare the rows", error))
    }
}

/// `~ key=value: column before → after`, a line for each row.
fn sample(batch: &RecordBatch, key: &[String], values: &[&String]) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<std::result::Result<Vec<_>, _>>();
    let formatters = formatters.map_err(|source| Error::Arrow {
        doing: "show the rows".into(),
        source,
    })?;
    let text = |row: usize, column: usize| formatters[column].value(row).to_string();
    let line = |row| {
        let keys = key
            .iter()
            .enumerate()
            .map(|(at, name)| format!("{name}={}", text(row, at)));
        let pairs = values.iter().enumerate().map(|(at, name)| {
            let (before, after) = (text(row, key.len() + 2 * at), text(row, key.len() + 2 * at + 1));
            (before != after).then(|| format!("{name} {before} → {after}"))
        });
        format!(
            "~ {}: {}",
            keys.collect::<Vec<_>>().join(" "),
            pairs.flatten().collect::<Vec<_>>().join(", ")
        )
    };
    Ok((0..batch.num_rows()).map(line).collect())
}

fn schema_changes(before: Option<SchemaRef>, after: Option<SchemaRef>) -> Vec<String> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    for field in after.fields() {
        match before.field_with_name(field.name()) {
            Err(_) => changes.push(format!("+ {} {}", field.name(), type_name(field.data_type()))),
            Ok(old) if old.data_type() != field.data_type() => {
                changes.push(format!(
                    "~ {} {} → {}",
                    field.name(),
                    type_name(old.data_type()),
                    type_name(field.data_type())
                ));
            }
            Ok(_) => {}
        }
    }
    let gone = before
        .fields()
        .iter()
        .filter(|field| after.field_with_name(field.name()).is_err());
    changes.extend(gone.map(|field| format!("- {} {}", field.name(), type_name(field.data_type()))));
    changes
}

fn common(before: &SchemaRef, after: &SchemaRef) -> Vec<String> {
    let both = after
        .fields()
        .iter()
        .filter(|field| before.field_with_name(field.name()).is_ok());
    both.map(|field| field.name().clone()).collect()
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
