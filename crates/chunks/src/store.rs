//! `ChunkStore`: content by its id. Reads here, verified; writes through a `ContentWriter`.
//! Above, `repo` keeps ids and locations in trees; below, `fetch`, `plan` and `index` find the bytes.
//! Invariant: a read returns the bytes whose hash was asked for, or an error.

use std::{ops::Range, path::PathBuf, sync::Arc};

use bytes::Bytes;
use drumlin_model::{ChunkId, File, FileId, Location};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    blob::{blob_key, missing, not_its_hash},
    bucket::Bucket,
    error::{Error, Result},
    fetch::{Content, wrong_size},
    index::Index,
    outboard::Outboard,
    plan::{self, Wanted},
    recent::Recent,
    recipe::{Recipe, RecipeChunk},
    task,
    writer::ContentWriter,
};

/// Reads of packs, or of longer files, at once in `read_many`.
const READS: usize = 4;
/// Kept chunk lists: enough for 20 GB of files.
const RECIPE_BYTES_MAX: usize = 32 << 20;
/// Kept outboards: enough for 32 GB of blobs.
const OUTBOARD_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug)]
pub struct ChunkStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    index: Index,
    /// So that reading a long file piece by piece fetches its chunk list once.
    recipes: Recent<Recipe>,
    outboards: Recent<Outboard>,
}

impl ChunkStore {
    /// `cache` is a local folder for what the index fetches; it may be shared by the processes of one clone.
    pub fn new(bucket: Bucket, cache: Option<PathBuf>) -> Self {
        let index = Index::new(bucket.clone(), cache);
        Self {
            inner: Arc::new(Inner {
                bucket,
                index,
                recipes: Recent::new(RECIPE_BYTES_MAX),
                outboards: Recent::new(OUTBOARD_BYTES_MAX),
            }),
        }
    }

    pub fn bucket(&self) -> &Bucket {
        &self.inner.bucket
    }

    pub(crate) fn index(&self) -> &Index {
        &self.inner.index
    }

    pub(crate) fn recipes(&self) -> &Recent<Recipe> {
        &self.inner.recipes
    }

    pub(crate) fn outboards(&self) -> &Recent<Outboard> {
        &self.inner.outboards
    }

    /// A new writer. Has to be called within a tokio runtime, which the writer then uploads on.
    pub fn writer(&self) -> ContentWriter {
        ContentWriter::new(self.clone())
    }

    /// The whole content. It has to fit into memory; `stream` is for what does not.
    pub async fn read(&self, file: &File, at: &Location) -> Result<Bytes> {
        match self.content(file, at).await? {
            Content::Empty => Ok(Bytes::new()),
            Content::Chunk(at) => self.chunk(&ChunkId::from_bytes(*file.id.as_bytes()), at).await,
            Content::Recipe(recipe) => {
                let chunks = self.chunks(&recipe.chunks).await?;
                let joined = task::blocking("join chunks", move || Ok(Bytes::from(chunks.concat()))).await?;
                self.whole(file, joined).await
            }
            Content::Blob => {
                let bytes = self
                    .bucket()
                    .get(&blob_key(&file.id))
                    .await
                    .map_err(|error| missing(error, file.id))?;
                self.whole(file, bytes).await
            }
        }
    }

    async fn whole(&self, file: &File, bytes: Bytes) -> Result<Bytes> {
        let file = file.clone();
        task::blocking("verify content", move || {
            if bytes.len() as u64 != file.size {
                return Err(wrong_size(&file, bytes.len() as u64));
            }
            if FileId::of(&bytes) != file.id {
                return Err(not_its_hash(&file.id));
            }
            Ok(bytes)
        })
        .await
    }

