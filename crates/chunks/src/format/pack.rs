//! A pack: records one after another, then a table of them, then a trailer that says how long the table is.
//! `writer` builds packs, `index` reads their tables alone, `fetch` reads records by offset, `check` reads all.
//! Invariant: records leave no gap, and the table and the trailer have their own hash: every byte is covered.
//!
//! `DRUMPACK | records | rows | row count u32 | format u32 | BLAKE3 of rows, count and format | DRUMFOOT`;
//! a row is `id 32 | kind u8 | offset u32 | stored u32 | len u32`, and rows are sorted by id.

use bytes::Bytes;
use drumlin_model::{ChunkId, FileId, FormatError, PackId};

use crate::{
    error::{Error, Result},
    format::{
        bytes_reader::BytesReader,
        recipe::Recipe,
        record::{self, Kind, RECORD_LEN_MAX, ROW_LEN, RecordAt, record_of, row_of},
        segment,
    },
    keys::pack_key,
};

pub(crate) const HEAD: &[u8; 8] = b"DRUMPACK";
const END: &[u8; 8] = b"DRUMFOOT";
const FORMAT: u32 = 1;
const TRAILER_LEN: usize = 4 + 4 + 32 + 8;
/// Where a pack is closed. Half of the most that a pack may be, because three are in memory while a writer is busy
/// (one filling, two on their way): 96 MiB.
pub(crate) const PACK_LEN: usize = 32 << 20;
/// The most records of one pack, so that the table of a pack of small files is not long either.
pub(crate) const RECORDS_MAX: usize = 20_000;
/// The longest footer, in bytes: with some room for packs of others. A reader holds no more.
pub(crate) const FOOTER_LEN_MAX: u64 = 1 << 20;
const _: () = assert!(RECORDS_MAX * ROW_LEN + TRAILER_LEN <= FOOTER_LEN_MAX as usize);

/// A pack that is being filled.
#[derive(Debug)]
pub(crate) struct PackBuilder {
    id: PackId,
    bytes: Vec<u8>,
    rows: Vec<[u8; ROW_LEN]>,
}

/// A pack that is full: its bytes, and the part of them that the index needs.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub id: PackId,
    pub bytes: Bytes,
    pub footer: Footer,
}

impl PackBuilder {
    pub(crate) fn new(id: PackId) -> Self {
        Self {
            id,
            bytes: HEAD.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a record of that length may be added; one that is too long for any pack gets its own.
    pub(crate) fn fits(&self, stored: usize) -> bool {
        self.is_empty() || (self.rows.len() < RECORDS_MAX && self.bytes.len() + stored <= PACK_LEN)
    }

    pub(crate) fn push(&mut self, id: &[u8; 32], kind: Kind, len: u32, record: &[u8]) -> RecordAt {
        let at = RecordAt {
            pack: self.id,
            kind,
            offset: self.bytes.len() as u32,
            stored: record.len() as u32,
            len,
        };
        self.bytes.extend_from_slice(record);
        self.rows.push(row_of(id, &at));
        at
    }

    pub(crate) fn seal(mut self) -> SealedPack {
        self.rows.sort_unstable();
        let table = self.bytes.len();
        self.bytes.reserve_exact(self.rows.len() * ROW_LEN + TRAILER_LEN);
        self.bytes.extend_from_slice(self.rows.as_flattened());
        self.bytes.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&FORMAT.to_le_bytes());
        let checksum = blake3::hash(&self.bytes[table..]);
        self.bytes.extend_from_slice(checksum.as_bytes());
        self.bytes.extend_from_slice(END);
        let bytes = Bytes::from(self.bytes);
        // Copied, so that the table does not keep the records in memory.
        let footer = Footer {
            pack: self.id,
            bytes: Bytes::copy_from_slice(&bytes[table..]),
            count: self.rows.len(),
        };
        SealedPack {
            id: self.id,
            bytes,
            footer,
        }
    }
}

/// The table and trailer of a pack, verified.
#[derive(Clone, Debug)]
pub(crate) struct Footer {
    pub pack: PackId,
    pub bytes: Bytes,
    pub count: usize,
}

impl Footer {
    /// Finds the footer at the end of `tail`, the last bytes of a pack.
    pub(crate) fn from_tail(pack: PackId, tail: &Bytes) -> Result<Self> {
        let damaged = |detail: &str| Error::corrupt(format!("the table of {}", pack_key(&pack)), detail);
        let Some(start) = tail.len().checked_sub(TRAILER_LEN) else {
            return Err(damaged("the pack is cut short"));
        };
        let mut trailer = BytesReader::new(&tail[start..]);
        let count = trailer.u32().expect("the length was checked") as usize;
        let format = trailer.u32().expect("the length was checked");
        let checksum: [u8; 32] = trailer.array().expect("the length was checked");
        if trailer.array() != Some(*END) {
            return Err(damaged("the pack does not end as packs do"));
        }
        let table = count.checked_mul(ROW_LEN).and_then(|len| start.checked_sub(len));
        let table = table.ok_or_else(|| damaged("the pack is shorter than its table"))?;
        if blake3::hash(&tail[table..start + 8]).as_bytes() != &checksum {
            return Err(damaged("its bytes do not have their hash"));
        }
        if format != FORMAT {
            return Err(FormatError::TooNew {
                object: pack_key(&pack),
                found: format,
                newest: FORMAT,
            }
            .into());
        }
        Ok(Self {
            pack,
            bytes: Bytes::copy_from_slice(&tail[table..]),
            count,
        })
    }

