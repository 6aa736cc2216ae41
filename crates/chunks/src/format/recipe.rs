//! `Recipe`: how a file of more than one chunk is put together. A record of a pack, named by the file's id. It holds the file's only
//! segment, or says where the records of its many segments are.
//! `file_builder` makes recipes, `content` reads them. Where a record lies is a hint, as everywhere.
//! Invariant: the values in a recipe merge to the file's id, so what it says of content is as good as the id.
//!
//! `2 | format u8 | FileId | size u64 | log2 of the segments' length u8 | the segment's body, or: pack count u32 | pack ids, sorted |
//! a row for each segment | BLAKE3 of all before`; a row is `value 32 | id 32 | pack number u32 | offset u32 | stored u32`.

use std::{ops::Range, sync::Arc};

use drumlin_model::{FileId, PackId};

use crate::{
    error::{Error, Result},
    format::{
        bytes_reader::BytesReader,
        cutter::CHUNK_LEN_MAX,
        hash_tree::{self, BLOCK_LEN, Value},
        record::{self, Kind, RECORD_LEN_MAX, RecordAt},
        segment::{SEGMENT_LEN, Segment},
    },
};

/// The most segments of a file: with 256 MiB each it has 16 TiB.
pub const SEGMENTS_MAX: u64 = 1 << 16;
const FORMAT: u8 = 1;
const ROW_LEN: usize = 2 * 32 + 3 * 4;
/// With each segment in a pack of its own.
const _: () = assert!(SEGMENTS_MAX as usize * (32 + ROW_LEN) + 128 <= RECORD_LEN_MAX as usize);

/// How long files are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The length of each segment of a file but its last: a power of two, from 64 KiB to `SEGMENT_LEN`.
    pub len: u64,
    /// The most segments of a file, at most `SEGMENTS_MAX`. A longer file is refused.
    pub count_max: u64,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            len: SEGMENT_LEN,
            count_max: SEGMENTS_MAX,
        }
    }
}

impl Segments {
    /// The longest file, in bytes.
    pub fn file_len_max(&self) -> u64 {
        self.len * self.count_max
    }

    /// Which bytes of a file a segment is.
    pub(crate) fn range(&self, number: u64, size: u64) -> Range<u64> {
        number * self.len..size.min((number + 1) * self.len)
    }

    fn count(&self, size: u64) -> u64 {
        size.div_ceil(self.len)
    }
}

/// A segment of a longer file: its value, and the record that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentAt {
    pub value: Value,
    pub id: [u8; 32],
    pub at: RecordAt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    One(Arc<Segment>),
    Many(Vec<SegmentAt>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub file: FileId,
    pub size: u64,
    pub segments: Segments,
    pub parts: Parts,
}

impl Recipe {
    /// Of a file of one segment.
    pub(crate) fn of_one(segment: Segment, segments: Segments) -> Self {
        let size = segment.range.end;
        Self {
            file: hash_tree::root(&segment.blocks, BLOCK_LEN, size),
            size,
            segments,
            parts: Parts::One(Arc::new(segment)),
        }
    }

    /// Of a file of two segments or more.
    pub(crate) fn of_many(rows: Vec<SegmentAt>, size: u64, segments: Segments) -> Self {
        Self {
            file: root_of(&rows, segments.len, size),
            size,
            segments,
            parts: Parts::Many(rows),
        }
    }

    pub(crate) fn segment_count(&self) -> u64 {
        self.segments.count(self.size)
    }

