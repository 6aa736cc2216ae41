//! Walks over history: `log`, `is_ancestor`, `merge_base`, and the N-th first parent.
//! `commits` reads; `repo` and `merge` ask.
//! Invariant: commits are visited by generation, greatest first, so each is visited after all that lead to it, and what
//! lies below the answer is not read.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use drumlin_model::{Commit, CommitId, FormatError};
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};

use crate::{
    commits::{CommitStore, Recorded},
    error::{Error, Result},
};

/// How many commits, or provenances, are read at once: enough to hide a bucket's latency where ids are known.
pub(crate) const READS_AT_ONCE: usize = 16;

type Read = (CommitId, Arc<Commit>);

impl CommitStore {
    /// A commit and all its ancestors, each once and before all its parents. What stands side by side is in the order of
    /// generations; of one generation the latest comes first.
    pub fn log(&self, from: CommitId) -> BoxStream<'static, Result<Read>> {
        let walk = Log {
            commits: self.clone(),
            levels: Levels::default(),
            first: Some(from),
            shown: Vec::new(),
            ready: VecDeque::new(),
        };
        stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|item| (item, walk)))
        })
        .boxed()
    }

    /// Commits with their provenance, in the order in which they come; some are read ahead.
    pub fn recorded<'a>(
        &self,
        commits: impl futures::Stream<Item = Result<Read>> + Send + 'a,
    ) -> BoxStream<'a, Result<Recorded>> {
        let store = self.clone();
        let read = move |(id, commit): Read| {
            let store = store.clone();
            async move {
                let provenance = store.read_provenance(commit.provenance).await?;
                Ok(Recorded { id, commit, provenance })
            }
        };
        commits.map_ok(read).try_buffered(READS_AT_ONCE).boxed()
    }

    /// Whether `ancestor` is `of` or one of its ancestors. Reads no further down than to the ancestor's generation.
    pub async fn is_ancestor(&self, ancestor: CommitId, of: CommitId) -> Result<bool> {
        if ancestor == of {
            return Ok(true);
        }
        let (oldest, newest) = future::try_join(self.read(ancestor), self.read(of)).await?;
        if newest.generation <= oldest.generation {
            return Ok(false);
        }
        let mut levels = Levels::default();
        let mut level = vec![(of, newest)];
        loop {
            for (generation, parent) in self.parents(&level).await? {
                if parent == ancestor {
                    expect_generation(ancestor, &oldest, generation)?;
                    return Ok(true);
                }
                if generation > oldest.generation {
                    levels.push(generation, parent);
                }
            }
            level = match levels.pop() {
                Some((generation, ids)) => self.read_level(generation, ids).await?,
                None => return Ok(false),
            };
        }
    }

    /// A common ancestor that is no ancestor of another one. Histories that cross have several: then it is the one of the
    /// greatest generation, of those the latest, and of those the one with the smallest id.
    pub async fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
        if a == b {
            return Ok(Some(a));
        }
        let (at_a, at_b) = future::try_join(self.read(a), self.read(b)).await?;
        let mut paint = Paint::default();
        paint.color(at_a.generation, a, FROM_A);
        paint.color(at_b.generation, b, FROM_B);
        while let Some((generation, ids)) = paint.levels.pop() {
            let level = self.read_level(generation, ids).await?;
            // All that lead to this level were visited, and none was common: a common one here is below no other.
            let common = level.iter().filter(|(id, _)| paint.colors[id] == FROM_A | FROM_B);
            if let Some((id, _)) = common.min_by_key(|(id, commit)| (Reverse(commit.time), *id)) {
                return Ok(Some(*id));
            }
            for read in level {
                let color = paint.colors.remove(&read.0).expect("what is in the queue has a color");
                for (generation, parent) in self.parents(std::slice::from_ref(&read)).await? {
                    paint.color(generation, parent, color);
                }
            }
        }
        Ok(None)
    }

    /// The commit that is `steps` first parents back, if history goes so far: a commit of generation N has fewer than N
    /// ancestors in a line, so that it does not is often known at once.
    pub async fn first_parent(&self, from: CommitId, steps: u32) -> Result<Option<Read>> {
        let (mut id, mut commit) = (from, self.read(from).await?);
        for left in (1..=u64::from(steps)).rev() {
            if left >= commit.generation {
                return Ok(None);
            }
            let Some(&parent) = commit.parents.first() else {
                return Ok(None);
            };
            let read = self.read(parent).await?;
            match commit.parents.len() {
                1 => expect_generation(parent, &read, commit.generation - 1)?,
                _ => expect_generation(parent, &read, read.generation.min(commit.generation - 1))?,
            }
            (id, commit) = (parent, read);
        }
        Ok(Some((id, commit)))
    }

    /// The commits of one generation.
    async fn read_level(&self, generation: u64, ids: Vec<CommitId>) -> Result<Vec<Read>> {
        let read = |id| async move {
            let commit = self.read(id).await?;
            expect_generation(id, &commit, generation)?;
            Ok((id, commit))
        };
        stream::iter(ids).map(read).buffered(READS_AT_ONCE).try_collect().await
    }

    /// The parents of commits, with their generations. An only parent's is known without a look at it.
    async fn parents(&self, children: &[Read]) -> Result<Vec<(u64, CommitId)>> {
        let mut found = Vec::new();
        for (id, child) in children {
            match child.parents.as_slice() {
                [] => {}
                [only] => found.push((child.generation - 1, *only)),
                several => {
                    let read = |parent| async move { Ok::<_, Error>((self.read(parent).await?.generation, parent)) };
                    let reads = stream::iter(several.iter().copied()).map(read).buffered(READS_AT_ONCE);
                    let parents: Vec<_> = reads.try_collect().await?;
                    let greatest = parents.iter().map(|(generation, _)| *generation).max();
                    expect_generation(*id, child, greatest.expect("there are several") + 1)?;
                    found.extend(parents);
                }
            }
        }
        Ok(found)
    }
}

