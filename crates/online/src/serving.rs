//! `Serving`: an online store that knows views. What is in it, and the housekeeping of its generations.
//! `get` reads rows, `load` and `push` write them, `state` says what the records look like.
//! Invariant: each view's rows belong to one generation (one definition, one schema), swapped as a whole; its watermark is a
//! commit, written in one update with the last row of that commit.

use std::{path::Path, sync::Arc};

use crate::{
    error::{Error, Result},
    key::{self, Keys, row_prefix},
    lmdb::Lmdb,
    merge::stored_in,
    row::Stored,
    state::{
        EPOCH_KEY, FORMAT, FORMAT_KEY, ViewState, builds_prefix, count_key, doomed_generation, doomed_key,
        doomed_prefix, long, number, view_key, views_prefix,
    },
    store::{Batch, Lease, LeaseSort, OnlineStore, Scan},
    value::Value,
};

/// Records that one scan shows; the views of a store are fewer.
pub(crate) const PAGE: usize = 4096;
/// Rows that one update deletes of a generation that nobody reads any more, to keep updates small.
const SWEEP_ROWS_MAX: usize = 100_000;

/// An open online store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Serving {
    pub(crate) store: Arc<dyn OnlineStore>,
}

/// Some keys of a view, in the order of their bytes.
#[derive(Debug)]
pub struct KeyPage {
    view: String,
    /// How many values each key has.
    width: usize,
    values: Vec<Vec<u8>>,
    /// The stored bytes of the last key: the next page begins after them.
    pub last: Vec<u8>,
}

impl KeyPage {
    /// The values of each key; an error when the bytes are not a key of the view.
    pub fn rows(&self) -> Result<Vec<Vec<Value<'_>>>> {
        let decoded = self.values.iter().map(|bytes| key::decode(bytes));
        let fits = |row: &Vec<Value<'_>>| row.len() == self.width;
        decoded
            .map(|row| row.filter(fits).ok_or_else(|| damaged(&self.view)))
            .collect()
    }
}

