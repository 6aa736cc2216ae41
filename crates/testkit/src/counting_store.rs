//! `CountingStore`: counts the requests that reach a store, because a bucket charges for each in time and money.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use drumlin_chunks::{Bucket, ObjectRoot, Scratch, Storage};
use object_store::{ObjectStore, Result};

use crate::watched_store::{Request, Verb, WatchedStore, Watcher};

pub type CountingStore = WatchedStore<Requests>;

/// The requests so far.
#[derive(Debug, Default)]
pub struct Requests {
    seen: Mutex<Vec<Request>>,
}

impl Requests {
    /// A store over `inner`, and what it counts.
    pub fn store(inner: Arc<dyn ObjectStore>) -> (Arc<CountingStore>, Arc<Requests>) {
        let requests = Arc::new(Requests::default());
        (Arc::new(WatchedStore::new(inner, requests.clone())), requests)
    }

    /// A whole repository's storage over `inner`, its root included.
    pub fn storage(inner: Arc<dyn ObjectStore>) -> (Storage, Arc<Requests>) {
        let (store, requests) = Self::store(inner);
        let root = Arc::new(ObjectRoot::new(store.clone()));
        (
            Storage {
                bucket: Bucket::new(store),
                root,
                cache: None,
                scratch: Scratch::temporary(),
            },
            requests,
        )
    }

    pub fn count(&self) -> usize {
        self.seen().len()
    }

    pub fn by_verb(&self) -> BTreeMap<Verb, usize> {
        let mut counts = BTreeMap::new();
        self.seen()
            .iter()
            .for_each(|request| *counts.entry(request.verb).or_default() += 1);
        counts
    }

    /// The requests since the last call, in order, and begins anew.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.seen.lock().expect("no panic happens while it is locked")
    }
}

impl Watcher for Requests {
    fn before(&self, request: &Request) -> Result<()> {
        self.seen().push(request.clone());
        Ok(())
    }
    fn after(&self, _request: &Request) -> Result<()> {
        Ok(())
    }
}
