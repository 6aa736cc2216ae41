//! `Segment`: one stretch of a long file, 256 MiB of it at a multiple of that: the chunks that hold it, and the values of its blocks.
//! `recipe` holds the only segment of a file, or names the records that hold its many.
//! Invariant: a segment in memory merges to the value that it was read with, and its chunks cover it.
//!
//! Body: `pack count u32 | pack ids, sorted | chunk count u32 | bytes of the first chunk before the segment u32 | a row for each chunk |
//! 32 bytes for each block`; a row is `id 32 | len u32 | pack number u32 | offset u32 | stored u32`. Record: `3 | format u8 | body`.

use std::ops::Range;

use drumlin_model::{ChunkId, PackId};

use crate::{
    error::{Error, Result},
    format::{
        bytes_reader::BytesReader,
        cutter::{CHUNK_LEN_MAX, CHUNK_LEN_MIN},
        hash_tree::{self, BLOCK_LEN, VALUE_LEN, Value},
        record::{self, Kind, RECORD_LEN_MAX, RecordAt},
    },
};

/// The length of a segment: long enough that a file of 1 TB has 4,096, short enough that the record of one (about 330 kB) is read in
/// no time.
pub const SEGMENT_LEN: u64 = 256 << 20;
/// What a segment's id is a hash of, beside its record: so no file's content has the id of a segment.
const ID_CONTEXT: &str = "drumlin segment 1";
const FORMAT: u8 = 1;
const ROW_LEN: usize = 32 + 4 * 4;
/// With the shortest chunks, each in a pack of its own.
const CHUNKS_MAX: usize = (SEGMENT_LEN as usize) / CHUNK_LEN_MIN + 2;
const BODY_LEN_MAX: usize = 3 * 4 + CHUNKS_MAX * (32 + ROW_LEN) + (SEGMENT_LEN / BLOCK_LEN) as usize * VALUE_LEN;
const _: () = assert!(BODY_LEN_MAX + 128 <= RECORD_LEN_MAX as usize);

/// A chunk of a file, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkAt {
    pub id: ChunkId,
    pub at: RecordAt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The bytes of the file that it is.
    pub range: Range<u64>,
    /// In order. The first may begin before the segment, the last may end after it.
    pub chunks: Vec<ChunkAt>,
    /// How many bytes of the first chunk are before the segment.
    pub before: u32,
    pub blocks: Vec<Value>,
}

/// The id of a segment's record.
pub(crate) fn id_of(record: &[u8]) -> [u8; 32] {
    blake3::derive_key(ID_CONTEXT, record)
}

/// Whether a record is the one with this id.
pub(crate) fn check(record: &[u8], id: &[u8; 32]) -> Result<()> {
    if id_of(record) == *id {
        return Ok(());
    }
    let name = format!("the segment {}", blake3::Hash::from_bytes(*id));
    Err(Error::corrupt(name, "its bytes do not have its hash"))
}

impl Segment {
    /// Of a file that is longer than this segment.
    pub(crate) fn value(&self) -> Value {
        hash_tree::subtree(&self.blocks, BLOCK_LEN, self.range.end - self.range.start)
    }

    pub(crate) fn to_record(&self) -> Vec<u8> {
        let mut out = vec![record::SEGMENT, FORMAT];
        self.write_body(&mut out);
        out
    }

    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        let mut packs: Vec<PackId> = self.chunks.iter().map(|chunk| chunk.at.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        out.reserve(12 + packs.len() * 32 + self.chunks.len() * ROW_LEN + self.blocks.len() * VALUE_LEN);
        out.extend_from_slice(&(packs.len() as u32).to_le_bytes());
        packs.iter().for_each(|pack| out.extend_from_slice(pack.as_bytes()));
        out.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.before.to_le_bytes());
        for ChunkAt { id, at } in &self.chunks {
            let pack = packs.binary_search(&at.pack).expect("every pack was collected above") as u32;
            out.extend_from_slice(id.as_bytes());
            for number in [at.len, pack, at.offset, at.stored] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        out.extend_from_slice(self.blocks.as_flattened());
    }

    /// Reads a record back that has the id asked for. `range` is what it should be of, in a file of `size` bytes.
    pub(crate) fn from_record(stored: &[u8], range: Range<u64>, size: u64) -> Result<Self, &'static str> {
        let body = stored.strip_prefix(&[record::SEGMENT, FORMAT]);
        let mut reader = BytesReader::new(body.ok_or("it is of no known format")?);
        let segment = Self::read_body(&mut reader, range, size)?;
        (reader.remaining() == 0)
            .then_some(segment)
            .ok_or("something follows it")
    }

    pub(crate) fn read_body(reader: &mut BytesReader<'_>, range: Range<u64>, size: u64) -> Result<Self, &'static str> {
        let short = "it is cut short";
        let len = range.end - range.start;
        let pack_count = reader.u32().ok_or(short)? as usize;
        let packs = reader.rows::<32>(pack_count).ok_or(short)?;
        let chunk_count = reader.u32().ok_or(short)? as usize;
        let before = reader.u32().ok_or(short)?;
        let rows = reader.rows::<ROW_LEN>(chunk_count).ok_or(short)?;
        let blocks = reader
            .rows::<VALUE_LEN>(len.div_ceil(BLOCK_LEN) as usize)
            .ok_or(short)?;
        let chunks: Option<Vec<ChunkAt>> = rows.iter().map(|row| chunk_of(row, packs)).collect();
        let segment = Self {
            chunks: chunks.ok_or("a chunk of it is of no pack, or too long")?,
            before,
            blocks: blocks.to_vec(),
            range,
        };
        segment
            .covers(size)
            .then_some(segment)
            .ok_or("its lengths do not add up")
    }

    /// Whether the chunks are those that meet the segment, no more and no fewer.
    fn covers(&self, size: u64) -> bool {
        let (Some(first), Some(last)) = (self.chunks.first(), self.chunks.last()) else {
            return false;
        };
        let before = u64::from(self.before);
        let total: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.at.len)).sum();
        let end = total + self.range.start - before.min(self.range.start);
        let begins_within = before < first.at.len.into() && before <= self.range.start;
        let ends_within = end >= self.range.end && end - u64::from(last.at.len) < self.range.end;
        begins_within && ends_within && (end == size || self.range.end < size) && end <= size
    }

    /// The chunks that meet a range of the file, each with the byte of the file that it begins at.
    pub(crate) fn chunks_in(&self, range: Range<u64>) -> impl Iterator<Item = (u64, ChunkAt)> + '_ {
        let mut next = self.range.start - u64::from(self.before);
        let placed = self.chunks.iter().map(move |chunk| {
            let start = next;
            next += u64::from(chunk.at.len);
            (start, *chunk)
        });
        placed
            .skip_while(move |(start, chunk)| start + u64::from(chunk.at.len) <= range.start)
            .take_while(move |(start, _)| *start < range.end)
    }

    /// What it takes in memory.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.chunks.len() * std::mem::size_of::<ChunkAt>() + self.blocks.len() * VALUE_LEN
    }
}

fn chunk_of(row: &[u8; ROW_LEN], packs: &[[u8; 32]]) -> Option<ChunkAt> {
    let mut reader = BytesReader::new(row);
    let id = ChunkId::from_bytes(reader.array()?);
    let (len, pack, offset, stored) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let pack = PackId::from_bytes(*packs.get(pack as usize)?);
    let fits = (1..=CHUNK_LEN_MAX as u32).contains(&len);
    fits.then_some(ChunkAt {
        id,
        at: RecordAt {
            pack,
            kind: Kind::Chunk,
            offset,
            stored,
            len,
        },
    })
}