    /// How long the whole footer is, from its last bytes. It may be more than a footer may have.
    pub(crate) fn len_by_trailer(tail: &[u8]) -> Option<u64> {
        let start = tail.len().checked_sub(TRAILER_LEN)?;
        let count = BytesReader::new(&tail[start..]).u32()?;
        Some(u64::from(count) * ROW_LEN as u64 + TRAILER_LEN as u64)
    }

    pub(crate) fn rows(&self) -> &[[u8; ROW_LEN]] {
        self.bytes[..self.count * ROW_LEN].as_chunks().0
    }
}

/// The records of a pack in the order in which they stand, as its table says, and what is wrong with the table for a pack of `size` bytes.
pub(crate) fn records(footer: &Footer, size: u64) -> (Vec<([u8; 32], RecordAt)>, Vec<String>) {
    let mut problems = Vec::new();
    if !footer.rows().is_sorted_by(|a, b| a[..32] < b[..32]) {
        problems.push("its table is not in order".to_string());
    }
    let rows = footer.rows().iter().map(|row| (row, record_of(row, footer.pack)));
    let mut records: Vec<([u8; 32], RecordAt)> =
        rows.filter_map(|(row, at)| Some((*row.first_chunk()?, at?))).collect();
    if records.len() != footer.count {
        problems.push("its table holds records of no known kind".to_string());
    }
    records.sort_unstable_by_key(|(_, at)| at.offset);
    let table = size - footer.bytes.len() as u64;
    let mut expected = HEAD.len() as u64;
    for (_, at) in &records {
        if u64::from(at.offset) != expected {
            problems.push(format!("bytes {expected}..{} are of no record", at.offset));
        }
        expected = at.end();
    }
    if expected != table {
        problems.push(format!("bytes {expected}..{table} are of no record"));
    }
    records.retain(|(_, at)| at.end() <= table && at.stored <= RECORD_LEN_MAX);
    if records.len() != footer.count {
        problems.push("its table tells of records that are too long, or past the end".to_string());
    }
    (records, problems)
}

/// Whether a record has its hash, whatever its kind.
pub(crate) fn check_record(id: &[u8; 32], at: &RecordAt, stored: &Bytes) -> Result<()> {
    match at.kind {
        Kind::Chunk => record::open(stored, &ChunkId::from_bytes(*id), at.len as usize).map(drop),
        Kind::Recipe => Recipe::from_record(stored, &FileId::from_bytes(*id)).map(drop),
        Kind::Segment => segment::check(stored, id),
    }
}
