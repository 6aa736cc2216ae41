//! `Cache`: a bounded map of immutable things, weighed in bytes, shared by the readers of one repository handle.
//! Two generations: when the young one holds half of the limit it becomes the old one and the old one is dropped.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard},
};

#[derive(Debug)]
pub struct Cache<K, V> {
    weight_max: usize,
    generations: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_weight: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub fn new(weight_max: usize) -> Self {
        let generations = Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            young_weight: 0,
        };
        Self {
            weight_max,
            generations: Mutex::new(generations),
        }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = generations.old.remove(key)?;
        self.keep(&mut generations, key.clone(), value.clone(), weight);
        Some(value)
    }

    /// Keeps `value`, unless it alone would fill a generation.
    pub fn insert(&self, key: K, value: V, weight: usize) {
        if weight <= self.weight_max / 2 {
            self.keep(&mut self.lock(), key, value, weight);
        }
    }

    fn keep(&self, generations: &mut Generations<K, V>, key: K, value: V, weight: usize) {
        if generations.young_weight + weight > self.weight_max / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_weight = 0;
        }
        if generations.young.insert(key, (value, weight)).is_none() {
            generations.young_weight += weight;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations
            .lock()
            .expect("no panic happens while the cache is locked")
    }
}
