//! What differs between two training sets: definitions, options, rows and the values of each column.
//! Rows are the same when all their spine columns are; sets with one spine are compared row by row as they stream.
//! Invariant: bounded memory: either two streams side by side, or the engine's joins, which spill.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, RecordBatch},
    compute::{cast, kernels::cmp::distinct},
    datatypes::SchemaRef,
};
use drumlin_asof::ParquetFile;
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_objects::{SnapshotStore, object_path};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::ObjectStore;
use serde::Serialize;
use tracing::instrument;

use super::{
    SetAt, TrainingSet,
    diff_join::{self, Counted},
    folder_of, show,
};
use crate::{
    apply::{FieldChange, field_changes},
    definition::Definition,
    error::{Error, Result},
    scan::{self, Table},
};

/// How two sets differ.
#[derive(Clone, Debug, Serialize)]
pub struct SetDiff {
    pub before: TrainingSet,
    pub after: TrainingSet,
    /// Whether both have the same bytes.
    pub same_content: bool,
    pub definitions: Vec<DefinitionDiff>,
    /// Rows of the one whose spine columns are not in the other.
    pub rows_removed: u64,
    pub rows_added: u64,
    /// Rows that are in both.
    pub rows_common: u64,
    pub rows_changed: u64,
    /// Columns in which a common row has another value, or that only one set has.
    pub columns: Vec<ColumnDiff>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefinitionDiff {
    /// The view's label in the set.
    pub view: String,
    /// None where only one of the sets has the view.
    pub fields: Option<Vec<FieldChange>>,
    pub in_before: bool,
    pub in_after: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnDiff {
    pub column: String,
    pub in_before: bool,
    pub in_after: bool,
    /// Common rows with another value.
    pub rows_changed: u64,
}

/// Compares two sets, of one commit or of two. Writes nothing to the repository.
#[instrument(level = "debug", skip_all, fields(before = before.name, after = after.name))]
pub async fn diff(engine: &Engine, before: SetAt<'_>, after: SetAt<'_>, progress: &dyn Progress) -> Result<SetDiff> {
    let (old, new) = (show(before.at, before.name).await?, show(after.at, after.name).await?);
    let mut diff = SetDiff {
        same_content: old.content == new.content,
        definitions: definitions(&old, &new),
        rows_removed: 0,
        rows_added: 0,
        rows_common: old.rows,
        rows_changed: 0,
        columns: Vec::new(),
        before: old,
        after: new,
    };
    if diff.same_content {
        return Ok(diff);
    }
    let spine = common_spine(&diff.before, &diff.after)?;
    let (old, new) = (
        parts(before.at, &diff.before).await?,
        parts(after.at, &diff.after).await?,
    );
    let shared = shared_columns(&old.schema, &new.schema, &spine);
    let counted = match side_by_side(&old, &new, &spine, &shared, progress).await? {
        Some(counted) => counted,
        None => {
            let _task = Task::start(progress, "match rows", None, Unit::Rows);
            diff_join::by_identity(engine, &old, &new, &spine, &shared).await?
        }
    };
    diff.rows_common = counted.common;
    diff.rows_removed = diff.before.rows - counted.common;
    diff.rows_added = diff.after.rows - counted.common;
    diff.rows_changed = counted.changed;
    diff.columns = columns(&diff.before, &diff.after, &shared, &counted);
    Ok(diff)
}

fn definitions(old: &TrainingSet, new: &TrainingSet) -> Vec<DefinitionDiff> {
    let by_label = |set: &TrainingSet| -> BTreeMap<String, super::UsedView> {
        set.views
            .iter()
            .map(|view| (view.used.label().to_owned(), view.clone()))
            .collect()
    };
    let (old, new) = (by_label(old), by_label(new));
    let mut diffs = Vec::new();
    for (label, before) in &old {
        let fields = new.get(label).map(|after| {
            let definition = |view: &super::UsedView| Definition::FeatureView(view.definition.clone());
            field_changes(&definition(before), &definition(after))
        });
        let entity_changed = new.get(label).is_some_and(|after| after.hash != before.hash);
        if fields
            .as_ref()
            .is_none_or(|fields| !fields.is_empty() || entity_changed)
        {
            diffs.push(DefinitionDiff {
                view: label.clone(),
                in_after: fields.is_some(),
                fields,
                in_before: true,
            });
        }
    }
    for label in new.keys().filter(|label| !old.contains_key(*label)) {
        diffs.push(DefinitionDiff {
            view: label.clone(),
            fields: None,
            in_before: false,
            in_after: true,
        });
    }
    diffs
}

/// The columns by which rows of both sets are the same: the spine's of both.
fn common_spine(old: &TrainingSet, new: &TrainingSet) -> Result<Vec<String>> {
    let names = |set: &TrainingSet| -> Vec<String> {
        set.schema
            .iter()
            .take(set.spine_columns)
            .map(|column| column.name.clone())
            .collect()
    };
    let (old_names, new_names) = (names(old), names(new));
    let common: Vec<String> = old_names.into_iter().filter(|name| new_names.contains(name)).collect();
    if common.is_empty() {
        return Err(Error::Input {
            what: "training set",
            value: new.name.clone(),
            why: format!("shares no column of its spine with {:?}", old.name),
            cures: Vec::new(),
        });
    }
    Ok(common)
}

fn shared_columns(old: &SchemaRef, new: &SchemaRef, spine: &[String]) -> Vec<String> {
    let shared = old.fields().iter().map(|field| field.name());
    shared
        .filter(|name| new.index_of(name).is_ok() && !spine.contains(name))
        .cloned()
        .collect()
}

fn columns(old: &TrainingSet, new: &TrainingSet, shared: &[String], counted: &Counted) -> Vec<ColumnDiff> {
    let mut columns = Vec::new();
    for (column, &rows_changed) in shared.iter().zip(&counted.columns).filter(|(_, rows)| **rows > 0) {
        columns.push(ColumnDiff {
            column: column.clone(),
            in_before: true,
            in_after: true,
            rows_changed,
        });
    }
    let only = |a: &TrainingSet, b: &TrainingSet, in_before| -> Vec<ColumnDiff> {
        let missing = a
            .schema
            .iter()
            .filter(|column| b.schema.iter().all(|other| other.name != column.name));
        missing
            .map(|column| ColumnDiff {
                column: column.name.clone(),
                in_before,
                in_after: !in_before,
                rows_changed: 0,
            })
            .collect()
    };
    columns.extend(only(old, new, true));
    columns.extend(only(new, old, false));
    columns
}

/// A set's parts, as a table of files.
pub(super) async fn parts(snapshot: &Snapshot, set: &TrainingSet) -> Result<Table> {
    let folder = folder_of(&set.name)?;
    let store: Arc<dyn ObjectStore> = Arc::new(SnapshotStore::new(snapshot.clone()));
    let files = set.parts.iter().map(|part| {
        let path = folder
            .join(&part.file)
            .map_err(|_| damaged(set, format!("{:?} is not the name of a file", part.file)))?;
        Ok(ParquetFile {
            path: object_path(&path),
            size: part.bytes,
            written: None,
        })
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let first = files.first().ok_or_else(|| damaged(set, "it has no part".into()))?;
    let schema = scan::schema_of(&store, first).await?;
    let input = drumlin_model::Input {
        name: folder.to_string(),
        commit: Some(snapshot.commit()),
        version: Some(set.content.clone()),
        ..drumlin_model::Input::default()
    };
    Ok(Table {
        name: set.name.clone(),
        input,
        schema,
        store,
        files,
    })
}

fn damaged(set: &TrainingSet, detail: String) -> Error {
    Error::TrainingSetDamaged {
        name: set.name.clone(),
        detail,
    }
}

/// Compares row by row; none when the spines differ somewhere.
async fn side_by_side(
    old: &Table,
    new: &Table,
    spine: &[String],
    shared: &[String],
    progress: &dyn Progress,
) -> Result<Option<Counted>> {
    let task = Task::start(progress, "compare", None, Unit::Rows);
    let wanted: Vec<String> = spine.iter().chain(shared).cloned().collect();
    let old_schema = old.project(&wanted);
    let mut old_rows = Pieces::new(old.rows(&old_schema));
    let mut new_rows = Pieces::new(new.rows(&new.project(&wanted)));
    let mut counted = Counted {
        common: 0,
        changed: 0,
        columns: vec![0; shared.len()],
    };
    loop {
        let len = match (old_rows.len().await?, new_rows.len().await?) {
            (0, 0) => return Ok(Some(counted)),
            (0, _) | (_, 0) => return Ok(None),
            (a, b) => a.min(b),
        };
        let (a, b) = (old_rows.take(len), new_rows.take(len));
        for name in spine {
            if differing(&a, &b, name)?.iter().any(|differs| *differs) {
                return Ok(None);
            }
        }
        let mut changed = vec![false; len];
        for (name, count) in shared.iter().zip(&mut counted.columns) {
            for (row, differs) in differing(&a, &b, name)?
                .into_iter()
                .enumerate()
                .filter(|(_, differs)| *differs)
            {
                changed[row] |= differs;
                *count += 1;
            }
        }
        task.advance(len as u64);
        counted.common += len as u64;
        counted.changed += changed.into_iter().filter(|changed| *changed).count() as u64;
    }
}

/// Row by row, whether a column has different values; two nulls are the same.
fn differing(a: &RecordBatch, b: &RecordBatch, name: &str) -> Result<Vec<bool>> {
    let failed = || Error::arrow(format!("column {name:?}"));
    let column = |batch: &RecordBatch| batch.column_by_name(name).cloned().expect("the column was projected");
    let (a, mut b) = (column(a), column(b));
    if a.data_type() != b.data_type() {
        match cast(&b, a.data_type()) {
            Ok(array) => b = array,
            Err(_) => return Ok(vec![true; a.len()]),
        }
    }
    let differs = distinct(&a, &b).map_err(failed())?;
    Ok((0..differs.len()).map(|row| differs.value(row)).collect())
}

/// A stream of batches that is taken in pieces of any length.
struct Pieces {
    rows: BoxStream<'static, Result<RecordBatch>>,
    current: Option<RecordBatch>,
}

impl Pieces {
    fn new(rows: BoxStream<'static, Result<RecordBatch>>) -> Self {
        Pieces {
            rows: rows.boxed(),
            current: None,
        }
    }

    /// Rows that can be taken; none at the end.
    async fn len(&mut self) -> Result<usize> {
        while self.current.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match self.rows.try_next().await? {
                Some(batch) => self.current = Some(batch),
                None => return Ok(0),
            }
        }
        Ok(self.current.as_ref().map_or(0, RecordBatch::num_rows))
    }

    fn take(&mut self, len: usize) -> RecordBatch {
        let batch = self.current.take().expect("`len` said that there are rows");
        let piece = batch.slice(0, len);
        self.current = Some(batch.slice(len, batch.num_rows() - len));
        piece
    }
}
