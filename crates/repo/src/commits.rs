//! `CommitStore`: reads and writes commits, and walks their history.
//! `repo` shows it; `merge` asks it for common ancestors.
//! Invariant: a commit is checked against its id whenever it comes from the bucket.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use drumlin_chunks::{Bucket, Error as ChunksError};
use drumlin_model::{Commit, CommitId, Timestamp, commit::COMMIT_LEN_MAX};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use crate::{
    cache::Cache,
    error::{Error, Result},
};

/// Commits that one handle keeps decoded, in bytes.
const CACHE_LEN_MAX: usize = 16 << 20;
/// How many candidates for a prefix an error names.
const CANDIDATES_MAX: usize = 20;
const FOLDER: &str = "commits";

#[derive(Clone, Debug)]
pub(crate) struct CommitStore {
    bucket: Bucket,
    cache: Arc<Cache<CommitId, Arc<Commit>>>,
}

impl CommitStore {
    pub fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            cache: Arc::new(Cache::new(CACHE_LEN_MAX)),
        }
    }

    pub async fn read(&self, id: CommitId) -> Result<Arc<Commit>> {
        match self.cache.get(&id) {
            Some(commit) => Ok(commit),
            None => self.read_stored(id).await,
        }
    }

    /// The same, from the bucket whatever is cached.
    pub async fn read_stored(&self, id: CommitId) -> Result<Arc<Commit>> {
        let bytes = match self.bucket.get_at_most(&key(id), COMMIT_LEN_MAX as u64).await {
            Err(ChunksError::NoObject { .. }) => return Err(Error::NoSuchCommit { commit: id }),
            bytes => bytes?,
        };
        let commit = Arc::new(Commit::from_bytes(id, &bytes)?);
        self.cache.insert(id, commit.clone(), bytes.len());
        Ok(commit)
    }

    pub async fn write(&self, commit: Commit) -> Result<CommitId> {
        let bytes = commit.to_bytes();
        if bytes.len() > COMMIT_LEN_MAX {
            return Err(Error::CommitTooLong { len: bytes.len() });
        }
        let id = CommitId::of(&bytes);
        let len = bytes.len();
        self.bucket.put_new(&key(id), Bytes::from(bytes)).await?;
        self.cache.insert(id, Arc::new(commit), len);
        Ok(id)
    }

    /// The one commit whose id starts with these hex digits.
    pub async fn find(&self, prefix: &str) -> Result<CommitId> {
        if let Ok(id) = prefix.parse() {
            return self.read(id).await.map(|_| id);
        }
        let mut candidates = Vec::new();
        let mut objects = self.bucket.list(FOLDER);
        while let Some(object) = objects.try_next().await? {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            if name.starts_with(prefix)
                && let Ok(id) = name.parse::<CommitId>()
            {
                candidates.push(id);
            }
        }
        candidates.sort();
        match candidates.as_slice() {
            [] => Err(Error::NoSuchRef {
                name: prefix.to_owned(),
            }),
            [id] => Ok(*id),
            _ => {
                candidates.truncate(CANDIDATES_MAX);
                Err(Error::AmbiguousCommit {
                    prefix: prefix.to_owned(),
                    candidates,
                })
            }
        }
    }

    /// A commit and all its ancestors, each once. A parent never comes before the child that led to it, and is dated
    /// no later than it here, so that a clock that was set back does not bring old commits up.
    pub fn log(&self, from: CommitId) -> BoxStream<'static, Result<(CommitId, Arc<Commit>)>> {
        let walk = Walk {
            commits: self.clone(),
            first: Some(from),
            queue: BinaryHeap::new(),
            met: HashSet::new(),
        };
        stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|item| (item, walk)))
        })
        .boxed()
    }

    /// Whether `ancestor` is `of` or one of its ancestors.
    pub async fn is_ancestor(&self, ancestor: CommitId, of: CommitId) -> Result<bool> {
        let mut log = self.log(of);
        while let Some((id, _)) = log.try_next().await? {
            if id == ancestor {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A newest common ancestor that is no ancestor of another one. Histories that cross have several: then it is the
    /// one that is dated last, and of those the one with the smallest id.
    pub async fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
        if a == b {
            return Ok(Some(a));
        }
        let mut candidates = Paint::default().run(self, a, b).await?;
        candidates.sort();
        candidates.dedup();
        let ids: Vec<_> = candidates.into_iter().rev().map(|(_, Reverse(id))| id).collect();
        if let [only] = ids[..] {
            return Ok(Some(only));
        }
        for &id in &ids {
            if !self.is_below_another(id, &ids).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn is_below_another(&self, id: CommitId, others: &[CommitId]) -> Result<bool> {
        for &other in others.iter().filter(|other| **other != id) {
            if self.is_ancestor(id, other).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn key(id: CommitId) -> String {
    format!("{FOLDER}/{id}")
}

/// A walk over ancestors, newest first. Ties go to the smaller id, so that the order is the same everywhere.
struct Walk {
    commits: CommitStore,
    first: Option<CommitId>,
    queue: BinaryHeap<(Timestamp, Reverse<CommitId>)>,
    met: HashSet<CommitId>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>> {
        if let Some(first) = self.first.take() {
            self.met.insert(first);
            self.queue.push((Timestamp::from_micros(i64::MAX), Reverse(first)));
        }
        let Some((shown, Reverse(id))) = self.queue.pop() else {
            return Ok(None);
        };
        let commit = self.commits.read(id).await?;
        for &parent in &commit.parents {
            if self.met.insert(parent) {
                let time = self.commits.read(parent).await?.provenance.finished;
                self.queue.push((time.min(shown), Reverse(parent)));
            }
        }
        Ok(Some((id, commit)))
    }
}

const FROM_A: u8 = 1;
const FROM_B: u8 = 2;
/// Below a common ancestor: of no more interest, but what it colors is.
const STALE: u8 = 4;

/// Colors the ancestors of two commits, newest first, until only those below common ones are left to visit.
#[derive(Default)]
struct Paint {
    colors: HashMap<CommitId, u8>,
    queue: BinaryHeap<(Timestamp, Reverse<CommitId>)>,
}

impl Paint {
    /// Every best common ancestor, and perhaps some that are not best.
    async fn run(
        mut self,
        commits: &CommitStore,
        a: CommitId,
        b: CommitId,
    ) -> Result<Vec<(Timestamp, Reverse<CommitId>)>> {
        self.color(commits, a, FROM_A).await?;
        self.color(commits, b, FROM_B).await?;
        let mut common = Vec::new();
        while let Some((time, Reverse(id))) = self.pop() {
            let mut color = self.colors[&id];
            if color == FROM_A | FROM_B {
                common.push((time, Reverse(id)));
                color |= STALE;
            }
            for &parent in &commits.read(id).await?.parents {
                self.color(commits, parent, color).await?;
            }
        }
        common.retain(|(_, Reverse(id))| self.colors[id] & STALE == 0);
        Ok(common)
    }

    /// The newest commit to visit, while any but stale ones are left. The queue is as long as history is wide.
    fn pop(&mut self) -> Option<(Timestamp, Reverse<CommitId>)> {
        let is_live = |(_, Reverse(id)): &(Timestamp, Reverse<CommitId>)| self.colors[id] & STALE == 0;
        self.queue.iter().any(is_live).then(|| self.queue.pop()).flatten()
    }

    async fn color(&mut self, commits: &CommitStore, id: CommitId, color: u8) -> Result<()> {
        let before = self.colors.get(&id).copied().unwrap_or(0);
        let after = before | color;
        if after == before {
            return Ok(());
        }
        self.colors.insert(id, after);
        let time = commits.read(id).await?.provenance.finished;
        self.queue.push((time, Reverse(id)));
        Ok(())
    }
}
