//! `Table`: a sorted run of (id, where) rows as stored, searched in place: a pack's footer or an index object.
//! `index` asks many of them. Nothing is decoded to memory; an index object that is a local file is mapped.
//! An answer is a hint: whoever follows it verifies the hash of what is there.
//!
//! Index object: `DRUMINDX | format u32 | pack count u32 | row count u64 | pack ids, sorted | rows | BLAKE3 of all before`;
//! a row is a pack's row and `pack number u32`.

use std::{cmp::Ordering, collections::HashSet, fs::File, path::Path, sync::OnceLock};

use bytes::Bytes;
use drumlin_model::{FormatError, PackId};
use memmap2::Mmap;

use crate::{
    error::{Error, Result},
    format::{
        bytes_reader::BytesReader,
        pack::Footer,
        record::{self, ROW_LEN, RecordAt},
    },
};

const HEAD: &[u8; 8] = b"DRUMINDX";
const FORMAT: u32 = 1;
const HEAD_LEN: usize = 8 + 4 + 4 + 8;
pub(crate) const INDEX_ROW_LEN: usize = ROW_LEN + 4;
/// An index object is closed at this many rows (49 MB), because merging holds one in memory.
pub(crate) const ROWS_MAX: usize = 1_000_000;
/// The longest index object, in bytes: with each row in a pack of its own.
pub(crate) const OBJECT_LEN_MAX: u64 = (HEAD_LEN + ROWS_MAX * (INDEX_ROW_LEN + 32) + 32) as u64;

#[derive(Debug)]
enum Data {
    Memory(Bytes),
    Mapped(Mmap),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Data::Memory(bytes) => bytes,
            Data::Mapped(map) => map,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    data: Data,
    /// Where the rows begin.
    start: usize,
    count: usize,
    row_len: usize,
    /// By number; those of packs that are gone are skipped.
    packs: Vec<PackId>,
    /// Whether it was verified, and with what result.
    whole: OnceLock<bool>,
}

impl Table {
    pub(crate) fn of_footer(footer: Footer) -> Self {
        let Footer { pack, bytes, count } = footer;
        Self {
            data: Data::Memory(bytes),
            start: 0,
            count,
            row_len: ROW_LEN,
            packs: vec![pack],
            whole: OnceLock::from(true),
        }
    }

    /// An index object whose bytes were verified (`verify_object`), or one of our own.
    pub(crate) fn of_object(name: &str, bytes: Bytes) -> Result<Self> {
        Self::of_data(name, Data::Memory(bytes))
    }

