//! `TreeBuilder`: takes entries and whole ranges in key order, cuts, and writes ranges in parallel.
//! `apply` feeds it.
//! Invariant: a tree comes out only when every range that it names is stored.

use std::{collections::HashSet, sync::Arc};

use drumlin_model::{
    Placed, RangeId, RepoPath,
    tree::{Cutter, Range, RangeRef, Tree},
};
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::FuturesOrdered,
};

use crate::{
    error::{Error, Result},
    trees::TreeStore,
};

/// Ranges being encoded and written at once: some MiB of memory, and enough to hide a bucket's latency.
const WRITES_IN_FLIGHT_MAX: usize = 16;

pub(super) struct TreeBuilder {
    store: TreeStore,
    cutter: Cutter,
    entries: Vec<(RepoPath, Placed)>,
    /// The end of the tree so far, in order: ranges on their way to the store.
    writes: FuturesOrdered<BoxFuture<'static, Result<RangeRef>>>,
    done: Tree,
    /// Ranges that are stored already.
    known: Arc<HashSet<RangeId>>,
}

impl TreeBuilder {
    /// A builder of a tree that will share ranges with `base`.
    pub fn new(store: &TreeStore, base: &Tree) -> Self {
        Self {
            store: store.clone(),
            cutter: Cutter::default(),
            entries: Vec::new(),
            writes: FuturesOrdered::new(),
            done: Tree::default(),
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
            let cut = self.cutter.push(&path, &placed.entry);
            self.entries.push((path, placed));
            if cut {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Takes a stored range as it is. Only right at a cut, where cutting its entries anew would give the same range.
    pub async fn reuse(&mut self, range: RangeRef) -> Result<()> {
        self.push(future::ready(Ok(range)).boxed()).await
    }

    /// Writes what is left; the index node is the caller's to write.
    pub async fn finish(mut self) -> Result<Tree> {
        if !self.entries.is_empty() {
            self.write().await?;
        }
        while let Some(range) = self.writes.next().await {
            self.done.ranges.push(range?);
        }
        Ok(self.done)
    }

    async fn write(&mut self) -> Result<()> {
        let range = Range {
            entries: std::mem::take(&mut self.entries),
        };
        let write = tokio::spawn(self.store.clone().write_range(range, self.known.clone()));
        let written = async {
            write.await.map_err(|source| Error::Stopped {
                task: "write a range",
                source,
            })?
        };
        self.push(written.boxed()).await
    }

    async fn push(&mut self, range: BoxFuture<'static, Result<RangeRef>>) -> Result<()> {
        self.writes.push_back(range);
        if self.writes.len() > WRITES_IN_FLIGHT_MAX {
            let oldest = self.writes.next().await.expect("there are writes in flight");
            self.done.ranges.push(oldest?);
        }
        Ok(())
    }
}
