//! `FileBuilder`: one file's bytes in, its chunks and chunk list out. Works on threads that may block: cuts, then hashes and
//! compresses chunks on all cores while another thread hashes the file.
//! `writer` owns the packs that the chunks go to. Invariant: a file's id is the hash of the very bytes that were cut.

use std::{ops::Range, sync::Arc};

use drumlin_model::{ChunkId, FileId};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    error::Result,
    format::{
        cutter::{self, CHUNK_LEN_MAX},
        recipe::{Recipe, RecipeChunk},
        record::{self, Kind, RecordAt},
    },
    write::packs::{Added, NewRecord, Packs},
};

/// How much is cut, hashed and compressed together.
pub(crate) const BLOCK_LEN: usize = 4 << 20;

pub(crate) struct FileBuilder {
    packs: Arc<Packs>,
    /// What is not cut yet.
    rest: Vec<u8>,
    hasher: blake3::Hasher,
    size: u64,
    chunks: Vec<RecipeChunk>,
}

/// A chunk that is stored already, or its record to store.
enum Sealed {
    Known(RecordAt),
    New(Vec<u8>),
}

impl FileBuilder {
    pub(crate) fn new(packs: Arc<Packs>) -> Self {
        Self {
            packs,
            rest: Vec::new(),
            hasher: blake3::Hasher::new(),
            size: 0,
            chunks: Vec::new(),
        }
    }

    /// Another for the same packs, to stand in while this one is away on another thread.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.packs.clone())
    }

    /// How many bytes wait to be cut.
    pub(crate) fn waiting(&self) -> usize {
        self.rest.len()
    }

    /// Takes bytes and does no work.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Cuts what can be cut, and stores it. What is left waits for what follows.
    pub(crate) fn store_waiting(&mut self) -> Result<()> {
        // A file that may yet be one chunk is not cut.
        if self.size == 0 && self.rest.len() <= CHUNK_LEN_MAX {
            Ok(())
        } else {
            self.store_cut(false)
        }
    }

    fn store_cut(&mut self, last: bool) -> Result<()> {
        let ranges = cutter::cut(&self.rest, last);
        let end = ranges.last().map_or(0, |range| range.end);
        self.packs.expect(end)?;
        let arrivals = self.packs.arrivals();
        let (bytes, hasher, packs) = (&self.rest[..end], &mut self.hasher, &self.packs);
        let seal = |range: &Range<usize>| {
            let content = &bytes[range.clone()];
            let id = ChunkId::of(content);
            let sealed = packs
                .find(id.as_bytes())
                .map_or_else(|| Sealed::New(record::seal(content)), Sealed::Known);
            (id, content.len() as u32, sealed)
        };
        let (_, sealed) = rayon::join(
            || hasher.update(bytes),
            || ranges.par_iter().map(seal).collect::<Vec<(ChunkId, u32, Sealed)>>(),
        );
        for (id, len, sealed) in sealed {
            let at = match sealed {
                Sealed::Known(at) => at,
                Sealed::New(record) => {
                    let new = NewRecord {
                        id: id.as_bytes(),
                        kind: Kind::Chunk,
                        len,
                        record: &record,
                        arrivals,
                    };
                    self.packs.push_blocking(&new)?
                }
            };
            self.chunks.push(RecipeChunk { id, at });
        }
        self.size += end as u64;
        self.rest.drain(..end);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Added> {
        if self.size == 0 && self.rest.len() <= CHUNK_LEN_MAX {
            return self.packs.add_small_blocking(&self.rest);
        }
        self.store_cut(true)?;
        let file = FileId::from(self.hasher.finalize());
        self.packs.accept(self.size)?;
        let arrivals = self.packs.arrivals();
        if let Some(at) = self.packs.find(file.as_bytes()) {
            return Ok((file, self.size, at.location()));
        }
        let recipe = Recipe {
            file,
            size: self.size,
            chunks: self.chunks,
        };
        let record = &recipe.to_record();
        let new = NewRecord {
            id: file.as_bytes(),
            kind: Kind::Recipe,
            len: record.len() as u32,
            record,
            arrivals,
        };
        Ok((file, recipe.size, self.packs.push_blocking(&new)?.location()))
    }
}
