//! The values of the picked rows, and of no others: read in the order of writing, returned in the spine's.
//! `run` chooses the rows; `source` reads them, page by page where the files allow it.
//! Invariant: a row that several spine rows picked is read once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arrow::{
    array::{Array, ArrayRef, new_null_array},
    compute::{CastOptions, cast_with_options, concat, interleave},
    datatypes::DataType,
};
use datafusion::{common::runtime::SpawnedTask, execution::memory_pool::MemoryReservation};
use drumlin_model::feature::{Nulls, Status};
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    resolve::ResolvedLookup,
    source::{Side, Source},
};

/// Columns of a piece are read together up to this many stored bytes: a wide row group must not be in memory whole.
const READ_BYTES_MAX: u64 = 8 << 20;

/// No row.
const NOWHERE: u64 = u64::MAX;

/// The position of the chosen row for each spine row; later, where its values are.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    positions: Vec<u64>,
}

impl Chosen {
    /// The position, and the pair by which positions are sorted.
    pub(crate) const BYTES_PER_ROW: usize = 8 + 16;

    pub(crate) fn new(rows: usize) -> Self {
        Chosen {
            positions: vec![NOWHERE; rows],
        }
    }

    pub(crate) fn set(&mut self, row: usize, position: u64) {
        self.positions[row] = position;
    }
}

/// The rows to read of one piece of the source.
struct Wanted {
    piece: usize,
    rows: Vec<u32>,
}

/// One read: some columns of the wanted rows of one piece.
struct Read {
    part: usize,
    columns: std::ops::Range<usize>,
}

/// The values, by column and by part; and where each spine row's are.
pub(crate) struct Fetched {
    /// For each column a part for each piece with wanted rows, then a null.
    parts: Vec<Vec<ArrayRef>>,
    /// With `Nulls::Row` one for all columns, else one for each: part in the high half, row in the low.
    places: Vec<Vec<u64>>,
}

/// Reads the values that were chosen; grows `held` by what they take.
pub(crate) async fn fetch(
    side: &Side,
    chosen: Vec<Chosen>,
    threads: usize,
    held: &MemoryReservation,
) -> Result<Fetched> {
    let (wanted, places) = locate(&side.source, chosen);
    let wanted = Arc::new(wanted);
    let reads = Arc::new(plan_reads(side, &wanted));
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..threads.min(reads.len()) {
        let (source, lookup) = (side.source.clone(), side.lookup.clone());
        let (wanted, reads, next) = (wanted.clone(), reads.clone(), next.clone());
        let held = held.new_empty();
        tasks.push(SpawnedTask::spawn(async move {
            let mut done = Vec::new();
            loop {
                let read = next.fetch_add(1, Ordering::Relaxed);
                let Some(Read { part, columns }) = reads.get(read) else {
                    break;
                };
                let arrays = read_values(&source, &lookup, &wanted[*part], columns.clone()).await?;
                held.try_grow(arrays.iter().map(|array| array.get_array_memory_size()).sum())?;
                done.push((read, arrays));
            }
            Ok::<_, Error>((done, held))
        }));
    }
    let fields = side.lookup.value_types.iter();
    let mut parts: Vec<Vec<ArrayRef>> = fields
        .map(|data_type| vec![new_null_array(data_type, 1); wanted.len() + 1])
        .collect();
    for task in tasks {
        let joined = task.join().await.map_err(|source| Error::Reader {
            view: side.lookup.view.clone(),
            source,
        })?;
        let (done, mut task_held) = joined?;
        // The bytes change hands without being given back to the pool in between.
        let bytes = task_held.size();
        drop(task_held.take());
        held.try_grow(bytes)?;
        for (read, arrays) in done {
            let Read { part, columns } = &reads[read];
            columns
                .clone()
                .zip(arrays)
                .for_each(|(column, array)| parts[column][*part] = array);
        }
    }
    Ok(Fetched { parts, places })
}

/// Turns positions into rows of pieces, each once and ascending, and says where each spine row's will be.
fn locate(source: &Source, chosen: Vec<Chosen>) -> (Vec<Wanted>, Vec<Vec<u64>>) {
    let mut order: Vec<(u64, u64)> = Vec::new();
    for (set, chosen) in chosen.iter().enumerate() {
        let rows = chosen.positions.iter().enumerate();
        order.extend(
            rows.filter(|(_, position)| **position != NOWHERE)
                .map(|(row, position)| (*position, (set as u64) << 32 | row as u64)),
        );
    }
    order.sort_unstable();
    let mut places: Vec<Vec<u64>> = chosen.into_iter().map(|chosen| chosen.positions).collect();
    let mut wanted: Vec<Wanted> = Vec::new();
    let (mut piece_first, mut piece_end) = (0, 0);
    for (position, whose) in order {
        if position >= piece_end {
            let piece = source.piece_at(position);
            piece_first = source.first(piece);
            piece_end = source.end(piece);
            wanted.push(Wanted {
                piece,
                rows: Vec::new(),
            });
        }
        let part = wanted.len() - 1;
        let rows = &mut wanted[part].rows;
        let row = (position - piece_first) as u32;
        if rows.last() != Some(&row) {
            rows.push(row);
        }
        let (set, spine_row) = ((whose >> 32) as usize, whose as u32 as usize);
        places[set][spine_row] = (part as u64) << 32 | (rows.len() - 1) as u64;
    }
    (wanted, places)
}

