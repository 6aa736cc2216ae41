//! A tree as pure data: sorted entries cut into ranges under one index node, and how both are stored.
//! `repo::trees` reads and writes these objects; nothing here does I/O. See `docs/design/001-stored-formats.md`.
//! Invariant: a set of paths and entries has exactly one `TreeId`, however the tree was built.

mod clash;
mod cut;
mod index;
mod merge;
mod range;
mod wire;

pub use clash::{Clash, ClashScan};
pub use cut::{Cutter, RANGE_ENTRIES_MAX, RANGE_ENTRIES_MEAN, RANGE_WEIGHT_MAX};
pub use index::{RangeRef, TREE_FORMAT, TREE_RANGES_MAX, Tree, TreeSummary};
pub use merge::{Conflict, Merge, PathDiff, merge_entries};
pub use range::{
    CONTAINER_LEN_MAX, ETAG_LEN_MAX, EncodedRange, EntryError, KEY_LEN_MAX, RANGE_FORMAT, Range, SYMLINK_LEN_MAX,
    check_entry,
};
