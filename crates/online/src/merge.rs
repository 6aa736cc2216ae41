//! Rows merged into the values of their keys, within one update of the store.
//! `load` and `push` ask; `row::merge` decides which row wins. Invariant: a row that meets an earlier one of the same update
//! meets what that one left, as if each had been an update of its own.

use std::collections::HashMap;

use crate::{
    error::{Error, Result},
    row::{self, Stored, Target, VERSIONS_MAX, Write},
    store::{Batch, Values},
};

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Something newer stands there.
    Older,
    Newer,
    /// The key had no row before.
    NewKey,
}

/// Keys of which each is there once, and for each key that was given, which of these it is.
pub fn distinct<'k>(keys: impl Iterator<Item = &'k [u8]>) -> (Vec<&'k [u8]>, Vec<usize>) {
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    let mut once = Vec::new();
    let slots = keys.map(|key| {
        *known.entry(key).or_insert_with(|| {
            once.push(key);
            once.len() - 1
        })
    });
    let slots = slots.collect();
    (once, slots)
}

/// The versions of a key, from the bytes that are stored there; an error when they are of another schema.
pub fn stored_in<'a>(
    bytes: Option<&'a [u8]>,
    layout: u32,
    witness: Option<&[u8]>,
    view: &str,
) -> Result<Option<Stored<'a>>> {
    let Some(bytes) = bytes else { return Ok(None) };
    match Stored::read(bytes).filter(Stored::is_whole) {
        Some(stored) if stored.layout == layout && stored.witness == witness => Ok(Some(stored)),
        // Another key with the same hash: this one is not there.
        Some(stored) if stored.layout == layout && stored.witness.is_some() => Ok(None),
        _ => Err(Error::Damaged { view: view.to_owned() }),
    }
}

/// Values of keys and what becomes of them.
pub struct Merge<'v> {
    keys: &'v [&'v [u8]],
    values: &'v Values<'v>,
    /// The new value, for those that have one.
    merged: Vec<Option<Vec<u8>>>,
    out: Vec<u8>,
}

impl<'v> Merge<'v> {
    /// `values` are those of `keys`, each of which is there once.
    pub fn new(keys: &'v [&'v [u8]], values: &'v Values<'v>) -> Self {
        Self {
            keys,
            values,
            merged: vec![None; keys.len()],
            out: Vec::new(),
        }
    }

    /// Merges a row into the value of a key. An error when what is stored there is not a value of the target's.
    pub fn put(&mut self, slot: usize, row: &[u8], witness: Option<&[u8]>, target: &Target<'_>) -> Result<Put> {
        let bytes = self.merged[slot].as_deref().or(self.values[slot]);
        let stored = stored_in(bytes, target.layout, witness, target.view)?;
        self.merge(slot, stored.is_none(), row, witness, target)
    }

    /// Merges a pushed row into what is remembered of its key. Rows that were pushed in another schema are forgotten.
    pub fn remember(&mut self, slot: usize, row: &[u8], values: &[u8], target: &Target<'_>) -> Result<()> {
        let bytes = self.merged[slot].as_deref().or(self.values[slot]);
        let stored = bytes.and_then(Stored::read).filter(Stored::is_whole);
        let is_new = stored.is_none_or(|stored| stored.layout != target.layout);
        // The values stand in the stored value always: its key may be too long to hold them.
        self.merge(slot, is_new, row, Some(values), target).map(drop)
    }

    fn merge(
        &mut self,
        slot: usize,
        is_new: bool,
        row: &[u8],
        witness: Option<&[u8]>,
        target: &Target<'_>,
    ) -> Result<Put> {
        let bytes = self.merged[slot].as_deref().or(self.values[slot]);
        let stored = bytes.filter(|_| !is_new).and_then(Stored::read);
        let written = row::merge(&mut self.out, stored, row, witness, target);
        let put = match written {
            Write::Older => return Ok(Put::Older),
            Write::TooMany => return Err(too_many(target.view)),
            Write::Marked => Put::Older,
            Write::Stored if is_new => Put::NewKey,
            Write::Stored => Put::Newer,
        };
        match &mut self.merged[slot] {
            Some(merged) => std::mem::swap(merged, &mut self.out),
            empty => *empty = Some(self.out.clone()),
        }
        Ok(put)
    }

    /// Puts the new values into the batch.
    pub fn write(self, batch: &mut Batch) -> Result<()> {
        for (key, merged) in self.keys.iter().zip(self.merged) {
            if let Some(merged) = merged {
                batch.put(key, merged)?;
            }
        }
        Ok(())
    }
}

fn too_many(view: &str) -> Error {
    Error::NotServable {
        view: view.to_owned(),
        why: format!(
            "a key has more than {VERSIONS_MAX} rows that may answer yet: in the future, or ending after newer ones"
        ),
    }
}
