//! One lookup for one piece of the spine: index the spine, scan the view once for the picks, fetch their values.
//! `exec` cuts the spine into pieces that fit the memory limit; `scan` and `fetch` do the two passes.
//! Invariant: every byte that grows with the spine is reserved before it is used, so too large a piece fails early and is cut.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::{common::runtime::SpawnedTask, execution::memory_pool::MemoryReservation};
use drumlin_model::feature::{Nulls, Status};
use futures::TryStreamExt;

use crate::{
    columns::Needed,
    error::{Error, Result},
    fetch::{Chosen, Fetched, fetch},
    index::{SpineBatch, SpineIndex},
    key::KeyEncoder,
    pick::Pick,
    resolve::ResolvedLookup,
    scan::{Found, Scan},
    source::{Side, Source},
    time::{clamp, from_scale, to_scale},
};

/// A run of the spine's rows, in their order.
pub(crate) struct SpinePiece {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rows: usize,
}

/// The columns of one lookup for a piece of the spine. Holds the memory that they take.
pub(crate) struct Answer {
    lookup: Arc<ResolvedLookup>,
    fetched: Fetched,
    windows: Vec<ArrayRef>,
    event_times: Option<ArrayRef>,
    statuses: Option<Vec<Status>>,
    pub(crate) null_event_times: u64,
    _held: MemoryReservation,
}

impl Answer {
    /// The columns for some of the piece's rows.
    pub(crate) fn columns(&self, first: usize, rows: usize) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.lookup.width());
        for value in 0..self.lookup.values.len() {
            columns.push(self.fetched.column(value, first, rows)?);
        }
        columns.extend(
            self.windows
                .iter()
                .chain(&self.event_times)
                .map(|column| column.slice(first, rows)),
        );
        if let Some(statuses) = &self.statuses {
            let text = statuses[first..first + rows].iter().map(|status| status.as_str());
            columns.push(Arc::new(StringArray::from_iter_values(text)));
        }
        Ok(columns)
    }
}

/// Runs one lookup. `held` is an empty reservation of the join's own.
pub(crate) async fn run(
    side: &Side,
    piece: &SpinePiece,
    time: usize,
    threads: usize,
    held: MemoryReservation,
) -> Result<Answer> {
    let lookup = &side.lookup;
    held.try_grow(piece.rows * SpineIndex::BUILD_BYTES_PER_ROW)?;
    let index = Arc::new(index(lookup, piece, time)?);
    held.try_resize(index.size_bytes())?;

    let (pieces, nulls_left_out) = side.source.prune(lookup, &needed(lookup, &index))?;
    let threads = threads.min(pieces.len()).max(1);
    held.try_grow(Found::bytes(lookup, index.slots()) * threads)?;
    let found = scan(side, &index, pieces, threads).await?;

    let null_event_times = found.null_event_times + nulls_left_out;
    let mut windows = Vec::with_capacity(lookup.windows.len());
    for (window, totals) in lookup.windows.iter().zip(found.totals) {
        windows.push(totals.settle(&index, piece.rows, window, &lookup.view)?);
    }
    let outcome = Outcome::new(lookup, &index, found.picks.settle(index.starts()), piece.rows);
    let mut chosen = vec![Chosen::new(piece.rows); if lookup.nulls == Nulls::Row { 1 } else { 0 }];
    match chosen.first_mut() {
        Some(chosen) => outcome.choose(chosen),
        None => {
            let features = found.features.into_iter().map(|picks| picks.settle(index.starts()));
            chosen = features
                .map(|picks| Outcome::new(lookup, &index, picks, piece.rows).into_chosen())
                .collect();
        }
    }
    let times = lookup
        .with_event_time
        .then(|| outcome.event_times(lookup))
        .transpose()?;
    let statuses = outcome.statuses;
    drop(index);
    held.try_resize(kept_bytes(lookup, piece.rows, chosen.len()))?;
    let fetched = fetch(side, chosen, threads, &held).await?;
    let statuses = lookup.with_status.then(|| fetched.mark_nulls(lookup, statuses));
    Ok(Answer {
        lookup: lookup.clone(),
        fetched,
        windows,
        event_times: times,
        statuses,
        null_event_times,
        _held: held,
    })
}

/// What stays beside the fetched values until the piece has been returned.
fn kept_bytes(lookup: &ResolvedLookup, rows: usize, chosen: usize) -> usize {
    let about = lookup.windows.len() + usize::from(lookup.with_event_time);
    rows * (chosen * Chosen::BYTES_PER_ROW + about * 9 + usize::from(lookup.with_status))
}

fn index(lookup: &ResolvedLookup, piece: &SpinePiece, time: usize) -> Result<SpineIndex> {
    let encoder = KeyEncoder::new(&lookup.key_types)?;
    let mut batches = Vec::with_capacity(piece.batches.len());
    for batch in &piece.batches {
        let keys: Vec<ArrayRef> = lookup.spine_keys.iter().map(|key| batch.column(*key).clone()).collect();
        let name = batch.schema_ref().field(time).name().clone();
        let times = to_scale(batch.column(time), lookup.scale, "the spine", &name)?;
        batches.push(SpineBatch {
            keys: encoder.encode(&keys)?,
            times,
        });
    }
    Ok(SpineIndex::build(&batches))
}

