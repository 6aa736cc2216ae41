//! A record: one chunk's bytes as a pack holds them, raw or compressed. `pack` says where records stand, `recipe` and `segment` are the other kinds.
//! Invariant: every byte of a record is covered by a hash, so a flip is seen even where a decompressor would not notice.
//!
//! `0 | content`, `1 | first 8 bytes of the frame's BLAKE3 | zstd frame`, `2 | recipe`, `3 | segment`.

use std::cell::RefCell;

use bytes::Bytes;
use drumlin_model::{ChunkId, Location, PackId};

use crate::{
    error::{Error, Result},
    format::{bytes_reader::BytesReader, cutter::CHUNK_LEN_MAX},
};

pub(crate) const RAW: u8 = 0;
pub(crate) const ZSTD: u8 = 1;
pub(crate) const RECIPE: u8 = 2;
pub(crate) const SEGMENT: u8 = 3;
/// The longest record of any kind, in bytes: what a reader is ready to hold, whatever a hint says.
pub(crate) const RECORD_LEN_MAX: u32 = 8 << 20;
/// A row of a table: `id 32 | kind u8 | offset u32 | stored u32 | len u32`.
pub(crate) const ROW_LEN: usize = 32 + 1 + 3 * 4;
const CHECK_LEN: usize = 8;
/// Fast enough that compressing never waits longer than a disk would.
const ZSTD_LEVEL: i32 = 1;
/// Content shorter than this gains nothing that a request or a seek would notice.
const COMPRESS_LEN_MIN: usize = 64;
/// Compression has to save one part in this many, or reading pays for nothing.
const SAVING_MIN: usize = 16;
/// How much of a chunk the probe looks at, in pieces spread over the chunk.
const PROBE_PIECES: usize = 16;
const PROBE_PIECE_LEN: usize = 256;
/// Bytes that are used as evenly as this (random ones: 1 + 255/4096 = 1.06) are compressed already, or noise.
const PROBE_EVENNESS_MAX: f64 = 1.12;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// The record of a chunk.
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    compress(content).unwrap_or_else(|| {
        let mut record = Vec::with_capacity(1 + content.len());
        record.push(RAW);
        record.extend_from_slice(content);
        record
    })
}

/// The content of a chunk record, whose hash is `id` and whose length is `len`.
pub(crate) fn open(record: &Bytes, id: &ChunkId, len: usize) -> Result<Bytes> {
    let damaged = |detail: &str| Error::corrupt(format!("chunk {id}"), detail);
    if len > CHUNK_LEN_MAX {
        return Err(damaged("it is said to be longer than any chunk is"));
    }
    let content = match record.first() {
        Some(&RAW) => record.slice(1..),
        Some(&ZSTD) if record.len() > 1 + CHECK_LEN => {
            let frame = &record[1 + CHECK_LEN..];
            if blake3::hash(frame).as_bytes()[..CHECK_LEN] != record[1..=CHECK_LEN] {
                return Err(damaged("its compressed bytes do not have their hash"));
            }
            let content = zstd::bulk::decompress(frame, len);
            Bytes::from(content.map_err(|_| damaged("it does not decompress to its length"))?)
        }
        _ => return Err(damaged("its record is of no known kind")),
    };
    if content.len() != len {
        return Err(damaged("it has another length"));
    }
    if ChunkId::of(&content) != *id {
        return Err(damaged("its bytes do not have its hash"));
    }
    Ok(content)
}

/// The compressed record, where that pays.
fn compress(content: &[u8]) -> Option<Vec<u8>> {
    if content.len() < COMPRESS_LEN_MIN || looks_random(content) {
        return None;
    }
    let len_max = 1 + CHECK_LEN + zstd::zstd_safe::compress_bound(content.len());
    let mut record = vec![0; len_max];
    let len = COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            *compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        compressor
            .as_mut()?
            .compress_to_buffer(content, &mut record[1 + CHECK_LEN..])
            .ok()
    })?;
    if 1 + CHECK_LEN + len > content.len() - content.len() / SAVING_MIN {
        return None;
    }
    record.truncate(1 + CHECK_LEN + len);
    let check = blake3::hash(&record[1 + CHECK_LEN..]);
    record[0] = ZSTD;
    record[1..=CHECK_LEN].copy_from_slice(&check.as_bytes()[..CHECK_LEN]);
    Some(record)
}

/// Whether all byte values are about as frequent in a sample: the sum of squares of the counts, over what it is when all are equal.
fn looks_random(content: &[u8]) -> bool {
    let sample_len = PROBE_PIECES * PROBE_PIECE_LEN;
    if content.len() < 2 * sample_len {
        return false;
    }
    let mut counts = [0u32; 256];
    let step = content.len() / PROBE_PIECES;
    for piece in content.chunks_exact(step).take(PROBE_PIECES) {
        for &byte in &piece[..PROBE_PIECE_LEN] {
            counts[usize::from(byte)] += 1;
        }
    }
    let squares: u64 = counts.iter().map(|&count| u64::from(count) * u64::from(count)).sum();
    let even = (sample_len * sample_len / 256) as f64;
    squares as f64 / even < PROBE_EVENNESS_MAX
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Chunk,
    /// How a long file is put together.
    Recipe,
    /// A part of a recipe.
    Segment,
}

/// Where a record is, and how long it and its content are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RecordAt {
    pub pack: PackId,
    pub kind: Kind,
    pub offset: u32,
    /// Length of the record.
    pub stored: u32,
    /// Length of a chunk's content; of a recipe and a segment, of the record.
    pub len: u32,
}

impl RecordAt {
    pub(crate) fn location(&self) -> Location {
        let (pack, offset, stored) = (self.pack, u64::from(self.offset), self.stored);
        match self.kind {
            Kind::Chunk => Location::Chunk { pack, offset, stored },
            Kind::Recipe => Location::Recipe { pack, offset, stored },
            // No file is found by a part of its recipe.
            Kind::Segment => Location::Unknown,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.stored)
    }
}

pub(crate) fn row_of(id: &[u8; 32], at: &RecordAt) -> [u8; ROW_LEN] {
    let mut row = [0; ROW_LEN];
    row[..32].copy_from_slice(id);
    row[32] = match at.kind {
        Kind::Chunk => 0,
        Kind::Recipe => 1,
        Kind::Segment => 2,
    };
    row[33..37].copy_from_slice(&at.offset.to_le_bytes());
    row[37..41].copy_from_slice(&at.stored.to_le_bytes());
    row[41..45].copy_from_slice(&at.len.to_le_bytes());
    row
}

/// The record that a row tells of. `None` for a kind that is not known.
pub(crate) fn record_of(row: &[u8], pack: PackId) -> Option<RecordAt> {
    let mut reader = BytesReader::new(row.get(32..)?);
    let kind = match reader.u8()? {
        0 => Kind::Chunk,
        1 => Kind::Recipe,
        2 => Kind::Segment,
        _ => return None,
    };
    Some(RecordAt {
        pack,
        kind,
        offset: reader.u32()?,
        stored: reader.u32()?,
        len: reader.u32()?,
    })
}
