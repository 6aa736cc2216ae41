//! Gets records out of packs and verifies them; where a hint leads nowhere, asks the index.
//! `content` and `chunked` read with it, many chunks by the runs of `plan`.
//! Invariant: nothing leaves here that does not have its hash, and no hint makes us read more than a record may have.

use std::ops::Range;

use bytes::Bytes;
use drumlin_model::{ChunkId, FileId, PackId};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    error::{Error, Result},
    format::{
        record::{self, RECORD_LEN_MAX, RecordAt},
        segment::ChunkAt,
    },
    keys::pack_key,
    read::{
        plan::{self, RUN_LEN_MAX, Run, Wanted},
        store::ChunkStore,
    },
    task,
};

impl ChunkStore {
    pub(crate) async fn chunk(&self, id: &ChunkId, at: RecordAt) -> Result<Bytes> {
        let len = at.len as usize;
        self.verified(id.as_bytes(), at, |record| record::open(&record, id, len))
            .await
    }

    /// Opens a record where it is said to be, or else where the index knows another copy of it.
    pub(crate) async fn verified<T>(
        &self,
        id: &[u8; 32],
        at: RecordAt,
        open: impl Fn(Bytes) -> Result<T>,
    ) -> Result<T> {
        let first = match self.record(&at).await.and_then(&open) {
            Err(error) if is_damage(&error) => error,
            other => return other,
        };
        match self.index().locate(id, Some(&at.pack)).await? {
            Some(other) => open(self.record(&other).await?),
            None if matches!(first, Error::NoObject { .. }) => Err(Error::Missing {
                id: FileId::from_bytes(*id),
            }),
            None => self.same_pack(id, at, open).await.unwrap_or(Err(first)),
        }
    }

    /// The hint, or a damaged index object, may name the right pack and the wrong place in it. The pack's own table knows.
    async fn same_pack<T>(&self, id: &[u8; 32], at: RecordAt, open: impl Fn(Bytes) -> Result<T>) -> Option<Result<T>> {
        let other = self.index().in_pack(&at.pack, id).await;
        let other = other.filter(|other| (other.offset, other.stored) != (at.offset, at.stored))?;
        Some(self.record(&other).await.and_then(open))
    }

    async fn record(&self, at: &RecordAt) -> Result<Bytes> {
        if at.stored > RECORD_LEN_MAX {
            let detail = format!(
                "a record of {} bytes is said to be in it, and none is so long",
                at.stored
            );
            return Err(Error::corrupt(pack_key(&at.pack), detail));
        }
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
        // A hint of such a length is wrong; each record by itself tells.
        let readable = run.range.end - run.range.start <= RUN_LEN_MAX;
        let read = if readable {
            self.pack_bytes(&run.pack, run.range.clone()).await
        } else {
            Err(Error::corrupt(
                pack_key(&run.pack),
                "a record is said to be longer than any is",
            ))
        };
        let (wanted, opened) = match read {
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

    /// The contents of some chunks, in order.
    pub(crate) async fn chunks(&self, chunks: &[ChunkAt]) -> Result<Vec<Bytes>> {
        let numbered = chunks.iter().enumerate();
        let wanted = numbered.map(|(number, chunk)| Wanted {
            number,
            id: chunk.id,
            at: chunk.at,
        });
        let reads = self.bucket().limits().reads;
        let runs = plan::runs(wanted.collect());
        let mut fetched = stream::iter(runs).map(|run| self.run(run)).buffer_unordered(reads);
        let mut contents = vec![Bytes::new(); chunks.len()];
        while let Some(run) = fetched.try_next().await? {
            for (number, content) in run {
                contents[number] = content;
            }
        }
        Ok(contents)
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

/// Whether another copy may be better.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::NoObject { .. })
}
