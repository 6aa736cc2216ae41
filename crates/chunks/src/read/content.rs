//! What a file consists of, by its location or by the index: nothing, one chunk, a recipe with its segments, or a blob.
//! `files` asks, then reads with `chunked` or `blob`.
//! Invariant: a recipe or segment that leaves here merges to the id that was asked for.

use std::sync::Arc;

use bytes::Bytes;
use drumlin_model::{File, FileId, Location};

use crate::{
    error::{Error, Result},
    format::{
        recipe::{Parts, Recipe},
        record::{Kind, RecordAt},
        segment::{self, Segment},
    },
    keys::blob_key,
    read::store::ChunkStore,
};

/// What a file consists of.
pub(crate) enum Content {
    Empty,
    Chunk(RecordAt),
    Recipe(Arc<Recipe>),
    Blob,
}

impl ChunkStore {
    /// What the file consists of, by its location, or by the index where that says nothing.
    pub(crate) async fn content(&self, file: &File, at: &Location) -> Result<Content> {
        if file.size == 0 {
            let empty = file.id == FileId::of(b"");
            return if empty {
                Ok(Content::Empty)
            } else {
                Err(Error::wrong_size(file, 0))
            };
        }
        let (kind, pack, offset, stored) = match *at {
            Location::Blob => return Ok(Content::Blob),
            Location::Unknown => return self.content_by_index(file).await,
            Location::Chunk { pack, offset, stored } => (Kind::Chunk, pack, offset, stored),
            Location::Recipe { pack, offset, stored } => (Kind::Recipe, pack, offset, stored),
        };
        let len = if kind == Kind::Chunk {
            u32::try_from(file.size).ok()
        } else {
            Some(stored)
        };
        match (u32::try_from(offset), len) {
            (Ok(offset), Some(len)) => {
                self.content_at(
                    file,
                    RecordAt {
                        pack,
                        kind,
                        offset,
                        stored,
                        len,
                    },
                )
                .await
            }
            _ => self.content_by_index(file).await,
        }
    }

    async fn content_by_index(&self, file: &File) -> Result<Content> {
        match self.index().locate(file.id.as_bytes(), None).await? {
            Some(at) => self.content_at(file, at).await,
            None if self.bucket().head(&blob_key(&file.id)).await?.is_some() => Ok(Content::Blob),
            None => Err(Error::Missing { id: file.id }),
        }
    }

    async fn content_at(&self, file: &File, at: RecordAt) -> Result<Content> {
        match at.kind {
            Kind::Chunk if u64::from(at.len) == file.size => Ok(Content::Chunk(at)),
            Kind::Chunk => Err(Error::wrong_size(file, at.len.into())),
            Kind::Recipe => self.recipe(file, at).await.map(Content::Recipe),
            Kind::Segment => Err(Error::corrupt(
                format!("the content {}", file.id),
                "a part of a recipe is said to be all of it",
            )),
        }
    }

    async fn recipe(&self, file: &File, at: RecordAt) -> Result<Arc<Recipe>> {
        if let Some(recipe) = self.recipes().get(&file.id) {
            return Ok(recipe);
        }
        let open = |record: Bytes| Recipe::from_record(&record, &file.id);
        let recipe = Arc::new(self.verified(file.id.as_bytes(), at, open).await?);
        if recipe.size != file.size {
            return Err(Error::wrong_size(file, recipe.size));
        }
        self.recipes().insert(file.id, recipe.clone(), recipe.memory());
        Ok(recipe)
    }

    /// A segment of a chunked file by its number, verified by the recipe's value.
    pub(crate) async fn segment(&self, recipe: &Recipe, number: u64) -> Result<Arc<Segment>> {
        let row = match &recipe.parts {
            Parts::One(segment) => return Ok(segment.clone()),
            Parts::Many(rows) => rows[number as usize],
        };
        let key = (recipe.file, number);
        if let Some(segment) = self.segments().get(&key) {
            return Ok(segment);
        }
        let range = recipe.segments.range(number, recipe.size);
        let open = |record: Bytes| {
            segment::check(&record, &row.id)?;
            let read = Segment::from_record(&record, range.clone(), recipe.size).and_then(|segment| {
                let fits = segment.value() == row.value;
                fits.then_some(segment).ok_or("it is of another content")
            });
            read.map_err(|detail| Error::corrupt(format!("segment {number} of the content {}", recipe.file), detail))
        };
        let segment = Arc::new(self.verified(&row.id, row.at, open).await?);
        self.segments().insert(key, segment.clone(), segment.memory());
        Ok(segment)
    }
}