/// Whether a commit has the generation that its parents and children give it.
pub(crate) fn expect_generation(id: CommitId, commit: &Commit, generation: u64) -> Result<()> {
    if commit.generation == generation {
        return Ok(());
    }
    let detail = format!(
        "it has generation {}, and by its parents and children it has {generation}",
        commit.generation
    );
    Err(FormatError::damaged(format!("commit {id}"), detail).into())
}

/// Commits to visit, a generation at a time, the greatest first.
#[derive(Default)]
struct Levels {
    queue: BinaryHeap<(u64, CommitId)>,
}

impl Levels {
    fn push(&mut self, generation: u64, id: CommitId) {
        self.queue.push((generation, id));
    }

    /// The greatest generation that is left, and its commits, each once. None of it comes up again: what a commit leads
    /// to has a smaller one.
    fn pop(&mut self) -> Option<(u64, Vec<CommitId>)> {
        let (generation, first) = self.queue.pop()?;
        let mut ids = vec![first];
        while let Some((next, id)) = self.queue.peek().copied()
            && next == generation
        {
            self.queue.pop();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
        Some((generation, ids))
    }
}

struct Log {
    commits: CommitStore,
    levels: Levels,
    first: Option<CommitId>,
    /// The level that was read last: what it leads to is looked for when more is wanted.
    shown: Vec<Read>,
    ready: VecDeque<Read>,
}

impl Log {
    async fn next(&mut self) -> Result<Option<Read>> {
        if self.ready.is_empty() {
            self.read_more().await?;
        }
        Ok(self.ready.pop_front())
    }

    async fn read_more(&mut self) -> Result<()> {
        let mut level = match self.first.take() {
            Some(first) => vec![(first, self.commits.read(first).await?)],
            None => {
                for (generation, parent) in self.commits.parents(&self.shown).await? {
                    self.levels.push(generation, parent);
                }
                self.shown.clear();
                match self.levels.pop() {
                    Some((generation, ids)) => self.commits.read_level(generation, ids).await?,
                    None => return Ok(()),
                }
            }
        };
        level.sort_by_key(|(id, commit)| (Reverse(commit.time), *id));
        self.ready.extend(level.iter().cloned());
        self.shown = level;
        Ok(())
    }
}

const FROM_A: u8 = 1;
const FROM_B: u8 = 2;

/// The ancestors of two commits, each with those of the two that lead to it.
#[derive(Default)]
struct Paint {
    levels: Levels,
    /// Of what is in the queue.
    colors: HashMap<CommitId, u8>,
}

impl Paint {
    fn color(&mut self, generation: u64, id: CommitId, color: u8) {
        let before = self.colors.entry(id).or_insert(0);
        if *before == 0 {
            self.levels.push(generation, id);
        }
        *before |= color;
    }
}
