//! One thread's pass over batches of a view: finds the slots that each row concerns and offers it to them.
//! `run` hands out the batches and merges what the threads found.
//! Invariant: a row is offered to a slot exactly when the law calls it a candidate, leaving only `max_age` to `run`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array},
    buffer::NullBuffer,
};
use drumlin_model::{Timestamp, feature::Nulls};

use crate::{
    columns::Columns,
    error::Result,
    index::{Group, SpineIndex},
    key::{KeyEncoder, NO_GROUP},
    pick::{Pick, Picks},
    resolve::ResolvedLookup,
    spec::KnownAt,
    time::{self, clamp, to_scale},
    window::{Totals, WindowValues},
};

/// What one thread found.
pub(crate) struct Scan {
    lookup: Arc<ResolvedLookup>,
    encoder: KeyEncoder,
    groups: Vec<u32>,
    reaches: Vec<Reach>,
    pub(crate) found: Found,
}

/// A row of a batch and the slots from which on it counts.
struct Reach {
    row: u32,
    from: u32,
    end: u32,
}

/// The best candidates and the totals, for every slot.
pub(crate) struct Found {
    pub(crate) picks: Picks,
    /// With `Nulls::LastNonNull`, the best candidate of each feature.
    pub(crate) features: Vec<Picks>,
    pub(crate) totals: Vec<Totals>,
    pub(crate) null_event_times: u64,
}

impl Found {
    fn new(lookup: &ResolvedLookup, slots: usize) -> Self {
        let ranged = lookup.roles.valid_to.is_some();
        Found {
            picks: Picks::new(slots, ranged),
            features: lookup
                .roles
                .features
                .iter()
                .map(|_| Picks::new(slots, ranged))
                .collect(),
            totals: lookup
                .windows
                .iter()
                .map(|window| Totals::new(window, lookup.is_float(window), slots))
                .collect(),
            null_event_times: 0,
        }
    }

    pub(crate) fn bytes(lookup: &ResolvedLookup, slots: usize) -> usize {
        let picks = Picks::bytes(slots, lookup.roles.valid_to.is_some()) * (1 + lookup.roles.features.len());
        let totals: usize = lookup
            .windows
            .iter()
            .map(|window| Totals::bytes(window, lookup.is_float(window), slots))
            .sum();
        picks + totals
    }

    pub(crate) fn merge(&mut self, other: &Found) {
        self.picks.merge(&other.picks);
        self.features
            .iter_mut()
            .zip(&other.features)
            .for_each(|(mine, theirs)| mine.merge(theirs));
        self.totals
            .iter_mut()
            .zip(&other.totals)
            .for_each(|(mine, theirs)| mine.merge(theirs));
        self.null_event_times += other.null_event_times;
    }
}

/// The times and marks of one batch, and what holds for all its rows.
struct Batch<'a> {
    first: u64,
    event: Int64Array,
    created: Option<Int64Array>,
    /// The created time of rows that have none of their own.
    created_all: i64,
    valid_to: Option<Int64Array>,
    deleted: Option<&'a BooleanArray>,
    features: Vec<Option<NullBuffer>>,
    windows: Vec<WindowValues>,
}

impl Scan {
    pub(crate) fn new(lookup: &Arc<ResolvedLookup>, index: &SpineIndex) -> Result<Self> {
        Ok(Scan {
            encoder: KeyEncoder::new(&lookup.key_types)?,
            groups: Vec::new(),
            reaches: Vec::new(),
            found: Found::new(lookup, index.slots()),
            lookup: lookup.clone(),
        })
    }

    /// Takes a batch of `ResolvedLookup::scan` columns whose first row has position `first`.
    pub(crate) fn batch(
        &mut self,
        index: &SpineIndex,
        columns: &Columns,
        first: u64,
        written: Option<Timestamp>,
    ) -> Result<()> {
        let lookup = self.lookup.clone();
        let keys: Vec<ArrayRef> = lookup
            .roles
            .keys
            .iter()
            .map(|key| columns.arrays[*key].clone())
            .collect();
        let keys = self.encoder.encode(&keys)?;
        index.table.find(&keys, columns.rows, &mut self.groups);
        let batch = Batch::new(&lookup, columns, first, written)?;
        self.found.null_event_times += batch.event.null_count() as u64;
        if lookup.is_plain() {
            self.plain(&lookup, index, &batch);
            return Ok(());
        }
        let groups = std::mem::take(&mut self.groups);
        for (row, group) in groups.iter().enumerate() {
            if *group != NO_GROUP && !batch.event.is_null(row) {
                self.row(&lookup, index.group(*group), &batch, row);
            }
        }
        self.groups = groups;
        Ok(())
    }

