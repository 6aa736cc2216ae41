//! Loading: the rows of a view's source into the store, update by update, and in the end the view's new state.
//! Whoever reads the source makes `RowBatch`es; `merge` decides which rows win. An append adds to the rows that answer; a build
//! fills a new generation beside them, which answers from the last update on.
//! Invariant: killed at any moment, the store holds what some commit said, and the next run goes on from the watermark.

use std::ops::Range;

use crate::{
    error::{Error, Result},
    key::{self, Keys},
    merge::{Merge, Put, distinct},
    row::{self, Head, Stored},
    serving::{PAGE, Serving, damaged, put_state},
    state::{
        EPOCH_KEY, NEXT_KEY, Partial, ViewState, Watermark, build_key, count_key, doomed_key, long, number, view_key,
    },
    store::{Lease, Scan},
    value::Value,
};

/// Rows on their way into one generation of a view.
#[derive(Debug)]
pub struct RowBatch {
    generation: u32,
    keys: Keys,
    rows: Vec<u8>,
    ends: Vec<usize>,
    scratch: Vec<u8>,
    counts: Loaded,
}

/// What a load did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows that were given.
    pub read: u64,
    /// Rows that were newer than what was stored when they came.
    pub stored: u64,
    /// Rows that can never answer: a null key, event time or created time.
    pub skipped: u64,
    /// Keys in the store afterwards.
    pub keys: u64,
}

impl RowBatch {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            keys: Keys::default(),
            rows: Vec::new(),
            ends: Vec::new(),
            scratch: Vec::new(),
            counts: Loaded::default(),
        }
    }

    /// Adds a row: its keys and features in the order of the view's state. One with a null key, or without a head, can never
    /// answer: it is counted and left out.
    pub fn push<'v>(
        &mut self,
        keys: impl IntoIterator<Item = Value<'v>>,
        head: Option<Head>,
        features: impl ExactSizeIterator<Item = Value<'v>>,
    ) {
        self.counts.read += 1;
        match head {
            Some(head) if self.keys.push(self.generation, keys) => {
                row::encode(&mut self.scratch, head, features);
                self.rows.extend_from_slice(&self.scratch);
                self.ends.push(self.rows.len());
            }
            _ => self.counts.skipped += 1,
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn row(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.rows[start..self.ends[index]]
    }
}

/// A load that is going on. One that is dropped before its end leaves the view as it answered before.
#[derive(Debug)]
pub struct Load<'a> {
    serving: &'a Serving,
    /// The view's state when the load has ended.
    state: ViewState,
    sort: Sort,
    /// In microseconds; decides which rows may answer already.
    now: i64,
    loaded: Loaded,
    _lease: &'a Lease,
}

#[derive(Debug)]
enum Sort {
    /// To the rows that answer, whose state this is now.
    Append { before: ViewState },
    /// A new generation in place of the view's state before, if there is one.
    Build { before: Option<ViewState> },
}

/// The keys that every update of rows reads beside theirs: the record that the load writes for, the epoch and the count.
const OWN_KEYS: usize = 3;

impl Serving {
    /// Begins to add rows to a view, up to `watermark`. Only whoever holds the lease exclusively may.
    pub fn append<'a>(&'a self, lease: &'a Lease, before: ViewState, watermark: Watermark, now: i64) -> Load<'a> {
        Load {
            serving: self,
            state: ViewState {
                watermark,
                partial: None,
                ..before.clone()
            },
            sort: Sort::Append { before },
            now,
            loaded: Loaded::default(),
            _lease: lease,
        }
    }

