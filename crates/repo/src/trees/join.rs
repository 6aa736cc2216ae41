//! Walks two sorted runs side by side, key by key.
//! `apply` joins a range with its changes; `diff` joins two trees.

use std::cmp::Ordering;

use drumlin_model::{RepoPath, tree::Range};

use crate::trees::Change;

/// Takes the lesser key of two heads: which sides hold the next key.
pub(super) fn next_key<'a>(left: Option<&'a RepoPath>, right: Option<&'a RepoPath>) -> Option<Ordering> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.cmp(right)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}

/// The entries of a range with sorted changes made to them.
pub(super) fn changed(range: &Range, changes: Vec<Change>) -> Range {
    let mut entries = Vec::with_capacity(range.entries.len() + changes.len());
    let mut old = range.entries.iter().peekable();
    for (path, placed) in changes {
        while let Some(entry) = old.next_if(|(key, _)| *key < path) {
            entries.push(entry.clone());
        }
        old.next_if(|(key, _)| *key == path);
        entries.extend(placed.map(|placed| (path, placed)));
    }
    entries.extend(old.cloned());
    Range { entries }
}
