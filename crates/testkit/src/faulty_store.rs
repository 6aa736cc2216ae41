//! `FaultyStore`: a store that dies at a chosen request, or loses single answers, as told.
//! A death may come before the store beneath did the request or after; from then on nothing is answered.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use drumlin_chunks::{Bucket, ObjectRoot, Scratch, Storage};
use object_store::{Error, ObjectStore, Result};

use crate::watched_store::{Request, WatchedStore, Watcher};

pub type FaultyStore = WatchedStore<Faults>;

/// On which side of the request the store beneath the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

type Matches = Box<dyn Fn(&Request) -> bool + Send>;

/// The faults to come. None until one is asked for.
#[derive(Default)]
pub struct Faults {
    begun: AtomicU64,
    dead: AtomicBool,
    death: Mutex<Option<(u64, Side)>>,
    /// A single fault for the next request that matches.
    once: Mutex<Option<(Side, Matches)>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faults({} requests begun)", self.begun.load(Ordering::SeqCst))
    }
}

impl Faults {
    /// A store over `inner`, and the handle that makes it fail.
    pub fn store(inner: Arc<dyn ObjectStore>) -> (Arc<FaultyStore>, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        (Arc::new(WatchedStore::new(inner, faults.clone())), faults)
    }

    /// A whole repository's storage over `inner`, its root included.
    pub fn storage(inner: Arc<dyn ObjectStore>) -> (Storage, Arc<Faults>) {
        let (store, faults) = Self::store(inner);
        let root = Arc::new(ObjectRoot::new(store.clone()));
        (
            Storage {
                bucket: Bucket::new(store),
                root,
                cache: None,
                scratch: Scratch::temporary(),
            },
            faults,
        )
    }

    /// The request that begins `after` more have begun is the last that anything happens at.
    pub fn die_after(&self, after: u64, side: Side) {
        let at = self.begun.load(Ordering::SeqCst) + after;
        *self.death.lock().expect("no panic happens while it is locked") = Some((at, side));
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The next request that matches fails; those after it do not.
    pub fn fail_once(&self, side: Side, matches: impl Fn(&Request) -> bool + Send + 'static) {
        *self.once.lock().expect("no panic happens while it is locked") = Some((side, Box::new(matches)));
    }

    fn fail_if_dead(&self, side: Side) -> Result<()> {
        if self.is_dead() {
            return Err(failure("the store is gone"));
        }
        let death = *self.death.lock().expect("no panic happens while it is locked");
        let begun = self.begun.load(Ordering::SeqCst);
        if death.is_some_and(|(at, when)| begun > at && (side == when || begun > at + 1)) {
            self.dead.store(true, Ordering::SeqCst);
            return Err(failure("the store dies"));
        }
        Ok(())
    }

    fn fail_if_told(&self, side: Side, request: &Request) -> Result<()> {
        let mut once = self.once.lock().expect("no panic happens while it is locked");
        match once.take_if(|(when, matches)| *when == side && matches(request)) {
            Some(_) => Err(failure("the answer is lost")),
            None => Ok(()),
        }
    }
}

impl Watcher for Faults {
    fn before(&self, request: &Request) -> Result<()> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.fail_if_dead(Side::Before)?;
        self.fail_if_told(Side::Before, request)
    }
    fn after(&self, request: &Request) -> Result<()> {
        self.fail_if_dead(Side::After)?;
        self.fail_if_told(Side::After, request)
    }
}

fn failure(what: &str) -> Error {
    Error::Generic {
        store: "FaultyStore",
        source: what.into(),
    }
}