impl Serving {
    /// Opens the store in a folder of this machine, making it when it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::over(Arc::new(Lmdb::open(folder)?))
    }

    /// Serves from any store; an error when it holds another format, or what is no online store of ours.
    pub fn over(store: Arc<dyn OnlineStore>) -> Result<Self> {
        let mut format = Ok(None);
        store.read(&[FORMAT_KEY], &mut |values| format = number("format", values[0]))?;
        match format? {
            Some(FORMAT) => return Ok(Self { store }),
            Some(found) => {
                return Err(Error::Format {
                    store: store.name(),
                    found,
                    newest: FORMAT,
                });
            }
            None => {}
        }
        let first = Scan {
            prefix: &[],
            after: None,
            limit: 1,
        };
        let mut is_empty = true;
        store.scan(first, &mut |key, _| is_empty = key == FORMAT_KEY)?;
        if !is_empty {
            return Err(Error::Foreign { store: store.name() });
        }
        store.update(&[], &mut |_, batch| batch.put(FORMAT_KEY, FORMAT.to_le_bytes()))?;
        Ok(Self { store })
    }

    /// The store's folder or address, as errors name it.
    pub fn name(&self) -> String {
        self.store.name()
    }

    /// The views in the store, by name.
    pub fn views(&self) -> Result<Vec<ViewState>> {
        let prefix = views_prefix();
        let mut views = Vec::new();
        self.each(&prefix, |key, bytes| {
            let name = std::str::from_utf8(&key[prefix.len()..]).unwrap_or_default();
            views.push(ViewState::from_bytes(name, bytes));
        })?;
        views.into_iter().collect()
    }

    /// The state of a view; an error when it is not in the store.
    pub fn view(&self, name: &str) -> Result<ViewState> {
        self.find_view(name)?
            .ok_or_else(|| Error::NotMaterialized { view: name.to_owned() })
    }

    /// The state of a view, if it is in the store.
    pub fn find_view(&self, name: &str) -> Result<Option<ViewState>> {
        let mut state = Ok(None);
        self.store.read(&[&view_key(name)], &mut |values| {
            state = values[0].map(|bytes| ViewState::from_bytes(name, bytes)).transpose();
        })?;
        state
    }

    /// How many keys a view has in the store.
    pub fn key_count(&self, state: &ViewState) -> Result<u64> {
        let mut count = Ok(0);
        self.store.read(&[&count_key(state.generation)], &mut |values| {
            count = long("count", values[0]);
        })?;
        count
    }

    /// Takes the store's lease, or says at once that another process has it.
    pub fn lease(&self, sort: LeaseSort) -> Result<Lease> {
        self.store.lease(sort)
    }

    /// The first `limit` keys of a view after the key with the stored bytes `after`; none when there are no more.
    pub fn keys_after(&self, state: &ViewState, after: Option<&[u8]>, limit: usize) -> Result<Option<KeyPage>> {
        let mut page = KeyPage {
            view: state.view.clone(),
            width: state.keys.len(),
            values: Vec::new(),
            last: Vec::new(),
        };
        let mut is_damaged = false;
        let scan = Scan {
            prefix: &row_prefix(state.generation),
            after,
            limit,
        };
        self.store.scan(scan, &mut |key, bytes| {
            let stored = Stored::read(bytes).filter(Stored::is_whole);
            match stored.and_then(|stored| key::values_of(key).or(stored.witness)) {
                Some(values) => page.values.push(values.to_vec()),
                None => is_damaged = true,
            }
            page.last.clear();
            page.last.extend_from_slice(key);
        })?;
        if is_damaged {
            return Err(damaged(&state.view));
        }
        Ok((!page.values.is_empty()).then_some(page))
    }

    /// Which of these keys, given in the view's order, the store has no row for. A key with a null is never there, and is not
    /// missing.
    pub fn missing<'v, K>(&self, state: &ViewState, rows: impl Iterator<Item = K>) -> Result<Vec<usize>>
    where
        K: IntoIterator<Item = Value<'v>>,
    {
        let (mut keys, mut places) = (Keys::default(), Vec::new());
        for (place, row) in rows.enumerate() {
            if keys.push(state.generation, row) {
                places.push(place);
            }
        }
        let asked: Vec<&[u8]> = keys.all_stored().collect();
        let layout = state.layout();
        let mut missing = Ok(Vec::new());
        self.store.read(&asked, &mut |values| {
            let absent = values.iter().zip(&places).enumerate().map(|(index, (bytes, place))| {
                let stored = stored_in(*bytes, layout, keys.witness(index), &state.view)?;
                Ok(stored.is_none().then_some(*place))
            });
            missing = absent.filter_map(Result::transpose).collect();
        })?;
        missing
    }

    /// Deletes the rows of generations that no view names: replaced ones, and those of builds that were killed. Only whoever
    /// holds the lease exclusively may: a build that is running has such a generation too.
    pub fn sweep(&self, _lease: &Lease) -> Result<()> {
        let mut builds = Vec::new();
        self.each(&builds_prefix(), |key, _| builds.push(key.to_vec()))?;
        if !builds.is_empty() {
            self.store
                .update(&[], &mut |_, batch| builds.iter().try_for_each(|key| batch.delete(key)))?;
        }
        while let Some(generation) = self.first_doomed()? {
            self.sweep_some(generation)?;
        }
        Ok(())
    }

    fn first_doomed(&self) -> Result<Option<u32>> {
        let mut first = Ok(None);
        let scan = Scan {
            prefix: &doomed_prefix(),
            after: None,
            limit: 1,
        };
        self.store.scan(scan, &mut |key, _| {
            first = doomed_generation(key).map(Some).ok_or(Error::Record { name: "doomed" });
        })?;
        first
    }

    fn sweep_some(&self, generation: u32) -> Result<()> {
        let mut rows = Vec::new();
        let scan = Scan {
            prefix: &row_prefix(generation),
            after: None,
            limit: SWEEP_ROWS_MAX,
        };
        self.store.scan(scan, &mut |key, _| rows.push(key.to_vec()))?;
        self.store.update(&[], &mut |_, batch| {
            rows.iter().try_for_each(|key| batch.delete(key))?;
            if rows.len() < SWEEP_ROWS_MAX {
                batch.delete(&doomed_key(generation))?;
                batch.delete(&count_key(generation))?;
            }
            Ok(())
        })
    }

    /// Takes a view out of the store; false when it is not there. Only whoever holds the lease exclusively may.
    pub fn remove(&self, name: &str, lease: &Lease) -> Result<bool> {
        let (view, mut found) = (view_key(name), false);
        self.store.update(&[&view, EPOCH_KEY], &mut |values, batch| {
            let Some(bytes) = values[0] else { return Ok(()) };
            let state = ViewState::from_bytes(name, bytes)?;
            found = true;
            batch.delete(&view)?;
            batch.put(&doomed_key(state.generation), [])?;
            move_epoch(values[1], batch)
        })?;
        if found {
            self.sweep(lease)?;
        }
        Ok(found)
    }

    /// Shows every key that begins with `prefix`, page by page.
    pub(crate) fn each(&self, prefix: &[u8], mut see: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut last = None;
            let mut count = 0;
            let scan = Scan {
                prefix,
                after: after.as_deref(),
                limit: PAGE,
            };
            self.store.scan(scan, &mut |key, value| {
                see(key, value);
                count += 1;
                if count == PAGE {
                    last = Some(key.to_vec());
                }
            })?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }
}

/// Writes a view's state; every lookup that was compiled before is compiled anew, because the epoch moves with it.
pub(crate) fn put_state(state: &ViewState, epoch: Option<&[u8]>, batch: &mut Batch) -> Result<()> {
    batch.put(&view_key(&state.view), state.to_bytes())?;
    move_epoch(epoch, batch)
}

pub(crate) fn move_epoch(epoch: Option<&[u8]>, batch: &mut Batch) -> Result<()> {
    let epoch = number("epoch", epoch)?.unwrap_or(0).wrapping_add(1);
    batch.put(EPOCH_KEY, epoch.to_le_bytes())
}

pub(crate) fn damaged(view: &str) -> Error {
    Error::Damaged { view: view.to_owned() }
}
