//! Whole files, ranges of files and many files by their ids: what the floors above read with.
//! `fetch`, `stream` and `blob` do it, each for its kind of content.
//! Invariant: a read returns the bytes whose hash was asked for, or an error.

use std::ops::Range;

use bytes::Bytes;
use drumlin_model::{ChunkId, File, FileId, Location};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, Result},
    format::recipe::RecipeChunk,
    keys::blob_key,
    read::{
        fetch::Content,
        plan::{self, Wanted},
        store::ChunkStore,
        stream::verify,
    },
    task,
};

impl ChunkStore {
    /// The content from its beginning to its end. Pieces come as they are verified; only the end of the stream says that all was well.
    pub fn stream(&self, file: &File, at: &Location) -> BoxStream<'static, Result<Bytes>> {
        let (store, file, at) = (self.clone(), file.clone(), *at);
        stream::once(async move {
            let id = file.id;
            Ok::<_, Error>(match store.content(&file, &at).await? {
                Content::Empty => stream::empty().boxed(),
                Content::Chunk(_) => stream::once(async move { store.read(&file, &at).await }).boxed(),
                Content::Recipe(recipe) => verify(id, store.recipe_stream(recipe)),
                Content::Blob => store.blob_stream(file),
            })
        })
        .try_flatten()
        .boxed()
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
                    .get_at_most(&blob_key(&file.id), file.size)
                    .await
                    .map_err(|error| error.or_missing(file.id))?;
                self.whole(file, bytes).await
            }
        }
    }

    async fn whole(&self, file: &File, bytes: Bytes) -> Result<Bytes> {
        let file = file.clone();
        task::blocking("verify content", move || {
            if bytes.len() as u64 != file.size {
                return Err(Error::wrong_size(&file, bytes.len() as u64));
            }
            if FileId::of(&bytes) != file.id {
                return Err(Error::not_its_hash(&file.id));
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
                let reads = store.bucket().limits().reads;
                let single = store.clone();
                let runs = stream::iter(runs)
                    .map(move |run| {
                        let store = store.clone();
                        async move { store.run(run).await }
                    })
                    .buffer_unordered(reads)
                    .map_ok(|chunks| stream::iter(chunks.into_iter().map(Ok)))
                    .try_flatten();
                let others = stream::iter(others)
                    .map(move |(number, file, at)| {
                        let store = single.clone();
                        async move { Ok((number, store.read(&file, &at).await?)) }
                    })
                    .buffer_unordered(reads);
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
