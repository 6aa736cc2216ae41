//! `FileBuilder`: one file's bytes in, its chunks, segments and recipe out. Works on threads that may block: cuts, then hashes and
//! compresses chunks on all cores while another thread hashes the file.
//! `writer` owns the packs that the records go to. Invariants: a file's id is the hash of the very bytes that were cut; whatever the
//! length of the file, what is in memory is a block of content, a segment, and a row for each segment before.

use std::{ops::Range, sync::Arc};

use drumlin_model::ChunkId;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{
    error::{Error, Result},
    format::{
        cutter::{self, CHUNK_LEN_MAX},
        hash_tree::{BLOCK_LEN, BlockHasher, Value},
        recipe::{Recipe, SegmentAt, Segments},
        record::{self, Kind, RecordAt},
        segment::{self, ChunkAt, Segment},
    },
    write::packs::{Added, NewRecord, Packs},
};

/// How much is cut, hashed and compressed together.
pub(crate) const BATCH_LEN: usize = 4 << 20;

pub(crate) struct FileBuilder {
    packs: Arc<Packs>,
    divided: Segments,
    /// What is not cut yet.
    rest: Vec<u8>,
    hasher: BlockHasher,
    /// How many bytes are cut.
    size: u64,
    /// The chunks from the segment that is being filled on, and where the first of them begins.
    chunks: Vec<ChunkAt>,
    chunks_start: u64,
    /// The segments that are stored.
    segments: Vec<SegmentAt>,
}

/// A chunk that is stored already, or its record to store.
enum Sealed {
    Known(RecordAt),
    New(Vec<u8>),
}

impl FileBuilder {
    pub(crate) fn new(packs: Arc<Packs>, divided: Segments) -> Self {
        Self {
            packs,
            divided,
            rest: Vec::new(),
            hasher: BlockHasher::default(),
            size: 0,
            chunks: Vec::new(),
            chunks_start: 0,
            segments: Vec::new(),
        }
    }

    /// An empty builder for the same packs: it holds this one's place while this one works on another thread.
    pub(crate) fn placeholder(&self) -> Self {
        Self::new(self.packs.clone(), self.divided)
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
        self.packs.ask_if_due(end)?;
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
            self.chunks.push(ChunkAt { id, at });
        }
        self.size += end as u64;
        self.rest.drain(..end);
        self.store_full_segments()
    }

    /// Stores the segments that are complete. One that may be the last waits, because a file of a single one has it in its recipe.
    fn store_full_segments(&mut self) -> Result<()> {
        let blocks = (self.divided.len / BLOCK_LEN) as usize;
        while self.size > (self.segments.len() as u64 + 1) * self.divided.len {
            if self.segments.len() as u64 + 1 >= self.divided.count_max {
                return Err(Error::FileTooLong {
                    len_max: self.divided.file_len_max(),
                });
            }
            let values = self.hasher.take(blocks);
            let segment = self.take_segment(values);
            self.store_segment(&segment)?;
        }
        Ok(())
    }

    /// The segment that is being filled, of these blocks. A chunk that goes on after it stays for the next one.
    fn take_segment(&mut self, blocks: Vec<Value>) -> Segment {
        let range = self.divided.range(self.segments.len() as u64, self.size);
        let before = (range.start - self.chunks_start) as u32;
        let (mut end, mut count) = (self.chunks_start, 0);
        while end < range.end {
            end += u64::from(self.chunks[count].at.len);
            count += 1;
        }
        let chunks = self.chunks[..count].to_vec();
        let over = end > range.end;
        self.chunks_start = end;
        if over {
            count -= 1;
            self.chunks_start -= u64::from(self.chunks[count].at.len);
        }
        self.chunks.drain(..count);
        Segment {
            range,
            chunks,
            before,
            blocks,
        }
    }

    fn store_segment(&mut self, segment: &Segment) -> Result<()> {
        let record = segment.to_record();
        let id = segment::id_of(&record);
        let at = self.store(&id, Kind::Segment, &record)?;
        let value = segment.value();
        self.segments.push(SegmentAt { value, id, at });
        Ok(())
    }

    /// Stores a recipe or a segment, unless it is known.
    fn store(&self, id: &[u8; 32], kind: Kind, record: &[u8]) -> Result<RecordAt> {
        let arrivals = self.packs.arrivals();
        if let Some(at) = self.packs.find(id) {
            return Ok(at);
        }
        self.packs.push_blocking(&NewRecord {
            id,
            kind,
            len: record.len() as u32,
            record,
            arrivals,
        })
    }

    pub(crate) fn finish(mut self) -> Result<Added> {
        if self.size == 0 && self.rest.len() <= CHUNK_LEN_MAX {
            return self.packs.add_small_blocking(&self.rest);
        }
        self.store_cut(true)?;
        let blocks = std::mem::take(&mut self.hasher).finish();
        let segment = self.take_segment(blocks);
        let recipe = if self.segments.is_empty() {
            Recipe::of_one(segment, self.divided)
        } else {
            self.store_segment(&segment)?;
            Recipe::of_many(std::mem::take(&mut self.segments), self.size, self.divided)
        };
        self.packs.accept(self.size)?;
        let at = self.store(recipe.file.as_bytes(), Kind::Recipe, &recipe.to_record())?;
        Ok((recipe.file, self.size, at.location()))
    }
}