    /// Maps an index object that is a local file; `is_whole` tells whether it still is what was written there.
    pub(crate) fn map_object(name: &str, path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::file("open", path, source))?;
        // SAFETY: index objects are written beside and renamed, and never changed; to shorten one is to damage the repository.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| Error::file("map", path, source))?;
        Self::of_data(name, Data::Mapped(map))
    }

    fn of_data(name: &str, data: Data) -> Result<Self> {
        let damaged = || Error::corrupt(format!("index/{name}"), "its head does not fit its length");
        let bytes = data.bytes();
        let mut reader = BytesReader::new(bytes);
        if reader.array() != Some(*HEAD) {
            return Err(damaged());
        }
        let format = reader.u32().ok_or_else(damaged)?;
        if format != FORMAT {
            return Err(FormatError::TooNew {
                object: format!("index/{name}"),
                found: format,
                newest: FORMAT,
            }
            .into());
        }
        let pack_count = reader.u32().ok_or_else(damaged)? as usize;
        let count = usize::try_from(reader.u64().ok_or_else(damaged)?).map_err(|_| damaged())?;
        let packs = reader.rows::<32>(pack_count).ok_or_else(damaged)?;
        let packs = packs.iter().map(|id| PackId::from_bytes(*id)).collect();
        reader.rows::<INDEX_ROW_LEN>(count).ok_or_else(damaged)?;
        if reader.remaining() != 32 {
            return Err(damaged());
        }
        Ok(Self {
            start: HEAD_LEN + pack_count * 32,
            count,
            row_len: INDEX_ROW_LEN,
            packs,
            data,
            whole: OnceLock::new(),
        })
    }

    pub(crate) fn packs(&self) -> &[PackId] {
        &self.packs
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn row(&self, number: usize) -> &[u8] {
        &self.data.bytes()[self.start + number * self.row_len..][..self.row_len]
    }

    fn record(&self, row: &[u8]) -> Option<RecordAt> {
        let number = match row.get(ROW_LEN..).and_then(|pack| pack.first_chunk()) {
            Some(number) => u32::from_le_bytes(*number) as usize,
            None => 0,
        };
        record::record_of(row, *self.packs.get(number)?)
    }

    /// Where copies of a record are, one for each pack that holds it.
    pub(crate) fn find<'a>(&'a self, id: &'a [u8; 32]) -> impl Iterator<Item = RecordAt> + 'a {
        let is_of = |number: &usize| self.row(*number)[..32] == *id;
        let some = self.search(id).unwrap_or(self.count);
        let first = (0..some).rev().take_while(is_of).last().unwrap_or(some);
        let numbers = (first..self.count).take_while(is_of);
        numbers.filter_map(|number| self.record(self.row(number)))
    }

    /// Whether an index object is what was written. It is not verified when it is opened: to map it takes no time.
    pub(crate) fn is_whole(&self, name: &str) -> bool {
        *self
            .whole
            .get_or_init(|| verify_object(name, self.data.bytes()).is_ok())
    }

    /// Ids are hashes, so evenly spread: begin where the id would be, widen until it is enclosed, then halve.
    fn search(&self, id: &[u8; 32]) -> Result<usize, usize> {
        let compare = |number: usize| self.row(number)[..32].cmp(id);
        let prefix = u64::from_be_bytes(*id.first_chunk().expect("an id is longer"));
        let guess = ((u128::from(prefix) * self.count as u128) >> 64) as usize;
        let (mut low, mut high, mut step) = (guess, guess, 16);
        while low > 0 && compare(low).is_gt() {
            high = low;
            low = low.saturating_sub(step);
            step *= 4;
        }
        step = 16;
        while high < self.count && compare(high).is_le() {
            high = (high + step).min(self.count);
            step *= 4;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(middle) {
                Ordering::Equal => return Ok(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// Whether an index object is what was written. Its key is its hash, so this covers every byte.
pub(crate) fn verify_object(name: &str, bytes: &[u8]) -> Result<()> {
    let stored = bytes.split_last_chunk::<32>();
    let whole = stored.is_some_and(|(body, hash)| {
        let actual = blake3::hash(body);
        actual.as_bytes() == hash && actual.to_string() == name
    });
    if whole {
        Ok(())
    } else {
        Err(Error::corrupt(
            format!("index/{name}"),
            "its bytes do not have their hash",
        ))
    }
}

/// Merges tables into one index object: its name and its bytes. Rows of packs that are not `kept` are left out.
pub(crate) fn merge(tables: &[&Table], kept: impl Fn(&PackId) -> bool) -> (String, Bytes) {
    let mut packs: Vec<PackId> = tables
        .iter()
        .flat_map(|table| table.packs())
        .copied()
        .filter(|id| kept(id))
        .collect();
    packs.sort_unstable();
    packs.dedup();
    let rows_max: usize = tables.iter().map(|table| table.count).sum();
    let start = HEAD_LEN + packs.len() * 32;
    let mut out = Vec::with_capacity(start + rows_max * INDEX_ROW_LEN + 32);
    out.extend_from_slice(HEAD);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(packs.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    packs.iter().for_each(|pack| out.extend_from_slice(pack.as_bytes()));
    for table in tables {
        for row in (0..table.count).map(|number| table.row(number)) {
            let pack = table.record(row).and_then(|at| packs.binary_search(&at.pack).ok());
            if let Some(pack) = pack {
                out.extend_from_slice(&row[..ROW_LEN]);
                out.extend_from_slice(&(pack as u32).to_le_bytes());
            }
        }
    }
    let rows = out[start..].as_chunks_mut::<INDEX_ROW_LEN>().0;
    rows.sort_unstable();
    let mut count = 0;
    for number in 0..rows.len() {
        // Copies in other packs stay: the next one to be read may be the one that is damaged.
        if count == 0 || rows[count - 1] != rows[number] {
            rows[count] = rows[number];
            count += 1;
        }
    }
    out.truncate(start + count * INDEX_ROW_LEN);
    out[16..24].copy_from_slice(&(count as u64).to_le_bytes());
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    (hash.to_string(), Bytes::from(out))
}

/// The packs that any of the tables knows.
pub(crate) fn covered<'a>(tables: impl Iterator<Item = &'a Table>) -> HashSet<PackId> {
    tables.flat_map(|table| table.packs()).copied().collect()
}
