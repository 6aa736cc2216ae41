//! `TreeStore`: reads and writes trees: the entries of a commit, by path, in key order.
//! `model::tree` says what the objects are; `Snapshot`, `Session`, merges and `fsck` ask here.
//! Invariant: the cost of an answer is what was asked for or what changed, never what exists.

mod apply;
mod builder;
mod changes;
mod check;
mod diff;
mod join;
mod loads;
mod merge;
mod settle;

use std::{ops::Range as Positions, sync::Arc};

use bytes::Bytes;
use drumlin_chunks::Bucket;
use drumlin_model::{
    Placed, RangeId, RepoPath, TreeId,
    tree::{Range, RangeRef, Tree},
};
use futures::{
    StreamExt, TryFutureExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::error::{Error, Result};
use loads::{Loads, Weight};

pub(crate) use changes::Walk;
pub use changes::{Changes, Sorted};
pub use check::TreeProblem;
pub use drumlin_model::tree::{Conflict, PathDiff, TreeSummary};
pub use merge::TreeMerge;

/// Memory for decoded ranges, in bytes: about 400,000 entries.
const RANGES_CACHED_WEIGHT_MAX: usize = 96 << 20;
/// Memory for decoded index nodes, in bytes. Half of it holds the largest node with paths of 100 bytes: one that is not
/// kept is fetched and parsed again for every path that is asked for.
const TREES_CACHED_WEIGHT_MAX: usize = 64 << 20;
/// Ranges fetched ahead of whoever reads them in order.
const RANGES_AHEAD: usize = 4;

/// A change of a tree: what stands at a path from now on, or nothing.
pub type Change = (RepoPath, Option<Placed>);

/// The longest index node as stored, in bytes: its 64 MiB, and what compression may add.
const TREE_LEN_MAX: u64 = 65 << 20;
/// The longest range as stored, in bytes: 1 MiB of identity, 400 KiB of locations, and what compression may add.
const RANGE_LEN_MAX: u64 = 2 << 20;

/// The trees of one repository. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct TreeStore {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    trees: Loads<TreeId, Tree>,
    ranges: Loads<RangeId, Range>,
}

impl TreeStore {
    pub fn new(bucket: Bucket) -> Self {
        let trees = Loads::new(TREES_CACHED_WEIGHT_MAX);
        let ranges = Loads::new(RANGES_CACHED_WEIGHT_MAX);
        Self {
            inner: Arc::new(Inner { bucket, trees, ranges }),
        }
    }

    /// Writes the tree without entries, if it is not there.
    pub async fn empty(&self) -> Result<TreeId> {
        let tree = Tree::default();
        let (id, bytes) = tree.encode()?;
        self.clone().write_tree(id, bytes.into(), tree).await?;
        Ok(id)
    }

    /// What stands at the path.
    pub async fn get(&self, tree: TreeId, path: &RepoPath) -> Result<Option<Placed>> {
        let tree = self.tree(tree).await?;
        self.get_in(&tree, path).await
    }

    /// The entries below a folder (all, without one) in key order, after the path `start_after`.
    /// Fetches the index node and the ranges that hold them.
    pub fn list(
        &self,
        tree: TreeId,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, Result<(RepoPath, Placed)>> {
        let (store, scope) = (self.clone(), Scope::new(folder, start_after));
        let entries = async move {
            let tree = store.tree(tree).await?;
            let ranges = tree.ranges[scope.ranges(&tree)].to_vec();
            let parts = store.ranges(ranges).map_ok(move |range| {
                let within: Vec<_> = range.entries[scope.entries(&range)].to_vec();
                stream::iter(within.into_iter().map(Ok))
            });
            Ok(parts.try_flatten())
        };
        entries.try_flatten_stream().boxed()
    }

    /// Whether any entry stands below the path.
    pub async fn folder_exists(&self, tree: TreeId, folder: &RepoPath) -> Result<bool> {
        let tree = self.tree(tree).await?;
        let scope = Scope::new(Some(folder), None);
        let candidates = &tree.ranges[scope.ranges(&tree)];
        if candidates
            .iter()
            .any(|range| scope.holds(&range.first) || scope.holds(&range.last))
        {
            return Ok(true);
        }
        // Only a range that begins before the folder and ends after it is left: at most one.
        for reference in candidates {
            let range = self.range(reference.id).await?;
            if !scope.entries(&range).is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the tree holds in all; read from the index node.
    pub async fn summary(&self, tree: TreeId) -> Result<TreeSummary> {
        Ok(self.tree(tree).await?.summary())
    }

    async fn get_in(&self, tree: &Tree, path: &RepoPath) -> Result<Option<Placed>> {
        match tree.ranges.get(tree.position(path.as_str())) {
            Some(reference) if reference.first <= *path => Ok(self.range(reference.id).await?.get(path).cloned()),
            _ => Ok(None),
        }
    }

    async fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        self.inner.trees.get(id, self.fetch_tree(id)).await
    }

    async fn range(&self, id: RangeId) -> Result<Arc<Range>> {
        self.inner.ranges.get(id, self.fetch_range(id)).await
    }

    /// The ranges in the order given, some fetched ahead.
    fn ranges(&self, references: Vec<RangeRef>) -> BoxStream<'static, Result<Arc<Range>>> {
        let store = self.clone();
        let load = move |reference: RangeRef| {
            let store = store.clone();
            async move { store.range(reference.id).await }
        };
        stream::iter(references).map(load).buffered(RANGES_AHEAD).boxed()
    }

    async fn fetch_tree(&self, id: TreeId) -> Result<Tree> {
        let bytes = self.fetch(&tree_key(id), TREE_LEN_MAX).await?;
        Ok(Tree::from_bytes(id, &bytes)?)
    }

    async fn fetch_range(&self, id: RangeId) -> Result<Range> {
        let bytes = self.fetch(&range_key(id), RANGE_LEN_MAX).await?;
        blocking("read a range", move || Range::from_bytes(id, &bytes))
            .await?
            .map_err(Error::from)
    }

    async fn fetch(&self, key: &str, len_max: u64) -> Result<Bytes> {
        match self.inner.bucket.get_at_most(key, len_max).await {
            Ok(bytes) => Ok(bytes),
            Err(drumlin_chunks::Error::NoObject { .. }) => Err(Error::MissingObject { key: key.to_owned() }),
            Err(source) => Err(source.into()),
        }
    }

    /// Writes an index node.
    async fn write_tree(self, id: TreeId, bytes: Bytes, tree: Tree) -> Result<()> {
        self.inner.bucket.put_new(&tree_key(id), bytes).await?;
        self.inner.trees.insert(id, Arc::new(tree));
        Ok(())
    }

    /// Writes a range; without bytes it is stored already. It is kept in memory where it is given for that.
    async fn write_range(self, id: RangeId, bytes: Option<Bytes>, kept: Option<Arc<Range>>) -> Result<()> {
        if let Some(bytes) = bytes {
            self.inner.bucket.put_new(&range_key(id), bytes).await?;
        }
        if let Some(range) = kept {
            self.inner.ranges.insert(id, range);
        }
        Ok(())
    }
}

fn tree_key(id: TreeId) -> String {
    format!("trees/{id}")
}

fn range_key(id: RangeId) -> String {
    format!("ranges/{id}")
}

/// The range that takes in the path: that which holds it, or the next, or the last. 0 in an empty tree.
fn home(tree: &Tree, path: &str) -> usize {
    tree.position(path).min(tree.ranges.len().saturating_sub(1))
}

/// Runs work of milliseconds where it does not hold up others.
async fn blocking<T: Send + 'static>(task: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::Stopped { task, source })
}

