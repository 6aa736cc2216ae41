//! `Recent`: what was used last, by its key, in bounded memory. The floors above keep decoded commits, trees and logs in it too.
//! Two generations: when the young one would hold more than half of the limit it becomes the old one, and the old one is dropped.
//! Invariant: all that is kept weighs at most the limit.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Values that are cheap to clone (an `Arc`, `Bytes`), weighed in bytes. Shared by reference among threads.
#[derive(Debug)]
pub struct Recent<K, V> {
    weight_max: usize,
    generations: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_weight: usize,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Keeps at most `weight_max` bytes.
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

    /// The value of a key, if it is kept; it counts as used.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = generations.old.remove_entry(key)?;
        self.keep(&mut generations, key, value.clone(), weight);
        Some(value)
    }

    /// Keeps a value that takes `weight` bytes, in place of any with the key. One that weighs more than half of the limit is not kept.
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
        generations.young_weight += weight;
        if let Some((_, before)) = generations.young.insert(key, (value, weight)) {
            generations.young_weight -= before;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        // Nothing panics while it is locked, and a cache is right in any state.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
