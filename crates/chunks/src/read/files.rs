//! Whole files, ranges of files and many files by their ids: what the floors above read with.
//! `records`, `chunked` and `blob` do it, each for its kind of content.
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
    keys::blob_key,
    read::{
        content::Content,
        plan::{self, Wanted},
        store::ChunkStore,
    },
    task,
};

impl ChunkStore {
    /// The content from its beginning to its end, in pieces that are verified before they come. It is whole when the stream ends well.
    pub fn stream(&self, file: &File, at: &Location) -> BoxStream<'static, Result<Bytes>> {
        let (store, file, at) = (self.clone(), file.clone(), *at);
        stream::once(async move {
            Ok::<_, Error>(match store.content(&file, &at).await? {
                Content::Empty => stream::empty().boxed(),
                Content::Chunk(_) => stream::once(async move { store.read(&file, &at).await }).boxed(),
                Content::Recipe(recipe) => store.chunked_stream(recipe),
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
                let pieces: Vec<Bytes> = self.clone().chunked_stream(recipe).try_collect().await?;
                match <[Bytes; 1]>::try_from(pieces) {
                    Ok([piece]) => Ok(piece),
                    Err(pieces) => task::blocking("join pieces", move || Ok(pieces.concat().into())).await,
                }
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
            Content::Recipe(recipe) => self.chunked_ranges(&recipe, ranges).await,
            Content::Blob => self.blob_ranges(file, ranges).await,
        }
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
