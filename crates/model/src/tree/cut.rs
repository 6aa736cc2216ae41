//! Where a sorted run of entries is cut into ranges.
//! `repo::trees` feeds a `Cutter` while it builds; `fsck` feeds one to check.
//! Invariant: a cut depends on the entries since the previous cut alone, so a change moves only the cuts near it.

use crate::{
    entry::{Entry, EntryKind},
    path::RepoPath,
};

/// One path in this many ends a range by the hash of its name. Page 001 has the measurement that it comes from.
pub const RANGE_ENTRIES_MEAN: u32 = 2048;
/// A range ends here whatever its paths are.
pub const RANGE_ENTRIES_MAX: usize = 8192;
/// A range also ends with the entry that brings its weight to this, in bytes: a bound on what one read may cost.
pub const RANGE_WEIGHT_MAX: usize = 1 << 20;
/// Added to the text of an entry to make its weight: at least what the rest of it takes when encoded.
const ENTRY_WEIGHT: usize = 64;
/// Added to the text of an attribute: the two lengths of it.
const ATTRIBUTE_WEIGHT: usize = 4;

/// Decides where ranges end. Fresh after each cut.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    entries: usize,
    weight: usize,
}

impl Cutter {
    /// Takes the next entry in key order; true when a range ends after it.
    pub fn push(&mut self, path: &RepoPath, entry: &Entry) -> bool {
        self.entries += 1;
        self.weight += weight(path, entry);
        let cut = self.entries >= RANGE_ENTRIES_MAX || self.weight >= RANGE_WEIGHT_MAX || ends_range(path);
        if cut {
            *self = Cutter::default();
        }
        cut
    }
    /// Whether no entry has come since the last cut.
    pub fn is_fresh(&self) -> bool {
        self.entries == 0
    }
}

/// Whether the path ends a range wherever it stands.
fn ends_range(path: &RepoPath) -> bool {
    let hash = blake3::hash(path.as_str().as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d]).is_multiple_of(RANGE_ENTRIES_MEAN)
}

/// At least the encoded length of the entry. Neither time, size nor content moves it, so edits move no cut.
fn weight(path: &RepoPath, entry: &Entry) -> usize {
    let text = match &entry.kind {
        EntryKind::File(_) | EntryKind::Folder => 0,
        EntryKind::Symlink { target } => target.len(),
        EntryKind::External(external) => {
            external.container.len() + external.key.len() + external.etag.len() + external.version.len()
        }
    };
    let attributes = entry.attributes.iter();
    let attributes: usize = attributes
        .map(|(key, value)| key.len() + value.len() + ATTRIBUTE_WEIGHT)
        .sum();
    path.as_str().len() + text + attributes + ENTRY_WEIGHT
}
