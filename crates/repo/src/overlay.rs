//! `Overlay`: the private changes of a session, and the content of them that no pack holds yet.
//! `session` reads through it; `commit` takes a copy and makes it a tree.
//! Invariant: each change has a number, so that what came while a commit ran is still there after it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use bytes::Bytes;
use drumlin_model::{EntryKind, FileId, Placed, RepoPath};

use crate::error::{Error, Result};

/// Unflushed content that a session holds to read it back, in bytes. Beyond it, a read flushes first.
const HELD_LEN_MAX: usize = 32 << 20;

/// What a session does at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Placed),
    Remove,
}

impl Change {
    pub fn placed(&self) -> Option<&Placed> {
        match self {
            Change::Put(placed) => Some(placed),
            Change::Remove => None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    changes: BTreeMap<RepoPath, (Change, u64)>,
    /// Content that the writer took since the last flush; with its bytes where they are held.
    unflushed: HashMap<FileId, (Option<Bytes>, u64)>,
    held_len: usize,
    number: u64,
}

/// Where the bytes of a file are to be looked for.
pub(crate) enum Content {
    Held(Bytes),
    /// In the writer: flush, then read.
    Unflushed,
    Stored,
}

impl Overlay {
    /// The number of the newest change.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn change(&self, path: &RepoPath) -> Option<&Change> {
        self.changes.get(path).map(|(change, _)| change)
    }

    pub fn changes(&self) -> Vec<(RepoPath, Change)> {
        self.changes
            .iter()
            .map(|(path, (change, _))| (path.clone(), change.clone()))
            .collect()
    }

    /// The changes below a folder (all, without one) after a path.
    pub fn below(&self, folder: Option<&RepoPath>, after: Option<&str>) -> Vec<(RepoPath, Change)> {
        let prefix = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        let start = match after.filter(|after| *after > prefix.as_str()) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix.as_str()),
        };
        let from = self.changes.range::<str, _>((start, Bound::Unbounded));
        from.take_while(|(path, _)| path.as_str().starts_with(&prefix))
            .map(|(path, (change, _))| (path.clone(), change.clone()))
            .collect()
    }

    /// The first path below a folder at which something was put.
    fn first_put_below(&self, folder: &RepoPath) -> Option<RepoPath> {
        let prefix = format!("{folder}/");
        let from = self
            .changes
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let mut below = from.take_while(|(path, _)| path.as_str().starts_with(&prefix));
        below
            .find(|(_, (change, _))| change.placed().is_some())
            .map(|(path, _)| path.clone())
    }

    /// Notes a change; a file below a file of the same session is refused.
    pub fn put(&mut self, path: &RepoPath, placed: Placed) -> Result<()> {
        let is_there = |(change, _): &(Change, u64)| {
            change
                .placed()
                .is_some_and(|placed| placed.entry.kind != EntryKind::Folder)
        };
        if let Some(file) = path
            .ancestors()
            .find(|above| self.changes.get(above).is_some_and(is_there))
        {
            return Err(Error::PathClash {
                file,
                below: path.clone(),
            });
        }
        if placed.entry.kind != EntryKind::Folder
            && let Some(below) = self.first_put_below(path)
        {
            return Err(Error::PathClash {
                file: path.clone(),
                below,
            });
        }
        self.set(path, Change::Put(placed));
        Ok(())
    }

    pub fn set(&mut self, path: &RepoPath, change: Change) {
        self.number += 1;
        self.changes.insert(path.clone(), (change, self.number));
    }

    /// Replaces what was noted at the path, or forgets it, unless that was after `number`.
    pub fn replace(&mut self, path: &RepoPath, change: Option<Change>, number: u64) {
        if self.changes.get(path).is_some_and(|(_, changed)| *changed > number) {
            return;
        }
        match change {
            Some(change) => self.set(path, change),
            None => drop(self.changes.remove(path)),
        }
    }

    /// Forgets what stands in a commit now: all changes up to `number`.
    pub fn settle(&mut self, number: u64) {
        self.changes.retain(|_, (_, changed)| *changed > number);
    }

    pub fn discard(&mut self) {
        self.changes.clear();
    }

    /// The writer took this content; `bytes` are held as long as there is room.
    pub fn hold(&mut self, id: FileId, bytes: Option<Bytes>) {
        self.number += 1;
        let len = bytes.as_ref().map_or(0, Bytes::len);
        if self.held_len + len > HELD_LEN_MAX {
            self.unflushed.values_mut().for_each(|(held, _)| *held = None);
            self.held_len = 0;
        }
        let bytes = bytes.filter(|bytes| bytes.len() <= HELD_LEN_MAX);
        let slot = self.unflushed.entry(id).or_insert((None, 0));
        slot.1 = self.number;
        if slot.0.is_none()
            && let Some(bytes) = bytes
        {
            slot.0 = Some(bytes);
            self.held_len += len;
        }
    }

    /// A flush that began when `number` was newest is done.
    pub fn flushed(&mut self, number: u64) {
        self.unflushed.retain(|_, (_, added)| *added > number);
        self.held_len = self
            .unflushed
            .values()
            .filter_map(|(held, _)| held.as_ref())
            .map(Bytes::len)
            .sum();
    }

    pub fn content(&self, id: FileId) -> Content {
        match self.unflushed.get(&id) {
            Some((Some(bytes), _)) => Content::Held(bytes.clone()),
            Some((None, _)) => Content::Unflushed,
            None => Content::Stored,
        }
    }
}
