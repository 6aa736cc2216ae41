//! `Loads`: decoded immutable objects by id, from memory or from a loader.
//! `TreeStore` keeps index nodes and ranges in two of these; `Recent` bounds what is kept.
//! Invariant: an object that several ask for at once is loaded once.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard},
};

use drumlin_chunks::Recent;
use tokio::sync::OnceCell;

/// How much memory a decoded object takes, in bytes.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

type Cell<V> = Arc<OnceCell<Arc<V>>>;

pub(super) struct Loads<K, V> {
    kept: Recent<K, Arc<V>>,
    loading: Mutex<HashMap<K, Cell<V>>>,
}

impl<K: Copy + Eq + Hash, V: Weight> Loads<K, V> {
    pub fn new(weight_max: usize) -> Self {
        Self {
            kept: Recent::new(weight_max),
            loading: Mutex::new(HashMap::new()),
        }
    }

    /// The object, from memory or from `load`. Whoever asks meanwhile waits for the same load.
    pub async fn get<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<Arc<V>, E> {
        if let Some(value) = self.kept.get(&key) {
            return Ok(value);
        }
        let cell = self.loading().entry(key).or_default().clone();
        let loaded = cell
            .get_or_try_init(|| async { load.await.map(Arc::new) })
            .await
            .cloned();
        if let Ok(value) = &loaded {
            self.insert(key, value.clone());
        }
        self.loading().remove(&key);
        loaded
    }

    /// Keeps an object that was just made.
    pub fn insert(&self, key: K, value: Arc<V>) {
        let weight = value.weight();
        self.kept.insert(key, value, weight);
    }

    fn loading(&self) -> MutexGuard<'_, HashMap<K, Cell<V>>> {
        self.loading
            .lock()
            .expect("no panic happens while the loads are locked")
    }
}