    pub(crate) fn to_record(&self) -> Vec<u8> {
        let mut out = vec![record::RECIPE, FORMAT];
        out.extend_from_slice(self.file.as_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.push(self.segments.len.trailing_zeros() as u8);
        match &self.parts {
            Parts::One(segment) => segment.write_body(&mut out),
            Parts::Many(rows) => write_rows(rows, &mut out),
        }
        let checksum = blake3::hash(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// What it takes in memory.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
            + match &self.parts {
                Parts::One(segment) => segment.memory(),
                Parts::Many(rows) => rows.len() * std::mem::size_of::<SegmentAt>(),
            }
    }

    /// Reads a record back; it has to be the recipe of `file`.
    pub(crate) fn from_record(stored: &[u8], file: &FileId) -> Result<Self> {
        Self::parse(stored, file).map_err(|detail| Error::corrupt(format!("the recipe of {file}"), detail))
    }

    fn parse(stored: &[u8], file: &FileId) -> Result<Self, &'static str> {
        let (body, checksum) = stored.split_last_chunk::<32>().ok_or("it is cut short")?;
        if blake3::hash(body).as_bytes() != checksum {
            return Err("its bytes do not have their hash");
        }
        let short = "it is cut short";
        let mut reader = BytesReader::new(body);
        if reader.array().ok_or(short)? != [record::RECIPE, FORMAT] {
            return Err("it is of no known format");
        }
        if reader.array().ok_or(short)? != *file.as_bytes() {
            return Err("it is the recipe of another file");
        }
        let size = reader.u64().ok_or(short)?;
        let segments = segments_of(reader.u8().ok_or(short)?).ok_or("its segments have no allowed length")?;
        let count = segments.count(size);
        if size <= CHUNK_LEN_MAX as u64 || count > SEGMENTS_MAX {
            return Err("no recipe is written for a file of that size");
        }
        let parts = match count {
            1 => Parts::One(Arc::new(Segment::read_body(&mut reader, 0..size, size)?)),
            count => Parts::Many(read_rows(&mut reader, count as usize)?),
        };
        if reader.remaining() > 0 {
            return Err("something follows it");
        }
        let root = match &parts {
            Parts::One(segment) => hash_tree::root(&segment.blocks, BLOCK_LEN, size),
            Parts::Many(rows) => root_of(rows, segments.len, size),
        };
        (root == *file)
            .then_some(Self {
                file: *file,
                size,
                segments,
                parts,
            })
            .ok_or("its values do not merge to the file's id")
    }
}

fn segments_of(log2: u8) -> Option<Segments> {
    let allowed = BLOCK_LEN.trailing_zeros()..=SEGMENT_LEN.trailing_zeros();
    allowed.contains(&log2.into()).then(|| Segments {
        len: 1 << log2,
        count_max: SEGMENTS_MAX,
    })
}

fn root_of(rows: &[SegmentAt], segment_len: u64, size: u64) -> FileId {
    let values: Vec<Value> = rows.iter().map(|row| row.value).collect();
    hash_tree::root(&values, segment_len, size)
}

fn write_rows(rows: &[SegmentAt], out: &mut Vec<u8>) {
    let mut packs: Vec<PackId> = rows.iter().map(|row| row.at.pack).collect();
    packs.sort_unstable();
    packs.dedup();
    out.extend_from_slice(&(packs.len() as u32).to_le_bytes());
    packs.iter().for_each(|pack| out.extend_from_slice(pack.as_bytes()));
    for SegmentAt { value, id, at } in rows {
        let pack = packs.binary_search(&at.pack).expect("every pack was collected above") as u32;
        out.extend_from_slice(value);
        out.extend_from_slice(id);
        for number in [pack, at.offset, at.stored] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

fn read_rows(reader: &mut BytesReader<'_>, count: usize) -> Result<Vec<SegmentAt>, &'static str> {
    let short = "it is cut short";
    let pack_count = reader.u32().ok_or(short)? as usize;
    let packs = reader.rows::<32>(pack_count).ok_or(short)?;
    let rows = reader.rows::<ROW_LEN>(count).ok_or(short)?;
    let rows: Option<Vec<SegmentAt>> = rows.iter().map(|row| segment_of(row, packs)).collect();
    rows.ok_or("a segment of it is of no pack")
}

fn segment_of(row: &[u8; ROW_LEN], packs: &[[u8; 32]]) -> Option<SegmentAt> {
    let mut reader = BytesReader::new(row);
    let (value, id) = (reader.array()?, reader.array()?);
    let (pack, offset, stored) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let at = RecordAt {
        pack: PackId::from_bytes(*packs.get(pack as usize)?),
        kind: Kind::Segment,
        offset,
        stored,
        len: stored,
    };
    Some(SegmentAt { value, id, at })
}
