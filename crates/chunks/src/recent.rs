//! `Recent`: what was read last about files, by their ids, in bounded memory.
//! `store` owns one of chunk lists and one of outboards.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drumlin_model::FileId;

#[derive(Debug)]
pub(crate) struct Recent<T> {
    bytes_max: usize,
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    values: HashMap<FileId, Value<T>>,
    bytes: usize,
    /// Counts uses; the value of the lowest count is the one to drop.
    clock: u64,
}

#[derive(Debug)]
struct Value<T> {
    used: u64,
    bytes: usize,
    value: Arc<T>,
}

impl<T> Recent<T> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let kept = Mutex::new(Kept {
            values: HashMap::new(),
            bytes: 0,
            clock: 0,
        });
        Self { bytes_max, kept }
    }

    pub(crate) fn get(&self, file: &FileId) -> Option<Arc<T>> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let found = kept.values.get_mut(file)?;
        found.used = now;
        Some(found.value.clone())
    }

    /// `bytes` is what the value takes in memory. One that would take all there is for them is not kept.
    pub(crate) fn put(&self, file: FileId, value: Arc<T>, bytes: usize) {
        if bytes > self.bytes_max {
            return;
        }
        let mut kept = self.lock();
        kept.clock += 1;
        let used = kept.clock;
        kept.bytes += bytes;
        if let Some(old) = kept.values.insert(file, Value { used, bytes, value }) {
            kept.bytes -= old.bytes;
        }
        while kept.bytes > self.bytes_max {
            let oldest = kept
                .values
                .iter()
                .min_by_key(|(_, value)| value.used)
                .map(|(id, _)| *id);
            let oldest = oldest.expect("bytes are only counted for kept values");
            kept.bytes -= kept.values.remove(&oldest).map_or(0, |value| value.bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
