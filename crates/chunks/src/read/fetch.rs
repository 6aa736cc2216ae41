//! Gets records out of packs and verifies them; where a hint leads nowhere, asks the index.
//! `store` builds whole files of it and `stream` long ones, both by the runs of `plan`.
//! Invariant: nothing leaves here that does not have its hash.

use std::ops::Range;

use bytes::Bytes;
use drumlin_model::{ChunkId, File, FileId, Location, PackId};

use crate::{
    error::{Error, Result},
    format::{
        recipe::{Recipe, RecipeChunk},
        record::{self, Kind, RecordAt},
    },
    keys::{blob_key, pack_key},
    read::{
        plan::{Run, Wanted},
        store::ChunkStore,
    },
    task,
};

/// What a file consists of.
pub(crate) enum Content {
    Empty,
    Chunk(RecordAt),
    Recipe(std::sync::Arc<Recipe>),
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
        }
    }

    async fn recipe(&self, file: &File, at: RecordAt) -> Result<std::sync::Arc<Recipe>> {
        if let Some(recipe) = self.recipes().get(&file.id) {
            return Ok(recipe);
        }
        let open = |record: Bytes, _: &RecordAt| Recipe::from_record(&record, &file.id);
        let recipe = std::sync::Arc::new(self.verified(file.id.as_bytes(), at, open).await?);
        if recipe.size != file.size {
            return Err(Error::wrong_size(file, recipe.size));
        }
        self.recipes().put(file.id, recipe.clone(), recipe.memory());
        Ok(recipe)
    }

    pub(crate) async fn chunk(&self, id: &ChunkId, at: RecordAt) -> Result<Bytes> {
        let len = at.len as usize;
        self.verified(id.as_bytes(), at, |record, _| record::open(&record, id, len))
            .await
    }

    /// Opens a record where it is said to be, or else where the index knows another copy of it.
    async fn verified<T>(
        &self,
        id: &[u8; 32],
        at: RecordAt,
        open: impl Fn(Bytes, &RecordAt) -> Result<T>,
    ) -> Result<T> {
        let first = match self.record(&at).await.and_then(|record| open(record, &at)) {
            Err(error) if is_damage(&error) => error,
            other => return other,
        };
        match self.index().locate(id, Some(&at.pack)).await? {
            Some(other) => open(self.record(&other).await?, &other),
            None if matches!(first, Error::NoObject { .. }) => Err(Error::Missing {
                id: FileId::from_bytes(*id),
            }),
            None => self.same_pack(id, at, open).await.unwrap_or(Err(first)),
        }
    }

    /// The hint, or a damaged index object, may name the right pack and the wrong place in it. The pack's own table knows.
    async fn same_pack<T>(
        &self,
        id: &[u8; 32],
        at: RecordAt,
        open: impl Fn(Bytes, &RecordAt) -> Result<T>,
    ) -> Option<Result<T>> {
        let other = self.index().in_pack(&at.pack, id).await;
        let other = other.filter(|other| (other.offset, other.stored) != (at.offset, at.stored))?;
        Some(self.record(&other).await.and_then(|record| open(record, &other)))
    }

    async fn record(&self, at: &RecordAt) -> Result<Bytes> {
        self.pack_bytes(&at.pack, at.offset.into()..at.end()).await
    }

    /// Exactly these bytes of a pack; one that is too short is damaged.
    async fn pack_bytes(&self, pack: &PackId, range: Range<u64>) -> Result<Bytes> {
        self.exact_bytes(&pack_key(pack), range).await
    }

    /// Exactly these bytes of an object; one that is too short is damaged.
    pub(crate) async fn exact_bytes(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let mut got = self.exact_ranges(key, std::slice::from_ref(&range)).await?;
        Ok(got.pop().expect("as many come back as were asked for"))
    }

    /// The same for many ranges. Empty ones ask for nothing.
    pub(crate) async fn exact_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let asked: Vec<Range<u64>> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let Some(end) = asked.iter().map(|range| range.end).max() else {
            return Ok(vec![Bytes::new(); ranges.len()]);
        };
        let too_short = || Error::corrupt(key, format!("it ends before byte {end}"));
        let got = match self.get_each(key, &asked).await {
            Err(error @ Error::NoObject { .. }) => return Err(error),
            // Stores tell of a range past the end in words of their own, so ask.
            Err(error) => match self.bucket().head(key).await {
                Ok(Some(info)) if info.size < end => return Err(too_short()),
                _ => return Err(error),
            },
            Ok(got) => got,
        };
        if got
            .iter()
            .zip(&asked)
            .any(|(bytes, range)| bytes.len() as u64 != range.end - range.start)
        {
            return Err(too_short());
        }
        let mut got = got.into_iter();
        let answers = ranges.iter().map(|range| {
            if range.is_empty() {
                Some(Bytes::new())
            } else {
                got.next()
            }
        });
        Ok(answers
            .collect::<Option<_>>()
            .expect("one was got for each that was asked"))
    }

    async fn get_each(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match ranges {
            [range] => Ok(vec![self.bucket().get_range(key, range.clone()).await?]),
            ranges => self.bucket().get_ranges(key, ranges).await,
        }
    }

    /// Carries out one run: each wanted chunk's number and content.
    pub(crate) async fn run(&self, run: Run) -> Result<Vec<(usize, Bytes)>> {
        let (wanted, opened) = match self.pack_bytes(&run.pack, run.range.clone()).await {
            Err(error) if is_damage(&error) => (run.wanted, None),
            other => {
                let bytes = other?;
                let (start, wanted) = (run.range.start, run.wanted);
                task::blocking("open chunks", move || {
                    let opened: Vec<Result<Bytes>> = wanted.iter().map(|want| open_in(&bytes, start, want)).collect();
                    Ok((wanted, Some(opened)))
                })
                .await?
            }
        };
        let mut opened = opened.map(Vec::into_iter);
        let mut chunks = Vec::with_capacity(wanted.len());
        for want in &wanted {
            let content = match opened.as_mut().and_then(Iterator::next) {
                Some(Ok(content)) => content,
                _ => self.chunk(&want.id, want.at).await?,
            };
            chunks.push((want.number, content));
        }
        Ok(chunks)
    }
}

fn open_in(bytes: &Bytes, start: u64, want: &Wanted) -> Result<Bytes> {
    let from = (u64::from(want.at.offset) - start) as usize;
    let content = record::open(
        &bytes.slice(from..from + want.at.stored as usize),
        &want.id,
        want.at.len as usize,
    )?;
    // Raw content is a view of the whole run; kept alone it would keep all of it.
    Ok(if content.len() * 2 < bytes.len() {
        Bytes::copy_from_slice(&content)
    } else {
        content
    })
}

/// The chunks wanted, numbered as they come.
pub(crate) fn wanted<'a>(chunks: impl IntoIterator<Item = &'a RecipeChunk>) -> Vec<Wanted> {
    let numbered = chunks.into_iter().enumerate();
    numbered
        .map(|(number, chunk)| Wanted {
            number,
            id: chunk.id,
            at: chunk.at,
        })
        .collect()
}

/// Whether another copy may be better.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::NoObject { .. })
}
