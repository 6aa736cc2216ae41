//! `TreeBuilder`: takes entries and whole ranges in key order, cuts, and writes ranges in parallel.
//! `apply` feeds it.
//! Invariant: a tree comes out when its ranges are encoded, with the writes that have to end before anybody may name it.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use drumlin_model::{
    Placed, RangeId, RepoPath,
    tree::{Cutter, Range, RangeRef, Tree},
};
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::{FuturesOrdered, FuturesUnordered},
};
use tokio::task::JoinHandle;

use crate::{
    error::{Error, Result},
    trees::TreeStore,
};

/// Ranges being encoded or written at once: some MiB of memory, and enough to hide a bucket's latency.
const RANGES_IN_FLIGHT_MAX: usize = 16;
/// Ranges that a build leaves in the cache. Those of a small change are read again soon; those of an import would be most
/// of what it takes of memory, and are not.
const RANGES_KEPT_MAX: usize = 16;

/// Objects on their way to the store, each by a task of its own.
#[derive(Debug, Default)]
pub(super) struct Writes {
    tasks: FuturesUnordered<JoinHandle<Result<()>>>,
}

impl Writes {
    pub fn push(&mut self, write: impl Future<Output = Result<()>> + Send + 'static) {
        self.tasks.push(tokio::spawn(write));
    }

    /// Waits until one more is stored; says whether there was one.
    async fn next(&mut self) -> Result<bool> {
        match self.tasks.next().await {
            Some(written) => written.map_err(stopped)?.map(|()| true),
            None => Ok(false),
        }
    }

    /// Waits until all are stored.
    pub async fn all(mut self) -> Result<()> {
        while self.next().await? {}
        Ok(())
    }
}

pub(super) struct TreeBuilder {
    store: TreeStore,
    cutter: Cutter,
    entries: Vec<(RepoPath, Placed)>,
    /// The end of the tree so far, in order: ranges that are being encoded.
    encodings: FuturesOrdered<BoxFuture<'static, Result<Next>>>,
    done: Tree,
    /// How many ranges of it were encoded.
    encoded: usize,
    writes: Writes,
    /// Ranges that are stored already.
    known: Arc<HashSet<RangeId>>,
}

/// The next range of the tree.
enum Next {
    /// Taken over from the tree before, as it is.
    Reused(RangeRef),
    Encoded {
        reference: RangeRef,
        /// To be stored; none when they are.
        bytes: Option<Bytes>,
        range: Arc<Range>,
    },
}

impl TreeBuilder {
    /// A builder of a tree that will share ranges with `base`.
    pub fn new(store: &TreeStore, base: &Tree) -> Self {
        Self {
            store: store.clone(),
            cutter: Cutter::default(),
            entries: Vec::new(),
            encodings: FuturesOrdered::new(),
            done: Tree::default(),
            encoded: 0,
            writes: Writes::default(),
            known: Arc::new(base.ranges.iter().map(|range| range.id).collect()),
        }
    }

    /// Whether the next entry begins a range.
    pub fn is_at_cut(&self) -> bool {
        self.cutter.is_fresh()
    }

    /// Takes the next entries. They have to come after all before, and `check_entry` must hold for each.
    pub async fn extend(&mut self, entries: Vec<(RepoPath, Placed)>) -> Result<()> {
        for (path, placed) in entries {
            self.push(path, placed).await?;
        }
        Ok(())
    }

    /// Takes the next entry, as `extend`.
    pub async fn push(&mut self, path: RepoPath, placed: Placed) -> Result<()> {
        let cut = self.cutter.push(&path, &placed.entry);
        self.entries.push((path, placed));
        if cut {
            self.encode().await?;
        }
        Ok(())
    }

    /// Takes a stored range as it is. Only right at a cut, where cutting its entries anew would give the same range.
    pub async fn reuse(&mut self, range: RangeRef) -> Result<()> {
        self.begin(future::ready(Ok(Next::Reused(range))).boxed()).await
    }

    /// The tree, and those of its ranges that are still on their way to the store. The index node is the caller's to
    /// write.
    pub async fn finish(mut self) -> Result<(Tree, Writes)> {
        if !self.entries.is_empty() {
            self.encode().await?;
        }
        while !self.encodings.is_empty() {
            self.take().await?;
        }
        Ok((self.done, self.writes))
    }

    async fn encode(&mut self) -> Result<()> {
        let range = Range {
            entries: std::mem::take(&mut self.entries),
        };
        let known = self.known.clone();
        let encode = tokio::task::spawn_blocking(move || -> Result<Next> {
            let encoded = range.encode()?;
            let is_stored = known.contains(&encoded.reference.id);
            let bytes = (!is_stored).then(|| Bytes::from(encoded.bytes));
            Ok(Next::Encoded {
                reference: encoded.reference,
                bytes,
                range: Arc::new(range),
            })
        });
        self.begin(encode.map(|encoded| encoded.map_err(stopped)?).boxed())
            .await
    }

    async fn begin(&mut self, range: BoxFuture<'static, Result<Next>>) -> Result<()> {
        self.encodings.push_back(range);
        if self.encodings.len() > RANGES_IN_FLIGHT_MAX {
            self.take().await?;
        }
        Ok(())
    }

    /// Takes the next range that is encoded into the tree, and sends it to the store.
    async fn take(&mut self) -> Result<()> {
        let next = self.encodings.next().await.expect("there are ranges in work");
        match next? {
            Next::Reused(reference) => self.done.ranges.push(reference),
            Next::Encoded {
                reference,
                bytes,
                range,
            } => {
                self.encoded += 1;
                let kept = (self.encoded <= RANGES_KEPT_MAX).then_some(range);
                self.writes
                    .push(self.store.clone().write_range(reference.id, bytes, kept));
                self.done.ranges.push(reference);
            }
        }
        if self.writes.tasks.len() > RANGES_IN_FLIGHT_MAX {
            self.writes.next().await?;
        }
        Ok(())
    }
}

fn stopped(source: tokio::task::JoinError) -> Error {
    Error::Stopped {
        task: "write a range",
        source,
    }
}