/// The event times and keys that can matter to the spine.
fn needed(lookup: &ResolvedLookup, index: &SpineIndex) -> Needed {
    let (least, greatest) = index.time_range();
    let (least, greatest) = (i128::from(least), i128::from(greatest));
    let mut times: Option<(i128, i128)> = None;
    let mut need = |from: i128, to: i128| {
        times = Some(times.map_or((from, to), |(least, greatest)| (least.min(from), greatest.max(to))));
    };
    if !lookup.values.is_empty() || lookup.with_event_time || lookup.with_status {
        // To say OUTSIDE_MAX_AGE, the rows outside have to be seen.
        let oldest = lookup.max_age.filter(|_| !lookup.with_status);
        need(oldest.map_or(i128::from(i64::MIN), |age| least - age), greatest);
    }
    for window in &lookup.windows {
        if window.label {
            need(least, greatest + window.length);
        } else {
            need(least - window.length, greatest);
        }
    }
    let (from, to) = times.unwrap_or((i128::from(i64::MAX), i128::from(i64::MIN)));
    Needed {
        times: (clamp(from), clamp(to)),
        keys: index.table.number_range(),
    }
}

/// Scans the pieces with several tasks, each taking the next piece that is left.
async fn scan(side: &Side, index: &Arc<SpineIndex>, pieces: Vec<usize>, threads: usize) -> Result<Found> {
    let pieces = Arc::new(pieces);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::with_capacity(threads);
    for _ in 0..threads {
        let mut scan = Scan::new(&side.lookup, index)?;
        let (source, index, pieces, next) = (side.source.clone(), index.clone(), pieces.clone(), next.clone());
        let lookup = side.lookup.clone();
        tasks.push(SpawnedTask::spawn(async move {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                scan_piece(&mut scan, &source, &lookup, &index, *piece).await?;
            }
            Ok::<Found, Error>(scan.found)
        }));
    }
    let mut merged: Option<Found> = None;
    for task in tasks {
        let found = task.join().await.map_err(|source| Error::Reader {
            view: side.lookup.view.clone(),
            source,
        })??;
        match &mut merged {
            Some(merged) => merged.merge(&found),
            None => merged = Some(found),
        }
    }
    Ok(merged.expect("at least one task scans"))
}

async fn scan_piece(
    scan: &mut Scan,
    source: &Source,
    lookup: &ResolvedLookup,
    index: &SpineIndex,
    piece: usize,
) -> Result<()> {
    let mut first = source.first(piece);
    let written = source.written(piece);
    let mut batches = source.read(piece, &lookup.scan, None)?;
    while let Some(columns) = batches.try_next().await? {
        scan.batch(index, &columns, first, written)?;
        first += columns.rows as u64;
    }
    Ok(())
}

/// What was picked for each row of the piece.
struct Outcome {
    picks: Vec<Pick>,
    statuses: Vec<Status>,
}

impl Outcome {
    /// Puts the slots' picks in the spine's order and applies `max_age`: the greatest pick has the greatest event time, so
    /// when it is too old, all are.
    fn new(lookup: &ResolvedLookup, index: &SpineIndex, slots: Vec<Pick>, rows: usize) -> Self {
        let mut picks = vec![Pick::NONE; rows];
        let mut statuses = vec![Status::NotFound; rows];
        for ((pick, time), row) in slots.into_iter().zip(index.times()).zip(index.rows()) {
            if pick.is_none() {
                continue;
            }
            let row = *row as usize;
            let oldest = lookup.max_age.map_or(i64::MIN, |age| clamp(i128::from(*time) - age));
            statuses[row] = match pick {
                pick if pick.event < oldest => Status::OutsideMaxAge,
                pick if pick.is_deleted() => Status::Deleted,
                _ => Status::Present,
            };
            if statuses[row] != Status::OutsideMaxAge {
                picks[row] = pick;
            }
        }
        Outcome { picks, statuses }
    }

    fn choose(&self, chosen: &mut Chosen) {
        for (row, pick) in self.picks.iter().enumerate() {
            if !pick.is_none() && !pick.is_deleted() {
                chosen.set(row, pick.position());
            }
        }
    }

    fn into_chosen(self) -> Chosen {
        let mut chosen = Chosen::new(self.picks.len());
        self.choose(&mut chosen);
        chosen
    }

    fn event_times(&self, lookup: &ResolvedLookup) -> Result<ArrayRef> {
        let times: Int64Array = self
            .picks
            .iter()
            .map(|pick| (!pick.is_none()).then_some(pick.event))
            .collect();
        from_scale(times, lookup.scale, &lookup.event_type)
    }
}