/// The keys that a listing asks for.
struct Scope {
    /// Every key starts with this: a folder and its slash, or nothing.
    prefix: String,
    after: Option<String>,
}

impl Scope {
    fn new(folder: Option<&RepoPath>, start_after: Option<&str>) -> Self {
        let prefix = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        Self {
            prefix,
            after: start_after.map(str::to_owned),
        }
    }

    fn holds(&self, path: &RepoPath) -> bool {
        path.as_str().starts_with(&self.prefix) && !self.is_before(path)
    }
    /// Whether the path comes before everything in scope.
    fn is_before(&self, path: &RepoPath) -> bool {
        path.as_str() < self.prefix.as_str() || self.after.as_deref().is_some_and(|after| path.as_str() <= after)
    }
    /// Whether the path comes after everything in scope.
    fn is_after(&self, path: &RepoPath) -> bool {
        path.as_str() > self.prefix.as_str() && !path.as_str().starts_with(&self.prefix)
    }

    /// Which ranges may hold keys in scope.
    fn ranges(&self, tree: &Tree) -> Positions<usize> {
        let start = tree.ranges.partition_point(|range| self.is_before(&range.last));
        let end = tree.ranges.partition_point(|range| !self.is_after(&range.first));
        start..end.max(start)
    }
    fn entries(&self, range: &Range) -> Positions<usize> {
        let start = range.entries.partition_point(|(path, _)| self.is_before(path));
        let end = range.entries.partition_point(|(path, _)| !self.is_after(path));
        start..end.max(start)
    }
}

impl Weight for Tree {
    fn weight(&self) -> usize {
        let text: usize = self
            .ranges
            .iter()
            .map(|range| range.first.as_str().len() + range.last.as_str().len())
            .sum();
        self.ranges.len() * (size_of::<RangeRef>() + 2 * ALLOCATION_WEIGHT) + text
    }
}

/// What an allocation costs beside its bytes.
const ALLOCATION_WEIGHT: usize = 16;
/// What an attribute costs beside its bytes: two texts in a map.
const ATTRIBUTE_WEIGHT: usize = 2 * (size_of::<String>() + ALLOCATION_WEIGHT);

impl Weight for Range {
    fn weight(&self) -> usize {
        let text: usize = self
            .entries
            .iter()
            .map(|(path, placed)| path.as_str().len() + text_weight(placed))
            .sum();
        self.entries.len() * (size_of::<(RepoPath, Placed)>() + ALLOCATION_WEIGHT) + text
    }
}

fn text_weight(placed: &Placed) -> usize {
    use drumlin_model::EntryKind;
    let texts: usize = match &placed.entry.kind {
        EntryKind::File(_) | EntryKind::Folder => 0,
        EntryKind::Symlink { target } => target.len() + ALLOCATION_WEIGHT,
        EntryKind::External(external) => [&external.container, &external.key, &external.etag, &external.version]
            .map(|text| text.len() + ALLOCATION_WEIGHT)
            .iter()
            .sum(),
    };
    let attributes = placed.entry.attributes.iter();
    let attributes: usize = attributes
        .map(|(key, value)| key.len() + value.len() + ATTRIBUTE_WEIGHT)
        .sum();
    texts + attributes
}