    /// Some ranges of the content, each of which has to lie within it.
    pub async fn read_ranges(&self, file: &File, at: &Location, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        for range in ranges {
            if range.start > range.end || range.end > file.size {
                return Err(Error::Range {
                    range: range.clone(),
                    size: file.size,
                });
            }
        }
        match self.content(file, at).await? {
            Content::Empty => Ok(vec![Bytes::new(); ranges.len()]),
            Content::Chunk(_) => {
                let content = self.read(file, at).await?;
                Ok(ranges
                    .iter()
                    .map(|range| content.slice(range.start as usize..range.end as usize))
                    .collect())
            }
            Content::Recipe(recipe) => self.recipe_ranges(&recipe.chunks, ranges).await,
            Content::Blob => self.blob_ranges(file, ranges).await,
        }
    }

    async fn recipe_ranges(&self, chunks: &[RecipeChunk], ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // Where each chunk begins, and last the size.
        let mut starts = Vec::with_capacity(chunks.len() + 1);
        starts.push(0);
        chunks
            .iter()
            .for_each(|chunk| starts.push(starts[starts.len() - 1] + u64::from(chunk.at.len)));
        let touched = |range: &Range<u64>| {
            let first = starts.partition_point(|&start| start <= range.start).saturating_sub(1);
            let end = starts[..chunks.len()].partition_point(|&start| start < range.end);
            if range.is_empty() { 0..0 } else { first..end }
        };
        let mut numbers: Vec<usize> = ranges.iter().flat_map(&touched).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let needed: Vec<RecipeChunk> = numbers.iter().map(|&number| chunks[number]).collect();
        let contents = self.chunks(&needed).await?;
        let piece = |range: &Range<u64>, number: usize| {
            let content = &contents[numbers.binary_search(&number).expect("every touched chunk was read")];
            let from = range.start.saturating_sub(starts[number]) as usize;
            let to = (range.end - starts[number]).min(content.len() as u64) as usize;
            content.slice(from..to)
        };
        let assemble = |range: &Range<u64>| {
            let pieces: Vec<Bytes> = touched(range).map(|number| piece(range, number)).collect();
            if pieces.len() == 1 {
                pieces[0].clone()
            } else {
                Bytes::from(pieces.concat())
            }
        };
        Ok(ranges.iter().map(assemble).collect())
    }

    /// The whole contents of many files, each with its number in `files`, in the order that packs hold them.
    /// Small files that are neighbors in a pack come with one request.
    pub fn read_many(&self, files: Vec<(File, Location)>) -> BoxStream<'static, Result<(usize, Bytes)>> {
        let store = self.clone();
        stream::once(async move { store.plan_many(files).await })
            .map_ok(|(runs, others, store)| {
                let single = store.clone();
                let runs = stream::iter(runs)
                    .map(move |run| {
                        let store = store.clone();
                        async move { store.run(run).await }
                    })
                    .buffer_unordered(READS)
                    .map_ok(|chunks| stream::iter(chunks.into_iter().map(Ok)))
                    .try_flatten();
                let others = stream::iter(others)
                    .map(move |(number, file, at)| {
                        let store = single.clone();
                        async move { Ok((number, store.read(&file, &at).await?)) }
                    })
                    .buffer_unordered(READS);
                runs.chain(others)
            })
            .try_flatten()
            .boxed()
    }

    /// What can be read together, and what has to be read file by file.
    async fn plan_many(self, files: Vec<(File, Location)>) -> Result<Plan> {
        let (mut small, mut others) = (Vec::new(), Vec::new());
        for (number, (file, at)) in files.into_iter().enumerate() {
            let chunk_at = match at {
                Location::Chunk { .. } => true,
                Location::Unknown => file.size > 0,
                Location::Recipe { .. } | Location::Blob => false,
            };
            if chunk_at && let Content::Chunk(at) = self.content(&file, &at).await? {
                small.push(Wanted {
                    number,
                    id: ChunkId::from_bytes(*file.id.as_bytes()),
                    at,
                });
            } else {
                others.push((number, file, at));
            }
        }
        Ok((plan::runs(small), others, self))
    }
}

type Plan = (Vec<plan::Run>, Vec<(usize, File, Location)>, ChunkStore);
