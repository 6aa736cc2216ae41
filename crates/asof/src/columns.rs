//! What a source is asked for and what it gives: columns of some rows, and the bounds that let it leave rows out.
//! `files` and `spool` answer with it, each in its way; `source` chooses between them.

use arrow::array::ArrayRef;

/// Columns of some rows, in the order in which they were asked for.
pub(crate) struct Columns {
    pub(crate) arrays: Vec<ArrayRef>,
    pub(crate) rows: usize,
}

/// What the spine can use: event times from the first to the second, and keys likewise if they are ordered numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed {
    pub(crate) times: (i64, i64),
    pub(crate) keys: Option<(i64, i64)>,
}
