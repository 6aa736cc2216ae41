//! `Recipe`: the chunks that a file of more than one chunk consists of, in order. Stored as a record of a pack, named by the file's id.
//! `file_builder` makes them, `fetch` reads them. Where a chunk lies is a hint, as everywhere.
//! Invariant: the lengths add up to the file's size, and the record ends with its own hash.

use drumlin_model::{ChunkId, FileId, PackId};

use crate::{
    error::{Error, Result},
    format::{
        bytes_reader::BytesReader,
        cutter::CHUNK_LEN_MAX,
        record::{self, Kind, RecordAt},
    },
};

const FORMAT: u8 = 1;
const CHUNK_ROW_LEN: usize = 32 + 4 * 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub file: FileId,
    pub size: u64,
    pub chunks: Vec<RecipeChunk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecipeChunk {
    pub id: ChunkId,
    pub at: RecordAt,
}

impl Recipe {
    pub(crate) fn to_record(&self) -> Vec<u8> {
        let mut packs: Vec<PackId> = self.chunks.iter().map(|chunk| chunk.at.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        let mut out = Vec::with_capacity(90 + packs.len() * 32 + self.chunks.len() * CHUNK_ROW_LEN);
        out.extend_from_slice(&[record::RECIPE, FORMAT]);
        out.extend_from_slice(self.file.as_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&(packs.len() as u32).to_le_bytes());
        packs.iter().for_each(|pack| out.extend_from_slice(pack.as_bytes()));
        out.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
        for RecipeChunk { id, at } in &self.chunks {
            let pack = packs.binary_search(&at.pack).expect("every pack was collected above") as u32;
            out.extend_from_slice(id.as_bytes());
            for number in [at.len, pack, at.offset, at.stored] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let checksum = blake3::hash(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// What it takes in memory.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.chunks.len() * std::mem::size_of::<RecipeChunk>()
    }

    /// Reads a record back; it has to be the recipe of `file`.
    pub(crate) fn from_record(stored: &[u8], file: &FileId) -> Result<Self> {
        Self::parse(stored, file).map_err(|detail| Error::corrupt(format!("the chunk list of {file}"), detail))
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
            return Err("it is the list of another file");
        }
        let size = reader.u64().ok_or(short)?;
        let pack_count = reader.u32().ok_or(short)? as usize;
        let (packs, _) = reader.rows::<32>(pack_count).ok_or(short)?;
        let chunk_count = reader.u32().ok_or(short)? as usize;
        let (rows, rest) = reader.rows::<CHUNK_ROW_LEN>(chunk_count).ok_or(short)?;
        if !rest.is_empty() {
            return Err("something follows it");
        }
        let chunks: Option<Vec<RecipeChunk>> = rows.iter().map(|row| chunk_of(row, packs)).collect();
        let chunks = chunks.ok_or("a chunk of it is of no pack, or too long")?;
        if chunks.iter().map(|chunk| u64::from(chunk.at.len)).sum::<u64>() != size {
            return Err("its lengths do not add up");
        }
        Ok(Self {
            file: *file,
            size,
            chunks,
        })
    }
}

fn chunk_of(row: &[u8; CHUNK_ROW_LEN], packs: &[[u8; 32]]) -> Option<RecipeChunk> {
    let mut reader = BytesReader::new(row);
    let id = ChunkId::from_bytes(reader.array()?);
    let (len, pack, offset, stored) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let pack = PackId::from_bytes(*packs.get(pack as usize)?);
    let fits = (1..=CHUNK_LEN_MAX as u32).contains(&len);
    fits.then_some(RecipeChunk {
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
