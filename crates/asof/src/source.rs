//! Where a view's rows come from while a join runs: Parquet files or a spooled query, both as pieces of rows in order.
//! `run` scans pieces for candidates and fetches values from them, the same way for both.
//! Invariant: pieces are in the order of writing, and a row's position is its piece's first position and its place in it.

use std::sync::Arc;

use arrow::datatypes::Field;
use drumlin_model::Timestamp;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    columns::{Columns, Needed},
    error::Result,
    files::Files,
    resolve::ResolvedLookup,
    spool::Spool,
};

/// A lookup and where its rows are.
pub(crate) struct Side {
    pub(crate) lookup: Arc<ResolvedLookup>,
    pub(crate) source: Arc<Source>,
}

#[derive(Debug)]
pub(crate) enum Source {
    Files(Files),
    Spool(Spool),
}

impl Source {
    /// The position of a piece's first row.
    pub(crate) fn first(&self, piece: usize) -> u64 {
        match self {
            Source::Files(files) => files.pieces()[piece].first,
            Source::Spool(spool) => spool.first(piece),
        }
    }

    /// The position after a piece's last row.
    pub(crate) fn end(&self, piece: usize) -> u64 {
        match self {
            Source::Files(files) => files.pieces()[piece].first + files.pieces()[piece].rows,
            Source::Spool(spool) => spool.end(piece),
        }
    }

    /// The piece that holds a position.
    pub(crate) fn piece_at(&self, position: u64) -> usize {
        let after = match self {
            Source::Files(files) => files.pieces().partition_point(|piece| piece.first <= position),
            Source::Spool(spool) => spool.pieces_up_to(position),
        };
        // Pieces without rows start where the next one does: the last that starts here is the one with rows.
        after - 1
    }

    /// The pieces worth scanning, and how many rows without an event time the others hold.
    pub(crate) fn prune(&self, lookup: &ResolvedLookup, needed: &Needed) -> Result<(Vec<usize>, u64)> {
        match self {
            Source::Files(files) => files.prune(lookup, needed),
            Source::Spool(spool) => Ok(((0..spool.pieces()).collect(), 0)),
        }
    }

    /// When a piece's rows became known, if the source knows that.
    pub(crate) fn written(&self, piece: usize) -> Option<Timestamp> {
        match self {
            Source::Files(files) => files.written(piece),
            Source::Spool(_) => None,
        }
    }

    /// How many bytes reading a column of a piece costs.
    pub(crate) fn stored_bytes(&self, piece: usize, field: &Field) -> u64 {
        match self {
            Source::Files(files) => files.stored_bytes(piece, field),
            Source::Spool(_) => 0,
        }
    }

    /// Streams columns of a piece; of chosen rows (ascending, counted in the piece) if given.
    pub(crate) fn read(
        &self,
        piece: usize,
        fields: &[Arc<Field>],
        rows: Option<&[u32]>,
    ) -> Result<BoxStream<'static, Result<Columns>>> {
        match self {
            Source::Files(files) => files.read(piece, fields, rows),
            Source::Spool(spool) => Ok(stream::iter([spool.read(piece, fields, rows)]).boxed()),
        }
    }
}
