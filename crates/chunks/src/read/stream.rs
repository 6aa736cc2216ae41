//! Long content, window by window: verified, in order, in bounded memory.
//! `store` offers it. Invariant: the stream ends well only if all bytes together have the file's hash.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use drumlin_model::FileId;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, Result},
    format::recipe::{Recipe, RecipeChunk},
    read::{
        fetch,
        plan::{self, RUN_LEN_MAX},
        store::ChunkStore,
    },
};

impl ChunkStore {
    pub(crate) fn recipe_stream(self, recipe: Arc<Recipe>) -> BoxStream<'static, Result<Bytes>> {
        let (windows, ahead) = (windows(&recipe.chunks), self.bucket().limits().windows);
        let fetched = stream::iter(windows).map(move |window| {
            let (store, recipe) = (self.clone(), recipe.clone());
            async move { store.chunks(&recipe.chunks[window]).await }
        });
        fetched
            .buffered(ahead)
            .map_ok(|chunks| stream::iter(chunks.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// The contents of some chunks, in order.
    pub(crate) async fn chunks(&self, chunks: &[RecipeChunk]) -> Result<Vec<Bytes>> {
        let runs = plan::runs(fetch::wanted(chunks));
        let mut fetched = stream::iter(runs)
            .map(|run| self.run(run))
            .buffer_unordered(self.bucket().limits().reads);
        let mut contents = vec![Bytes::new(); chunks.len()];
        while let Some(run) = fetched.try_next().await? {
            run.into_iter().for_each(|(number, content)| contents[number] = content);
        }
        Ok(contents)
    }
}

/// Runs of neighboring chunks whose contents are not longer than one read.
fn windows(chunks: &[RecipeChunk]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let (mut start, mut len) = (0, 0);
    for (number, chunk) in chunks.iter().enumerate() {
        if len + u64::from(chunk.at.len) > RUN_LEN_MAX {
            windows.push(start..number);
            (start, len) = (number, 0);
        }
        len += u64::from(chunk.at.len);
    }
    windows.push(start..chunks.len());
    windows
}

/// Passes pieces on, and ends with an error where together they do not have the hash.
pub(crate) fn verify(id: FileId, pieces: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    let start = Some((pieces, blake3::Hasher::new()));
    stream::try_unfold(start, move |state| async move {
        let Some((mut pieces, mut hasher)) = state else {
            return Ok(None);
        };
        match pieces.try_next().await? {
            Some(piece) => {
                hasher.update(&piece);
                Ok(Some((piece, Some((pieces, hasher)))))
            }
            None if FileId::from(hasher.finalize()) == id => Ok(None),
            None => Err(Error::not_its_hash(&id)),
        }
    })
    .boxed()
}