    /// The same as `row` for each, where nothing but the event time counts. Three short loops instead of one long one: each waits
    /// for one place in memory, and the processor waits for many rows' places at once.
    fn plain(&mut self, lookup: &ResolvedLookup, index: &SpineIndex, batch: &Batch<'_>) {
        self.reaches.clear();
        for (row, group) in self.groups.iter().enumerate() {
            if *group != NO_GROUP && !batch.event.is_null(row) {
                let (from, end) = index.bounds(*group);
                self.reaches.push(Reach {
                    row: row as u32,
                    from,
                    end,
                });
            }
        }
        for reach in &mut self.reaches {
            let group = index.between(reach.from, reach.end);
            reach.from += group.seeing(batch.event.value(reach.row as usize), lookup.inclusive) as u32;
        }
        for reach in self.reaches.iter().filter(|reach| reach.from < reach.end) {
            let row = reach.row as usize;
            let pick = Pick::new(
                batch.event.value(row),
                batch.created_all,
                batch.first + row as u64,
                false,
            );
            self.found.picks.offer_from(reach.from as usize, pick);
        }
    }

    #[inline]
    fn row(&mut self, lookup: &ResolvedLookup, group: Group<'_>, batch: &Batch<'_>, row: usize) {
        let event = batch.event.value(row);
        let known = batch.known_from(lookup, group, row);
        let Some((created, known_from)) = known else {
            return;
        };
        let from = group.seeing(event, lookup.inclusive).max(known_from);
        let to = batch.end(group, row);
        if from < to {
            let deleted = batch
                .deleted
                .is_some_and(|deleted| deleted.is_valid(row) && deleted.value(row));
            let pick = Pick::new(event, created, batch.first + row as u64, deleted);
            self.found.picks.offer(group, from, to, pick);
            for (picks, nulls) in self.found.features.iter_mut().zip(&batch.features) {
                // A tombstone answers for every feature: what is older stays hidden.
                if deleted || nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                    picks.offer(group, from, to, pick);
                }
            }
        }
        for ((window, totals), values) in lookup.windows.iter().zip(&mut self.found.totals).zip(&batch.windows) {
            let time = i128::from(event);
            let (from, to) = if window.label {
                (group.at_or_after(clamp(time - window.length)), group.after(event))
            } else {
                (
                    group.seeing(event, window.inclusive).max(known_from),
                    group.after(clamp(time + window.length)),
                )
            };
            totals.add(group, from, to, values, row);
        }
    }
}

impl<'a> Batch<'a> {
    fn new(lookup: &ResolvedLookup, columns: &'a Columns, first: u64, written: Option<Timestamp>) -> Result<Self> {
        let owner = lookup.owner();
        let scaled = |position: usize| {
            to_scale(
                &columns.arrays[position],
                lookup.scale,
                &owner,
                lookup.scan[position].name(),
            )
        };
        let roles = &lookup.roles;
        let valid_to = roles
            .valid_to
            .map(|position| time::to_scale_or_end(&columns.arrays[position], lookup.scale));
        let features = if lookup.nulls == Nulls::LastNonNull {
            roles
                .features
                .iter()
                .map(|position| columns.arrays[*position].logical_nulls())
                .collect()
        } else {
            Vec::new()
        };
        Ok(Batch {
            first,
            event: scaled(roles.event_time)?,
            created: roles.created_time.map(scaled).transpose()?,
            created_all: written.map_or(i64::MIN, |time| lookup.scale.instant(time)),
            valid_to,
            deleted: roles.deleted.map(|position| columns.arrays[position].as_boolean()),
            features,
            windows: lookup
                .windows
                .iter()
                .map(|window| WindowValues::new(window, &columns.arrays))
                .collect::<Result<_>>()?,
        })
    }

    /// The row's created time and the first slot that knew of it; none if no slot may.
    #[inline]
    fn known_from(&self, lookup: &ResolvedLookup, group: Group<'_>, row: usize) -> Option<(i64, usize)> {
        let created = match &self.created {
            None => self.created_all,
            Some(created) if created.is_valid(row) => created.value(row),
            // Nobody knows since when the row is known: it ranks lowest, and is no candidate where that matters.
            Some(_) => return unknown(lookup.known_at, group),
        };
        match lookup.known_at {
            KnownAt::None => Some((created, 0)),
            KnownAt::Row => Some((created, group.at_or_after(created))),
            KnownAt::Time(time) => (created <= lookup.scale.instant(time)).then_some((created, 0)),
        }
    }

    /// The slot at which the row has ended.
    #[inline]
    fn end(&self, group: Group<'_>, row: usize) -> usize {
        match &self.valid_to {
            Some(ends) if ends.is_valid(row) => group.at_or_after(ends.value(row)),
            _ => group.times.len(),
        }
    }
}

fn unknown(known_at: KnownAt, group: Group<'_>) -> Option<(i64, usize)> {
    match known_at {
        KnownAt::None => Some((i64::MIN, 0)),
        KnownAt::Row => Some((i64::MIN, group.times.len())),
        KnownAt::Time(_) => None,
    }
}
