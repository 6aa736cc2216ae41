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
        record::{self, Kind, ROW_LEN, RecordAt, record_of, row_of},
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
/// The most records of one pack: their table has to fit into one tail read.
pub(crate) const RECORDS_MAX: usize = 20_000;
/// The length of the one read that gets a whole footer.
pub(crate) const TAIL_LEN: u64 = 1 << 20;
const _: () = assert!(RECORDS_MAX * ROW_LEN + TRAILER_LEN <= TAIL_LEN as usize);

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

    pub(crate) fn rows(&self) -> &[[u8; ROW_LEN]] {
        self.bytes[..self.count * ROW_LEN].as_chunks().0
    }
}

/// Everything that is wrong with a whole pack, as text.
pub(crate) fn check(pack: PackId, bytes: &Bytes) -> Vec<String> {
    let footer = match Footer::from_tail(pack, bytes) {
        Ok(footer) => footer,
        Err(Error::Corrupt { detail, .. }) => return vec![format!("its table is damaged: {detail}")],
        Err(error) => return vec![error.to_string()],
    };
    let mut problems = Vec::new();
    if bytes.get(..HEAD.len()) != Some(HEAD) {
        problems.push("it does not begin as packs do".to_string());
    }
    if !footer.rows().is_sorted_by(|a, b| a[..32] < b[..32]) {
        problems.push("its table is not in order".to_string());
    }
    let records = footer.rows().iter().map(|row| (row, record_of(row, pack)));
    let mut records: Vec<([u8; 32], RecordAt)> = records
        .filter_map(|(row, at)| Some((*row.first_chunk()?, at?)))
        .collect();
    if records.len() != footer.count {
        problems.push("its table holds records of no known kind".to_string());
    }
    records.sort_unstable_by_key(|(_, at)| at.offset);
    let mut expected = HEAD.len() as u64;
    for (id, at) in &records {
        if u64::from(at.offset) != expected {
            problems.push(format!("bytes {expected}..{} are of no record", at.offset));
        }
        expected = at.end();
        problems.extend(check_record(id, at, bytes).err());
    }
    let table = (bytes.len() - footer.bytes.len()) as u64;
    if expected != table {
        problems.push(format!("bytes {expected}..{table} are of no record"));
    }
    problems
}

fn check_record(id: &[u8; 32], at: &RecordAt, pack: &Bytes) -> Result<(), String> {
    let range = at.offset as usize..at.end() as usize;
    if range.end > pack.len() {
        return Err(format!(
            "a record is said to be at {}..{}, past its end",
            range.start, range.end
        ));
    }
    let stored = pack.slice(range);
    let opened = match at.kind {
        Kind::Chunk => record::open(&stored, &ChunkId::from_bytes(*id), at.len as usize).map(drop),
        Kind::Recipe => Recipe::from_record(&stored, &FileId::from_bytes(*id)).map(drop),
    };
    opened.map_err(|error| error.to_string())
}
