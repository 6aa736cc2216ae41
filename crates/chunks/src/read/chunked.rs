//! Reads of files that are cut into chunks: runs of blocks, and the whole file window by window in bounded memory.
//! `files` offers them; `content` gives the recipe and its segments, `records` the chunks.
//! Invariant: no byte leaves here that is not in a block whose value merges to the file's id. That a chunk has its own hash is not
//! enough: a recipe might name the wrong chunk.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, Result},
    format::{
        hash_tree::{self, BLOCK_LEN, Value},
        recipe::Recipe,
        segment::{ChunkAt, Segment},
    },
    read::{blocks, plan::RUN_LEN_MAX, store::ChunkStore},
    task,
};

/// How much of a long file is read at once, in bytes: whole blocks, and with a chunk more on either side still one run.
const WINDOW_LEN: u64 = RUN_LEN_MAX - 4 * BLOCK_LEN;

impl ChunkStore {
    /// Some ranges of the file, each of which lies within it.
    pub(crate) async fn chunked_ranges(&self, recipe: &Recipe, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let runs = blocks::runs(ranges, recipe.size);
        let read = self.chunked_runs(recipe, runs.clone()).await?;
        Ok(blocks::slices(ranges, &runs, &read))
    }

    /// The file from its beginning to its end, each piece verified.
    pub(crate) fn chunked_stream(self, recipe: Arc<Recipe>) -> BoxStream<'static, Result<Bytes>> {
        let ahead = self.bucket().limits().windows;
        let windows = stream::iter(blocks::windows(recipe.size, WINDOW_LEN)).map(move |window| {
            let (store, recipe) = (self.clone(), recipe.clone());
            async move {
                let mut read = store.chunked_runs(&recipe, vec![window]).await?;
                Ok(read.pop().expect("one for one"))
            }
        });
        windows.buffered(ahead).boxed()
    }

    /// The bytes of runs of whole blocks.
    async fn chunked_runs(&self, recipe: &Recipe, runs: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let segments = self.segments_of(recipe, &runs).await?;
        let mut needed: BTreeMap<u64, ChunkAt> = BTreeMap::new();
        for run in &runs {
            for segment in segments.values() {
                let within = run.start.max(segment.range.start)..run.end.min(segment.range.end);
                if !within.is_empty() {
                    needed.extend(segment.chunks_in(within));
                }
            }
        }
        let (starts, chunks): (Vec<u64>, Vec<ChunkAt>) = needed.into_iter().unzip();
        let contents = self.chunks(&chunks).await?;
        let (file, segment_len) = (recipe.file, recipe.segments.len);
        task::blocking("verify a range", move || {
            let value = |block: u64| block_value(&segments, segment_len, block);
            let verified = runs.iter().map(|run| {
                let bytes = joined(run, &starts, &contents);
                let first = run.start / BLOCK_LEN;
                match hash_tree::wrong_block(first, &bytes, value) {
                    None if bytes.len() as u64 == run.end - run.start => Ok(bytes),
                    wrong => Err(Error::wrong_block(&file, wrong.unwrap_or(first) * BLOCK_LEN)),
                }
            });
            verified.collect()
        })
        .await
    }

    /// The segments that the runs meet, by number.
    async fn segments_of(&self, recipe: &Recipe, runs: &[Range<u64>]) -> Result<BTreeMap<u64, Arc<Segment>>> {
        let len = recipe.segments.len;
        let mut numbers: Vec<u64> = runs
            .iter()
            .flat_map(|run| run.start / len..run.end.div_ceil(len))
            .collect();
        numbers.dedup();
        let segment = |number| async move { Ok((number, self.segment(recipe, number).await?)) };
        let reads = self.bucket().limits().reads;
        stream::iter(numbers).map(segment).buffered(reads).try_collect().await
    }
}

/// What a block of the file should have for a value.
fn block_value(segments: &BTreeMap<u64, Arc<Segment>>, segment_len: u64, block: u64) -> Option<Value> {
    let blocks = segment_len / BLOCK_LEN;
    let segment = segments.get(&(block / blocks))?;
    segment.blocks.get((block % blocks) as usize).copied()
}

/// The bytes of a run, from the chunks that meet it: contents, and where each begins in the file.
fn joined(run: &Range<u64>, starts: &[u64], contents: &[Bytes]) -> Bytes {
    let first = starts.partition_point(|start| *start <= run.start).saturating_sub(1);
    let met = starts[first..].iter().zip(&contents[first..]);
    let mut pieces = met.take_while(|(start, _)| **start < run.end).map(|(start, content)| {
        let from = run.start.saturating_sub(*start).min(content.len() as u64) as usize;
        let to = (run.end - start).min(content.len() as u64) as usize;
        content.slice(from..to)
    });
    let head = pieces.next().unwrap_or_default();
    if head.len() as u64 == run.end - run.start {
        return head;
    }
    let mut bytes = BytesMut::with_capacity((run.end - run.start) as usize);
    bytes.extend_from_slice(&head);
    pieces.for_each(|piece| bytes.extend_from_slice(&piece));
    bytes.freeze()
}
