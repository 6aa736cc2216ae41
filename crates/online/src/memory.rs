//! `Memory`: an online store within one process, for tests and for services that fill it when they start.
//! Neighbours: `store` says what it promises. Invariant: one writer at a time; readers wait only while a batch is put in place.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use crate::{
    error::{Error, Result},
    store::{Batch, Change, Lease, LeaseSort, OnlineStore, Scan, Values, check_key},
};

/// The store; a clone is another handle of the same one.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    values: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    writer: Mutex<()>,
    holders: Mutex<Holders>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holders {
    #[default]
    None,
    Exclusive,
    Shared(usize),
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere leaves the map whole: nothing that can panic runs while a batch is put in place.
    fn values(&self) -> RwLockReadGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.shared.values.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnlineStore for Memory {
    fn name(&self) -> String {
        "in memory".to_owned()
    }

    fn read(&self, keys: &[&[u8]], see: &mut dyn FnMut(&Values<'_>)) -> Result<()> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let values = self.values();
        let found: Vec<Option<&[u8]>> = keys.iter().map(|key| values.get(*key).map(Vec::as_slice)).collect();
        see(&found);
        Ok(())
    }

    fn scan(&self, scan: Scan<'_>, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let values = self.values();
        let from = match scan.after {
            Some(after) if after >= scan.prefix => Bound::Excluded(after),
            _ => Bound::Included(scan.prefix),
        };
        let items = values.range::<[u8], _>((from, Bound::Unbounded));
        let items = items.take_while(|(key, _)| key.starts_with(scan.prefix));
        for (key, value) in items.take(scan.limit) {
            see(key, value);
        }
        Ok(())
    }

    fn update(&self, keys: &[&[u8]], change: &mut Change<'_>) -> Result<()> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let _writer = lock(&self.shared.writer);
        let mut batch = Batch::default();
        {
            let values = self.values();
            let found: Vec<Option<&[u8]>> = keys.iter().map(|key| values.get(*key).map(Vec::as_slice)).collect();
            change(&found, &mut batch)?;
        }
        let mut values = self.shared.values.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.changes() {
            match value {
                Some(value) => {
                    values.insert(key.to_vec(), value.to_vec());
                }
                None => {
                    values.remove(key);
                }
            }
        }
        Ok(())
    }

    fn lease(&self, sort: LeaseSort) -> Result<Lease> {
        let mut holders = lock(&self.shared.holders);
        *holders = match (*holders, sort) {
            (Holders::None, LeaseSort::Exclusive) => Holders::Exclusive,
            (Holders::None, LeaseSort::Shared) => Holders::Shared(1),
            (Holders::Shared(count), LeaseSort::Shared) => Holders::Shared(count + 1),
            _ => return Err(Error::Busy { store: self.name() }),
        };
        Ok(Lease::new(Held {
            shared: self.shared.clone(),
        }))
    }

    /// Nothing here outlives the process.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// One holder of the lease.
struct Held {
    shared: Arc<Shared>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = lock(&self.shared.holders);
        *holders = match *holders {
            Holders::Shared(count) if count > 1 => Holders::Shared(count - 1),
            _ => Holders::None,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
