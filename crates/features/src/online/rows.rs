//! A view's rows on their way into the online store: batches of its source with keys, stamps and values as `Value`s.
//! `source` and `scan` give the batches, `column` their values; `materialize` writes the rows, `verify` looks their keys up.
//! Invariant: a row's sequence grows in the order of writing: (file, row within it), or the place in a query's total order.

use arrow::{
    array::{Array, AsArray, BooleanArray, PrimitiveArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use drumlin_model::Timestamp;
use drumlin_online::{Head, NO_END, RowBatch, Stamp, Value};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use super::column::{Column, times};
use crate::{
    definition::check::ResolvedView,
    error::{Error, Result},
    scan::Table,
    source::{self, ResolvedSource},
};

/// Bits of a sequence that count rows within a file.
const FILE_ROW_BITS: u32 = 40;

/// A batch of a view's source, column by column.
pub(crate) struct Rows {
    pub keys: Vec<Column>,
    pub features: Vec<Column>,
    event: PrimitiveArray<TimestampMicrosecondType>,
    created: Created,
    tombstone: Option<BooleanArray>,
    ends: Option<PrimitiveArray<TimestampMicrosecondType>>,
    first_sequence: u64,
    pub len: usize,
}

enum Created {
    /// All rows of a file without a column for it: when the file was written.
    File(i64),
    /// A query without a column for it: known at every time.
    Always,
    Column(PrimitiveArray<TimestampMicrosecondType>),
}

/// A batch and where it stands: its file's time of writing, and the sequence of its first row.
pub(crate) struct Piece {
    batch: RecordBatch,
    written: Option<Timestamp>,
    first_sequence: u64,
}

impl Piece {
    /// In bytes.
    pub fn memory(&self) -> usize {
        self.batch.get_array_memory_size()
    }
}

impl Rows {
    /// Reads a batch as the view declares it.
    pub fn new(view: &ResolvedView, piece: &Piece) -> Result<Rows> {
        let batch = &piece.batch;
        let array = |name: &str| {
            let missing = || Error::Column {
                column: name.to_owned(),
                message: "it is not in the source any more".into(),
            };
            batch.column_by_name(name).ok_or_else(missing)
        };
        let definition = &view.view;
        let keys = view
            .keys
            .iter()
            .map(|key| Column::new(&key.column, array(&key.column)?, key.data_type));
        let features = view
            .features
            .iter()
            .map(|(name, kind)| Column::new(name, array(name)?, *kind));
        let created = match (&definition.created_time, piece.written) {
            (Some(name), _) => Created::Column(times(name, array(name)?)?),
            (None, Some(written)) => Created::File(written.micros()),
            (None, None) => Created::Always,
        };
        let tombstone = definition
            .tombstone
            .as_ref()
            .map(|name| Ok::<_, Error>(array(name)?.as_boolean().clone()));
        let ends = definition.valid_to.as_ref().map(|name| times(name, array(name)?));
        Ok(Rows {
            keys: keys.collect::<Result<_>>()?,
            features: features.collect::<Result<_>>()?,
            event: times(&definition.event_time, array(&definition.event_time)?)?,
            created,
            tombstone: tombstone.transpose()?,
            ends: ends.transpose()?,
            first_sequence: piece.first_sequence,
            len: batch.num_rows(),
        })
    }

    /// Adds all rows to a batch that goes into the store.
    pub fn write_to(&self, batch: &mut RowBatch) {
        for row in 0..self.len {
            let features = self.features.iter().map(|column| column.value(row));
            batch.push(self.key(row), self.head(row), features);
        }
    }

    /// The values of a row's key.
    pub fn key(&self, row: usize) -> impl Iterator<Item = Value<'_>> {
        self.keys.iter().map(move |column| column.value(row))
    }

    /// When a row happened and became known; none when it does not say, so that it can never answer.
    pub fn stamp(&self, row: usize) -> Option<Stamp> {
        let created = match &self.created {
            Created::File(written) => *written,
            Created::Always => i64::MIN,
            Created::Column(times) if times.is_valid(row) => times.value(row),
            Created::Column(_) => return None,
        };
        let sequence = self.first_sequence + row as u64;
        self.event.is_valid(row).then(|| Stamp {
            event: self.event.value(row),
            created,
            sequence,
        })
    }

    /// What the store keeps of a row beside its values; none when it can never answer.
    pub fn head(&self, row: usize) -> Option<Head> {
        let marked = |marks: &BooleanArray| marks.is_valid(row) && marks.value(row);
        let end = self.ends.as_ref().filter(|ends| ends.is_valid(row));
        Some(Head {
            stamp: self.stamp(row)?,
            until: end.map_or(NO_END, |ends| ends.value(row)),
            tombstone: self.tombstone.as_ref().is_some_and(marked),
            pushed: false,
        })
    }
}

/// The rows of a table's files from the `from`-th on.
pub(crate) fn of_table(view: &ResolvedView, table: &Table, from: usize) -> BoxStream<'static, Result<Piece>> {
    let schema = table.project(&view.columns());
    let files: Vec<_> = table.files.iter().cloned().enumerate().skip(from).collect();
    let table = table.clone();
    stream::iter(files)
        .flat_map(move |(index, file)| {
            let mut next = (index as u64) << FILE_ROW_BITS;
            let written = file.written;
            table.read_file(&file, schema.clone()).map_ok(move |batch| {
                let first_sequence = next;
                next += batch.num_rows() as u64;
                Piece {
                    batch,
                    written,
                    first_sequence,
                }
            })
        })
        .boxed()
}

/// The rows of a view, wherever they come from.
pub(crate) async fn of_view(
    engine: &Engine,
    snapshot: &Snapshot,
    view: &ResolvedView,
    from: &ResolvedSource,
) -> Result<BoxStream<'static, Result<Piece>>> {
    let planned = match from {
        ResolvedSource::Table(table) => return Ok(of_table(view, table, 0)),
        ResolvedSource::Query(planned) => planned,
    };
    let plan = source::ordered_query(view, planned)?;
    let name = view.view.name.clone();
    let batches = source::run(&source::context(engine, snapshot).await?, plan, &name).await?;
    let mut next = 0;
    let pieces = stream::iter(batches).flatten().map(move |batch| {
        let batch = batch.map_err(Error::query(format!("view {name:?}")))?;
        let first_sequence = next;
        next += batch.num_rows() as u64;
        Ok(Piece {
            batch,
            written: None,
            first_sequence,
        })
    });
    Ok(pieces.boxed())
}
