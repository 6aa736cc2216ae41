//! Reads of blobs: ranges and streams, each block verified by the blob's outboard.
//! `files` reads with it, `check` has it verify whole blobs. Invariant: no byte of a blob leaves here that is not in a block with the right hash.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use drumlin_model::File;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, Result},
    format::{
        hash_tree::{BLOCK_LEN, BlockHasher},
        outboard::Outboard,
    },
    keys::{blob_key, outboard_key},
    read::{blocks, plan::RUN_LEN_MAX, store::ChunkStore},
    task,
};

impl ChunkStore {
    /// Some ranges of a blob, each of which lies within it: the blocks that they touch are fetched, once each, and verified.
    pub(crate) async fn blob_ranges(&self, file: &File, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let runs = blocks::runs(ranges, file.size);
        if runs.is_empty() {
            return Ok(vec![Bytes::new(); ranges.len()]);
        }
        let outboard = self.outboard(file).await?;
        let read = self.exact_ranges(&blob_key(&file.id), &runs).await;
        let read = read.map_err(|error| error.or_missing(file.id))?;
        let id = file.id;
        let (runs, read) = task::blocking("verify a range", move || {
            let mut met = runs.iter().zip(&read);
            match met.find_map(|(run, bytes)| outboard.wrong_block(run.start / BLOCK_LEN, bytes)) {
                None => Ok((runs, read)),
                Some(block) => Err(Error::wrong_block(&id, block * BLOCK_LEN)),
            }
        })
        .await?;
        Ok(blocks::slices(ranges, &runs, &read))
    }

    /// The blob from its beginning to its end, each piece verified.
    pub(crate) fn blob_stream(self, file: File) -> BoxStream<'static, Result<Bytes>> {
        let windows = self.bucket().limits().windows;
        let parts = stream::iter(blocks::windows(file.size, RUN_LEN_MAX)).map(move |range| {
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
        self.outboards().insert(file.id, outboard.clone(), outboard.memory());
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
        let mut hasher = BlockHasher::default();
        while let Some(piece) = pieces.try_next().await? {
            hasher = task::blocking("hash a blob", move || {
                hasher.update(&piece);
                Ok(hasher)
            })
            .await?;
        }
        match Outboard::of_hashed(hasher) {
            (id, outboard) if id == file.id => Ok(outboard),
            _ => Err(Error::not_its_hash(&file.id)),
        }
    }

    /// The bytes as they are.
    fn blob_pieces(self, file: File) -> BoxStream<'static, Result<Bytes>> {
        let key: Arc<str> = blob_key(&file.id).into();
        let windows = self.bucket().limits().windows;
        let parts = stream::iter(blocks::windows(file.size, RUN_LEN_MAX)).map(move |range| {
            let (store, key, id) = (self.clone(), key.clone(), file.id);
            async move {
                let read = store.exact_bytes(&key, range).await;
                read.map_err(|error| error.or_missing(id))
            }
        });
        parts.buffered(windows).boxed()
    }
}