    /// Begins to build a view anew; `state` is what it is going to be, without a generation. The generation that it gets is
    /// doomed until the end, so that a killed build leaves nothing behind. Only whoever holds the lease exclusively may.
    pub fn build<'a>(&'a self, lease: &'a Lease, state: ViewState, now: i64) -> Result<Load<'a>> {
        let (mut state, mut before) = (ViewState { partial: None, ..state }, None);
        let (view, build) = (view_key(&state.view), build_key(&state.view));
        self.store.update(&[NEXT_KEY, &view], &mut |values, batch| {
            before = values[1]
                .map(|bytes| ViewState::from_bytes(&state.view, bytes))
                .transpose()?;
            state.generation = number("next", values[0])?.unwrap_or(1);
            let next = state.generation.checked_add(1).ok_or(Error::Record { name: "next" })?;
            batch.put(NEXT_KEY, next.to_le_bytes())?;
            batch.put(&doomed_key(state.generation), [])?;
            batch.put(&build, state.to_bytes())
        })?;
        Ok(Load {
            serving: self,
            state,
            sort: Sort::Build { before },
            now,
            loaded: Loaded::default(),
            _lease: lease,
        })
    }

    /// Records that the view, as it is, is what it is at another commit too.
    pub fn move_watermark(&self, _lease: &Lease, mut state: ViewState, watermark: Watermark) -> Result<()> {
        state.watermark = watermark;
        self.store
            .update(&[EPOCH_KEY], &mut |values, batch| put_state(&state, values[0], batch))?;
        self.store.flush()
    }
}

