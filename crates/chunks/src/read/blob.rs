//! Reads of blobs: ranges and streams, each block verified by the blob's outboard, and what `fsck` asks of both.
//! `store` and `stream` read with it. Invariant: no byte of a blob leaves here that is not in a block with the right hash.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use drumlin_model::{File, FileId};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, Result},
    format::outboard::{BLOCK_LEN, Outboard, OutboardBuilder},
    keys::{blob_key, outboard_key},
    read::{plan::RUN_LEN_MAX, store::ChunkStore},
    task,
};

impl ChunkStore {
    /// Some ranges of a blob, each of which lies within it: the blocks that they touch are fetched, once each, and verified.
    pub(crate) async fn blob_ranges(&self, file: &File, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let blocks = touched_blocks(ranges);
        if blocks.is_empty() {
            return Ok(vec![Bytes::new(); ranges.len()]);
        }
        let outboard = self.outboard(file).await?;
        let runs: Vec<Range<u64>> = blocks
            .iter()
            .map(|run| run.start * BLOCK_LEN..(run.end * BLOCK_LEN).min(file.size))
            .collect();
        let read = self.exact_ranges(&blob_key(&file.id), &runs).await;
        let read = read.map_err(|error| error.or_missing(file.id))?;
        let read = verified(file.id, outboard, blocks, read).await?;
        let slice = |range: &Range<u64>| {
            if range.is_empty() {
                return Bytes::new();
            }
            let number = runs.partition_point(|run| run.start <= range.start) - 1;
            let start = runs[number].start;
            read[number].slice((range.start - start) as usize..(range.end - start) as usize)
        };
        Ok(ranges.iter().map(slice).collect())
    }

    /// The blob from its beginning to its end, each piece verified.
    pub(crate) fn blob_stream(self, file: File) -> BoxStream<'static, Result<Bytes>> {
        let windows = self.bucket().limits().windows;
        let parts = parts(file.size).map(move |range| {
            let (store, file) = (self.clone(), file.clone());
            async move {
                let mut read = store.blob_ranges(&file, std::slice::from_ref(&range)).await?;
                Ok(read.pop().expect("one for one"))
            }
        });
        parts.buffered(windows).boxed()
    }

    async fn outboard(&self, file: &File) -> Result<Arc<Outboard>> {
        if let Some(outboard) = self.outboards().get(&file.id) {
            return Ok(outboard);
        }
        let outboard = Arc::new(match self.stored_outboard(file).await? {
            Some(outboard) => outboard,
            None => self.outboard_of_content(file).await?,
        });
        self.outboards().put(file.id, outboard.clone(), outboard.memory());
        Ok(outboard)
    }

    /// What the bucket has, unless that is missing or damaged.
    async fn stored_outboard(&self, file: &File) -> Result<Option<Outboard>> {
        if let Some(outboard) = Outboard::of_block(&file.id, file.size) {
            return Ok(Some(outboard));
        }
        let (key, len) = (outboard_key(&file.id), Outboard::object_len(file.size));
        match self.exact_bytes(&key, 0..len).await {
            Ok(object) => Ok(Outboard::from_object(&object, &file.id, file.size)),
            Err(Error::NoObject { .. } | Error::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the whole blob; it has to have its hash.
    pub(crate) async fn outboard_of_content(&self, file: &File) -> Result<Outboard> {
        let mut pieces = self.clone().blob_pieces(file.clone());
        let mut builder = OutboardBuilder::default();
        while let Some(piece) = pieces.try_next().await? {
            builder = task::blocking("hash a blob", move || {
                builder.update(&piece);
                Ok(builder)
            })
            .await?;
        }
        match builder.finish() {
            (id, outboard) if id == file.id => Ok(outboard),
            _ => Err(Error::not_its_hash(&file.id)),
        }
    }

    /// The bytes as they are.
    fn blob_pieces(self, file: File) -> BoxStream<'static, Result<Bytes>> {
        let key: Arc<str> = blob_key(&file.id).into();
        let windows = self.bucket().limits().windows;
        let parts = parts(file.size).map(move |range| {
            let (store, key, id) = (self.clone(), key.clone(), file.id);
            async move {
                let read = store.exact_bytes(&key, range).await;
                read.map_err(|error| error.or_missing(id))
            }
        });
        parts.buffered(windows).boxed()
    }
}

/// Runs of blocks, in order and apart from each other, that together hold all ranges.
fn touched_blocks(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let asked = ranges.iter().filter(|range| !range.is_empty());
    let mut blocks: Vec<Range<u64>> = asked
        .map(|range| range.start / BLOCK_LEN..range.end.div_ceil(BLOCK_LEN))
        .collect();
    blocks.sort_unstable_by_key(|run| run.start);
    let mut runs: Vec<Range<u64>> = Vec::with_capacity(blocks.len());
    for next in blocks {
        match runs.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => runs.push(next),
        }
    }
    runs
}

/// The bytes of runs of blocks, if each block has its hash.
async fn verified(id: FileId, outboard: Arc<Outboard>, runs: Vec<Range<u64>>, read: Vec<Bytes>) -> Result<Vec<Bytes>> {
    let verify = move || {
        let wrong = runs
            .iter()
            .zip(&read)
            .find_map(|(run, bytes)| outboard.wrong_block(run.start, bytes));
        match wrong {
            None => Ok(read),
            Some(block) => Err(Error::corrupt(
                blob_key(&id),
                format!("the block at byte {} does not have its hash", block * BLOCK_LEN),
            )),
        }
    };
    task::blocking("verify a range", verify).await
}

/// The ranges of whole reads.
fn parts(size: u64) -> stream::Iter<impl Iterator<Item = Range<u64>>> {
    let starts = (0..size).step_by(RUN_LEN_MAX as usize);
    stream::iter(starts.map(move |start| start..size.min(start + RUN_LEN_MAX)))
}