/// Cuts each part's columns into reads of bounded size.
fn plan_reads(side: &Side, wanted: &[Wanted]) -> Vec<Read> {
    let fields = &side.lookup.values;
    let mut reads = Vec::new();
    for (part, wanted) in wanted.iter().enumerate() {
        let (mut start, mut bytes) = (0, 0);
        for (column, field) in fields.iter().enumerate() {
            let more = side.source.stored_bytes(wanted.piece, field);
            if column > start && bytes + more > READ_BYTES_MAX {
                reads.push(Read {
                    part,
                    columns: start..column,
                });
                (start, bytes) = (column, 0);
            }
            bytes += more;
        }
        if start < fields.len() {
            reads.push(Read {
                part,
                columns: start..fields.len(),
            });
        }
    }
    reads
}

async fn read_values(
    source: &Source,
    lookup: &ResolvedLookup,
    wanted: &Wanted,
    columns: std::ops::Range<usize>,
) -> Result<Vec<ArrayRef>> {
    let fields = &lookup.values[columns.clone()];
    let batches: Vec<_> = source
        .read(wanted.piece, fields, Some(&wanted.rows))?
        .try_collect()
        .await?;
    let mut values = Vec::with_capacity(fields.len());
    for (place, column) in columns.enumerate() {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.arrays[place].as_ref()).collect();
        let joined = if arrays.len() == 1 {
            batches[0].arrays[place].clone()
        } else {
            concat(&arrays)?
        };
        values.push(declare(joined, lookup, column)?);
    }
    Ok(values)
}

/// The column in its declared type.
fn declare(array: ArrayRef, lookup: &ResolvedLookup, column: usize) -> Result<ArrayRef> {
    let declared = &lookup.value_types[column];
    if array.data_type() == declared {
        return Ok(array);
    }
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    let cast = |array: &ArrayRef, to| {
        cast_with_options(array, to, &options).map_err(|source| Error::Cast {
            view: lookup.view.clone(),
            column: lookup.values[column].name().clone(),
            data_type: declared.clone(),
            source,
        })
    };
    let there = cast(&array, declared)?;
    if !may_lose(array.data_type(), declared) || cast(&there, array.data_type())?.to_data() == array.to_data() {
        return Ok(there);
    }
    Err(Error::Inexact {
        view: lookup.view.clone(),
        column: lookup.values[column].name().clone(),
        from: array.data_type().clone(),
        data_type: declared.clone(),
    })
}

/// Whether a cast that succeeds may still have cut a value. A float that is declared a narrower float is rounded, as declared.
fn may_lose(from: &DataType, to: &DataType) -> bool {
    (from.is_numeric() || from.is_temporal()) && !(from.is_floating() && to.is_floating())
}

impl Fetched {
    fn places(&self, column: usize) -> &[u64] {
        &self.places[column.min(self.places.len() - 1)]
    }

    /// A column's values for some of the piece's rows.
    pub(crate) fn column(&self, column: usize, first: usize, rows: usize) -> Result<ArrayRef> {
        let parts = &self.parts[column];
        let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        let null = (parts.len() - 1, 0);
        let places = self.places(column)[first..first + rows].iter();
        let indices: Vec<(usize, usize)> = places
            .map(|place| {
                if *place == NOWHERE {
                    null
                } else {
                    ((place >> 32) as usize, *place as u32 as usize)
                }
            })
            .collect();
        Ok(interleave(&arrays, &indices)?)
    }

    /// Turns `Present` into `NullValue` where every requested feature is null.
    pub(crate) fn mark_nulls(&self, lookup: &ResolvedLookup, mut statuses: Vec<Status>) -> Vec<Status> {
        if lookup.values.is_empty() {
            return statuses;
        }
        let filled = self.filled();
        let present = statuses
            .iter_mut()
            .enumerate()
            .filter(|(_, status)| **status == Status::Present);
        for (row, status) in present {
            let any = match lookup.nulls {
                Nulls::LastNonNull => self.places.iter().any(|places| places[row] != NOWHERE),
                Nulls::Row => {
                    let place = self.places[0][row];
                    filled[(place >> 32) as usize][place as u32 as usize]
                }
            };
            if !any {
                *status = Status::NullValue;
            }
        }
        statuses
    }

    /// For each fetched row, whether any of its values is there.
    fn filled(&self) -> Vec<Vec<bool>> {
        let parts = self.parts.first().map_or(0, |parts| parts.len() - 1);
        let mut filled = Vec::with_capacity(parts);
        for part in 0..parts {
            let mut any = vec![false; self.parts.iter().map(|column| column[part].len()).max().unwrap_or(0)];
            for column in &self.parts {
                let nulls = column[part].logical_nulls();
                let rows = any.iter_mut().enumerate().take(column[part].len());
                rows.for_each(|(row, any)| *any |= nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
            }
            filled.push(any);
        }
        filled
    }
}