impl Load<'_> {
    /// An empty batch of rows for this load.
    pub fn rows(&self) -> RowBatch {
        RowBatch::new(self.state.generation)
    }

    /// Writes rows in one update or, where their values are too long for one, in several.
    pub fn write(&mut self, rows: &RowBatch) -> Result<()> {
        self.begin()?;
        self.put(rows, 0..rows.len(), false)?;
        self.count(rows);
        Ok(())
    }

    /// Writes the last rows and, with them or after them, the view's new state.
    pub fn finish(mut self, rows: &RowBatch) -> Result<Loaded> {
        let is_append = matches!(self.sort, Sort::Append { .. });
        if is_append || !rows.is_empty() {
            self.put(rows, 0..rows.len(), is_append)?;
        }
        self.count(rows);
        if !is_append {
            self.take_pushed()?;
            self.swap()?;
        }
        self.serving.store.flush()?;
        self.loaded.keys = self.serving.key_count(&self.state)?;
        Ok(self.loaded)
    }

    fn count(&mut self, rows: &RowBatch) {
        self.loaded.read += rows.counts.read;
        self.loaded.skipped += rows.counts.skipped;
    }

    /// Says how far an append is going to come, before its first rows are there without its watermark.
    fn begin(&mut self) -> Result<()> {
        let Sort::Append { before } = &mut self.sort else {
            return Ok(());
        };
        let partial = Partial {
            files: self.state.watermark.files,
            files_hash: self.state.watermark.files_hash.clone(),
        };
        if before.partial.as_ref() == Some(&partial) {
            return Ok(());
        }
        before.partial = Some(partial);
        self.serving
            .store
            .update(&[EPOCH_KEY], &mut |values, batch| put_state(before, values[0], batch))
    }

    /// Writes some of the rows, and with the last of them the append's new state.
    fn put(&mut self, rows: &RowBatch, range: Range<usize>, is_last: bool) -> Result<()> {
        match self.put_at_once(rows, range.clone(), is_last) {
            Err(Error::BatchLen { .. }) if range.len() > 1 => {
                self.begin()?;
                let middle = range.start + range.len() / 2;
                self.put(rows, range.start..middle, false)?;
                self.put(rows, middle..range.end, is_last)
            }
            done => done,
        }
    }

    fn put_at_once(&mut self, rows: &RowBatch, range: Range<usize>, is_last: bool) -> Result<()> {
        let (record, expected) = self.record();
        let count = count_key(self.state.generation);
        let own: [&[u8]; OWN_KEYS] = [&record, EPOCH_KEY, &count];
        let (keys, slots) = distinct(
            own.into_iter()
                .chain(range.clone().map(|index| rows.keys.stored(index))),
        );
        let (target, state) = (self.state.target(self.now), &self.state);
        let mut stored = 0;
        self.serving.store.update(&keys, &mut |values, batch| {
            if values[0] != Some(&expected) {
                return Err(self.superseded());
            }
            let (mut merge, mut new_keys) = (Merge::new(&keys, values), 0);
            stored = 0;
            for (index, slot) in range.clone().zip(&slots[OWN_KEYS..]) {
                let put = merge.put(*slot, rows.row(index), rows.keys.witness(index), &target)?;
                stored += u64::from(put != Put::Older);
                new_keys += u64::from(put == Put::NewKey);
            }
            merge.write(batch)?;
            batch.put(&count, long("count", values[2])?.saturating_add(new_keys).to_le_bytes())?;
            if is_last {
                put_state(state, values[1], batch)?;
            }
            Ok(())
        })?;
        self.loaded.stored += stored;
        Ok(())
    }

    /// The record that says that this load goes on, and its bytes: with others, another writer has taken the view.
    fn record(&self) -> (Vec<u8>, Vec<u8>) {
        match &self.sort {
            Sort::Append { before } => (view_key(&self.state.view), before.to_bytes()),
            Sort::Build { .. } => (build_key(&self.state.view), self.state.to_bytes()),
        }
    }

    fn superseded(&self) -> Error {
        Error::Busy {
            store: self.serving.name(),
        }
    }

    /// Lays the rows that were pushed over a new generation; those that the table has caught up with are forgotten. What is
    /// pushed meanwhile goes into both generations by itself.
    fn take_pushed(&mut self) -> Result<()> {
        let prefix = key::pushed_prefix(&self.state.view);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut page: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
            let scan = Scan {
                prefix: &prefix,
                after: after.as_deref(),
                limit: PAGE,
            };
            self.serving.store.scan(scan, &mut |key, value| {
                let stored = Stored::read(value).filter(Stored::is_whole);
                // The key of a global view has no bytes.
                let values = stored.map(|stored| stored.witness.unwrap_or_default().to_vec());
                page.push((key.to_vec(), values));
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            self.take_page(&page)?;
        }
    }

    /// Takes over pushed rows: the key of each, and the values of the row's key within it.
    fn take_page(&mut self, page: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        let (state, target) = (&self.state, self.state.target(self.now));
        let mut rows = Keys::default();
        for (_, values) in page {
            let values = values.as_ref().ok_or_else(|| damaged(&state.view))?;
            rows.push_values(state.generation, values);
        }
        let (record, expected) = self.record();
        let count = count_key(state.generation);
        let own: [&[u8]; OWN_KEYS] = [&record, EPOCH_KEY, &count];
        let all = own.into_iter().chain(page.iter().map(|(key, _)| key.as_slice()));
        let (keys, slots) = distinct(all.chain(rows.all_stored()));
        self.serving.store.update(&keys, &mut |values, batch| {
            if values[0] != Some(&expected) {
                return Err(self.superseded());
            }
            let (mut merge, mut new_keys) = (Merge::new(&keys, values), 0);
            for (index, (name, _)) in page.iter().enumerate() {
                let Some(bytes) = values[slots[OWN_KEYS + index]] else {
                    continue;
                };
                let pushed = Stored::read(bytes)
                    .filter(Stored::is_whole)
                    .ok_or_else(|| damaged(&state.view))?;
                let mut is_kept = false;
                for version in pushed.versions().filter(|_| pushed.layout == target.layout) {
                    let slot = slots[OWN_KEYS + page.len() + index];
                    let put = merge.put(slot, version.bytes(), rows.witness(index), &target)?;
                    is_kept |= put != Put::Older;
                    new_keys += u64::from(put == Put::NewKey);
                }
                if !is_kept {
                    batch.delete(name)?;
                }
            }
            merge.write(batch)?;
            batch.put(&count, long("count", values[2])?.saturating_add(new_keys).to_le_bytes())
        })
    }

    /// Puts the generation that was built in the place of the one before.
    fn swap(&self) -> Result<()> {
        let Sort::Build { before } = &self.sort else {
            return Ok(());
        };
        let (record, expected) = self.record();
        self.serving.store.update(&[&record, EPOCH_KEY], &mut |values, batch| {
            if values[0] != Some(&expected) {
                return Err(self.superseded());
            }
            batch.delete(&record)?;
            batch.delete(&doomed_key(self.state.generation))?;
            if let Some(before) = before {
                batch.put(&doomed_key(before.generation), [])?;
            }
            put_state(&self.state, values[1], batch)
        })
    }
}
