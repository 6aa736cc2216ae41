//! What differs between trees at one path, and the three-way merge of one path.
//! `repo::trees` walks whole trees with these.
//! Invariant: locations are carried along and never compared; a change of `modified` alone never conflicts. An entry is one
//! value: two sides that changed its content and its attributes conflict.

use crate::{entry::Placed, path::RepoPath};

/// A path whose entry differs between two trees. At least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathDiff {
    pub path: RepoPath,
    pub before: Option<Placed>,
    pub after: Option<Placed>,
}

/// A path that two sides changed in ways that exclude each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub path: RepoPath,
    pub base: Option<Placed>,
    pub ours: Option<Placed>,
    pub theirs: Option<Placed>,
    /// Set when `theirs` cannot stand beside this path of ours, because one would be a file and the other a folder.
    pub blocked_by: Option<RepoPath>,
}

/// The outcome of a three-way merge of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge<T> {
    Clean(T),
    Conflict,
}

/// Merges what three trees hold at one path; `None` is absence.
///
/// A side that changed nothing yields to the other, and so does one that only touched `modified`.
/// When both came to the same content and attributes, the newer time stays.
pub fn merge_entries(base: Option<&Placed>, ours: Option<&Placed>, theirs: Option<&Placed>) -> Merge<Option<Placed>> {
    let merged = if same_entry(base, theirs) {
        ours
    } else if same_entry(base, ours) {
        theirs
    } else if same_value(ours, theirs) {
        newer(ours, theirs)
    } else if same_value(base, theirs) {
        ours
    } else if same_value(base, ours) {
        theirs
    } else {
        return Merge::Conflict;
    };
    Merge::Clean(merged.cloned())
}

fn same_entry(a: Option<&Placed>, b: Option<&Placed>) -> bool {
    a.map(|placed| &placed.entry) == b.map(|placed| &placed.entry)
}

fn same_value(a: Option<&Placed>, b: Option<&Placed>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.entry.same_value(&b.entry),
        (None, None) => true,
        _ => false,
    }
}

fn newer<'a>(ours: Option<&'a Placed>, theirs: Option<&'a Placed>) -> Option<&'a Placed> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs.entry.modified > ours.entry.modified => Some(theirs),
        _ => ours,
    }
}
