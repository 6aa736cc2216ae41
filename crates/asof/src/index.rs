//! A piece of the spine, grouped by key and sorted by time within each key: the small side that the view streams past.
//! `scan` asks for the slots that a row of the view concerns; `pick` and `window` keep what was found, slot by slot.
//! Invariant: the slots of one key are neighbours and their times ascend, so any condition on time is a range of slots.

use arrow::array::{Array, Int64Array};

use crate::key::{EncodedKeys, KeyTable, NO_GROUP};

pub(crate) struct SpineIndex {
    pub(crate) table: KeyTable,
    /// The first slot of each group, and the end.
    starts: Vec<u32>,
    /// The time of each slot.
    times: Vec<i64>,
    /// The spine row of each slot.
    rows: Vec<u32>,
    least: i64,
    greatest: i64,
}

/// The keys and times of one batch of the spine.
pub(crate) struct SpineBatch {
    pub(crate) keys: EncodedKeys,
    pub(crate) times: Int64Array,
}

impl SpineIndex {
    /// Bytes for each spine row while the index is made: group, (time, row) pair, then time and row; and the table.
    pub(crate) const BUILD_BYTES_PER_ROW: usize = 4 + 16 + 12 + 32;

    /// Rows with a null key or a null time get no slot: nothing can match them.
    pub(crate) fn build(batches: &[SpineBatch]) -> Self {
        let rows: usize = batches.iter().map(|batch| batch.times.len()).sum();
        let mut table = batches
            .first()
            .map_or(KeyTable::Global, |batch| KeyTable::for_keys(&batch.keys, rows));
        let mut groups = Vec::with_capacity(rows);
        for batch in batches {
            let first = groups.len();
            table.insert(&batch.keys, batch.times.len(), &mut groups);
            if batch.times.null_count() > 0 {
                let batch_groups = groups[first..].iter_mut().enumerate();
                batch_groups
                    .filter(|(row, _)| batch.times.is_null(*row))
                    .for_each(|(_, group)| *group = NO_GROUP);
            }
        }
        table.finish();
        let starts = starts_of(&groups, table.groups());
        let slots = sorted_slots(batches, &groups, &starts);
        let (times, rows): (Vec<i64>, Vec<u32>) = slots.into_iter().unzip();
        let least = times.iter().copied().min().unwrap_or(i64::MAX);
        let greatest = times.iter().copied().max().unwrap_or(i64::MIN);
        SpineIndex {
            table,
            starts,
            times,
            rows,
            least,
            greatest,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// The spine row of each slot, counted within the piece.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The earliest and the latest time, for pruning.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        (self.least, self.greatest)
    }

    #[inline]
    pub(crate) fn group(&self, group: u32) -> Group<'_> {
        let start = self.starts[group as usize] as usize;
        let end = self.starts[group as usize + 1] as usize;
        Group {
            start,
            times: &self.times[start..end],
        }
    }

    /// The first slot of a group and the one after its last.
    #[inline]
    pub(crate) fn bounds(&self, group: u32) -> (u32, u32) {
        (self.starts[group as usize], self.starts[group as usize + 1])
    }

    #[inline]
    pub(crate) fn between(&self, start: u32, end: u32) -> Group<'_> {
        Group {
            start: start as usize,
            times: &self.times[start as usize..end as usize],
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.starts.len() * 4 + self.times.len() * 12
    }
}

/// The slots of one key. Positions count from its first slot.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) start: usize,
    pub(crate) times: &'a [i64],
}

impl Group<'_> {
    /// The first slot at `time` or later.
    #[inline]
    pub(crate) fn at_or_after(&self, time: i64) -> usize {
        self.times.partition_point(|slot| *slot < time)
    }

    /// The first slot later than `time`.
    #[inline]
    pub(crate) fn after(&self, time: i64) -> usize {
        self.times.partition_point(|slot| *slot <= time)
    }

    /// The first slot that sees an event at `time`.
    #[inline]
    pub(crate) fn seeing(&self, time: i64, inclusive: bool) -> usize {
        if inclusive {
            self.at_or_after(time)
        } else {
            self.after(time)
        }
    }
}

fn starts_of(groups: &[u32], count: usize) -> Vec<u32> {
    let mut starts = vec![0u32; count + 1];
    for group in groups.iter().filter(|group| **group != NO_GROUP) {
        starts[*group as usize + 1] += 1;
    }
    for group in 0..count {
        starts[group + 1] += starts[group];
    }
    starts
}

fn sorted_slots(batches: &[SpineBatch], groups: &[u32], starts: &[u32]) -> Vec<(i64, u32)> {
    let mut slots = vec![(0i64, 0u32); starts.last().map_or(0, |end| *end as usize)];
    let mut next: Vec<u32> = starts.to_vec();
    let times = batches.iter().flat_map(|batch| batch.times.values().iter());
    for (row, (group, time)) in groups.iter().zip(times).enumerate() {
        if *group != NO_GROUP {
            let slot = &mut next[*group as usize];
            slots[*slot as usize] = (*time, row as u32);
            *slot += 1;
        }
    }
    for bounds in starts.windows(2) {
        slots[bounds[0] as usize..bounds[1] as usize].sort_unstable();
    }
    slots
}
