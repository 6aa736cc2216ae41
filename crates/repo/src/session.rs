//! `Session`: private changes on top of one commit of a branch, which read their own writes and become one commit or nothing.
//! `overlay` holds them; `commit` makes them a commit; `objects` shows a session as an object store.
//! Invariant: nobody else sees anything of a session before its commit, and a failed commit leaves it as it was.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use drumlin_chunks::{Added, ContentWriter};
use drumlin_model::{
    By, Entry, EntryKind, File, Input, Nonce, Placed, Provenance, RefKind, RefName, RefTarget, RepoPath, Timestamp,
    Verb,
};
use futures::{StreamExt, TryFutureExt, TryStreamExt, future, stream, stream::BoxStream};

use crate::{
    error::{Error, Result},
    overlay::{Change, Content, Overlay},
    repo::Repo,
    snapshot::{Snapshot, file_at},
};

/// What a commit says of itself; the time when it is finished is added by the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    pub by: By,
    pub verb: Verb,
    pub message: String,
    pub inputs: Vec<Input>,
    /// What was written; the changed paths, when none is named.
    pub outputs: Vec<RepoPath>,
    pub parameters: BTreeMap<String, serde_json::Value>,
}

impl CommitInfo {
    /// A commit that names no inputs and no parameters, and the changed paths as its outputs.
    pub fn new(by: By, verb: Verb, message: impl Into<String>) -> Self {
        Self {
            by,
            verb,
            message: message.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: BTreeMap::new(),
        }
    }

    /// The whole record, of a commit that is finished now.
    pub(crate) fn provenance(&self, finished: Timestamp) -> Provenance {
        Provenance {
            message: self.message.clone(),
            verb: self.verb.as_str().to_owned(),
            actor: self.by.actor.clone(),
            started: self.by.started,
            finished,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            parameters: self.parameters.clone(),
            code: self.by.code.clone(),
            nonce: Nonce::from_bytes(rand::random()),
        }
    }
}

/// What to do at paths that both the session and the branch changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    Fail,
    /// What the session did stands; what the branch got there is lost.
    KeepOurs,
    /// What the session did there is forgotten.
    TakeTheirs,
}

/// Cheap to clone; clones are one session and may be used from many tasks.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    repo: Repo,
    branch: RefName,
    writer: ContentWriter,
    state: Mutex<State>,
    /// Held by a commit or a rebase: there is one at a time.
    moving: tokio::sync::Mutex<()>,
}

struct State {
    base: RefTarget,
    overlay: Overlay,
}

/// The changes as they were at one moment.
pub(crate) struct Captured {
    pub base: RefTarget,
    pub changes: Vec<(RepoPath, Change)>,
    pub number: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} at {:?})", self.inner.branch, self.state().base.commit)
    }
}

impl Repo {
    /// Private changes on top of a branch, which become one commit on it or nothing.
    pub async fn session(&self, branch: &RefName) -> Result<Session> {
        let loaded = self.root().load().await?;
        loaded.root.check_write()?;
        let target = loaded.root.refs.get(RefKind::Branch, branch);
        let target = target.ok_or_else(|| Error::NoSuchBranch { name: branch.clone() })?;
        Ok(self.session_on(branch, target))
    }

    /// The same, on top of a commit that the branch has or had. Reads nothing; a commit finds out what came since.
    pub fn session_on(&self, branch: &RefName, base: RefTarget) -> Session {
        Session::new(self.snapshot_of(base), branch.clone())
    }
}

impl Session {
    fn new(base: Snapshot, branch: RefName) -> Self {
        let inner = Inner {
            repo: base.repo().clone(),
            branch,
            writer: base.repo().chunk_store().writer(base.repo().now()),
            state: Mutex::new(State {
                base: base.target(),
                overlay: Overlay::default(),
            }),
            moving: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the changes are laid over: it moves when the session commits or rebases.
    pub fn base(&self) -> Snapshot {
        self.inner.repo.snapshot_of(self.state().base)
    }
    pub fn branch(&self) -> &RefName {
        &self.inner.branch
    }
    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }
    /// Takes content; `put` then gives it a path. Nothing of it is promised before the commit.
    pub fn writer(&self) -> &ContentWriter {
        &self.inner.writer
    }

    /// What stands at the path, with the changes made.
    pub async fn entry(&self, path: &RepoPath) -> Result<Option<Placed>> {
        let (base, change) = {
            let state = self.state();
            (state.base, state.overlay.change(path).cloned())
        };
        match change {
            Some(Change::Put(placed)) => Ok(Some(placed)),
            Some(Change::Remove) => Ok(None),
            None => self.inner.repo.snapshot_of(base).entry(path).await,
        }
    }

    /// Whether anything stands below the path.
    pub async fn folder_exists(&self, folder: &RepoPath) -> Result<bool> {
        Ok(self.list(Some(folder), None).try_next().await?.is_some())
    }

    /// As `Snapshot::list`, with the changes made before the call.
    pub fn list(
        &self,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, Result<(RepoPath, Placed)>> {
        let (base, changes) = {
            let state = self.state();
            (state.base, state.overlay.below(folder, start_after))
        };
        let base = self.inner.repo.snapshot_of(base).list(folder, start_after);
        if changes.is_empty() {
            base
        } else {
            overlaid(base, changes)
        }
    }

    pub async fn read(&self, path: &RepoPath) -> Result<Bytes> {
        let placed = self.expect(path).await?;
        self.read_placed(path, &placed).await
    }

    pub async fn read_ranges(&self, path: &RepoPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let placed = self.expect(path).await?;
        self.read_placed_ranges(path, &placed, ranges).await
    }

    pub fn stream(&self, path: &RepoPath) -> BoxStream<'static, Result<Bytes>> {
        let (session, path) = (self.clone(), path.clone());
        async move { Ok(session.stream_placed(&path, &session.expect(&path).await?)) }
            .try_flatten_stream()
            .boxed()
    }

    pub fn read_many(&self, files: Vec<(RepoPath, Placed)>) -> BoxStream<'static, Result<(usize, Bytes)>> {
        let session = self.clone();
        async move {
            session.flush().await?;
            Ok(session.base().read_many(files))
        }
        .try_flatten_stream()
        .boxed()
    }

    /// The content of an entry that was found at `path`, whatever stands there by now.
    pub async fn read_placed(&self, path: &RepoPath, placed: &Placed) -> Result<Bytes> {
        match self.held(file_at(path, placed)?).await? {
            Some(bytes) => Ok(bytes),
            None => self.base().read_placed(path, placed).await,
        }
    }

    pub async fn read_placed_ranges(
        &self,
        path: &RepoPath,
        placed: &Placed,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        match self.held(file_at(path, placed)?).await? {
            Some(bytes) => ranges.iter().map(|range| slice(&bytes, range)).collect(),
            None => self.base().read_placed_ranges(path, placed, ranges).await,
        }
    }

    pub fn stream_placed(&self, path: &RepoPath, placed: &Placed) -> BoxStream<'static, Result<Bytes>> {
        let (session, path, placed) = (self.clone(), path.clone(), placed.clone());
        async move {
            Ok(match session.held(file_at(&path, &placed)?).await? {
                Some(bytes) => stream::once(future::ready(Ok(bytes))).boxed(),
                None => session.base().stream_placed(&path, &placed),
            })
        }
        .try_flatten_stream()
        .boxed()
    }

    /// Writes a whole file, without attributes; so do the three below.
    pub async fn write(&self, path: &RepoPath, content: Bytes) -> Result<()> {
        let placed = self.add(content).await?;
        self.put(path, placed).await
    }

    /// Writes a file's content, streamed.
    pub async fn write_file(&self, path: &RepoPath, file: &Path) -> Result<()> {
        let added = self.inner.writer.add_file(file).await?;
        self.put(path, self.placed(added, None)).await
    }

    /// Writes a file as one object of its own, for content that is read by range, such as Parquet.
    pub async fn write_blob(&self, path: &RepoPath, content: Bytes) -> Result<()> {
        let placed = self.add_blob(content).await?;
        self.put(path, placed).await
    }

    pub async fn write_blob_file(&self, path: &RepoPath, file: &Path) -> Result<()> {
        let placed = self.add_blob_file(file).await?;
        self.put(path, placed).await
    }

    /// Takes content that stands at no path yet: `put` gives it one, with what else is to be said of it.
    pub async fn add(&self, content: Bytes) -> Result<Placed> {
        let added = self.inner.writer.add_bytes(content.clone()).await?;
        Ok(self.placed(added, Some(content)))
    }

    /// The same, as one object of its own.
    pub async fn add_blob(&self, content: Bytes) -> Result<Placed> {
        Ok(self.placed(self.inner.writer.add_blob(content).await?, None))
    }

    pub async fn add_blob_file(&self, file: &Path) -> Result<Placed> {
        Ok(self.placed(self.inner.writer.add_blob_file(file).await?, None))
    }

    /// Puts an entry whose content this session's writer took, or that the repository has already.
    pub async fn put(&self, path: &RepoPath, placed: Placed) -> Result<()> {
        let mut state = self.state();
        if let EntryKind::File(file) = &placed.entry.kind
            && file.size > 0
        {
            state.overlay.hold(file.id, None);
        }
        state.overlay.put(path, placed)
    }

    /// Removes an entry; says whether there was one. A folder goes with what it holds.
    pub async fn remove(&self, path: &RepoPath) -> Result<bool> {
        loop {
            let base = self.state().base;
            let in_base = self.inner.repo.snapshot_of(base).entry(path).await?.is_some();
            let mut state = self.state();
            if state.base != base {
                // A commit or a rebase was done meanwhile: what the path was in the overlay may be in the base now.
                continue;
            }
            let was_there = state
                .overlay
                .change(path)
                .map_or(in_base, |change| change.placed().is_some());
            // Noted even if the base does not have the path: a commit that runs now may be about to put it there.
            if was_there {
                state.overlay.set(path, Change::Remove);
            }
            return Ok(was_there);
        }
    }

    /// Removes a folder's own entry and all entries below it; says how many there were.
    pub async fn remove_within(&self, folder: &RepoPath) -> Result<u64> {
        let mut removed = u64::from(self.remove(folder).await?);
        let mut below = self.list(Some(folder), None);
        while let Some((path, _)) = below.try_next().await? {
            removed += u64::from(self.remove(&path).await?);
        }
        Ok(removed)
    }

    /// All changes, by path.
    pub fn changes(&self) -> Vec<(RepoPath, Change)> {
        self.state().overlay.changes()
    }

    /// Forgets all changes.
    pub fn discard(&self) {
        self.state().overlay.discard();
    }

    /// Makes all content that was written durable; the commit does so anyway.
    pub async fn flush(&self) -> Result<()> {
        let number = self.state().overlay.number();
        self.inner.writer.flush().await?;
        self.state().overlay.flushed(number);
        Ok(())
    }

    /// The bytes of a file that is not in the bucket yet, if they are held; else it is in the bucket when this returns.
    async fn held(&self, file: &File) -> Result<Option<Bytes>> {
        let content = self.state().overlay.content(file.id);
        match content {
            Content::Held(bytes) => Ok(Some(bytes)),
            Content::Stored => Ok(None),
            Content::Unflushed => self.flush().await.map(|()| None),
        }
    }

    /// The entry of content that the writer took, whose bytes may be held to be read back.
    fn placed(&self, (id, size, at): Added, content: Option<Bytes>) -> Placed {
        self.state().overlay.hold(id, content);
        let kind = EntryKind::File(File {
            id,
            size,
            executable: false,
        });
        let entry = Entry::new(kind, self.inner.repo.now());
        Placed { entry, at }
    }

    async fn expect(&self, path: &RepoPath) -> Result<Placed> {
        let missing = || Error::NoSuchPath {
            path: path.clone(),
            at: format!("the session on {}", self.inner.branch),
        };
        self.entry(path).await?.ok_or_else(missing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .expect("no panic happens while the session is locked")
    }

    pub(crate) async fn only_move(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.moving.lock().await
    }

    pub(crate) fn capture(&self) -> Captured {
        let state = self.state();
        Captured {
            base: state.base,
            changes: state.overlay.changes(),
            number: state.overlay.number(),
        }
    }

    /// The changes up to `number` are in `base` now.
    pub(crate) fn settle(&self, base: RefTarget, number: u64) {
        let mut state = self.state();
        state.base = base;
        state.overlay.settle(number);
    }

    /// Moves the session on top of another commit. For each path of `replaced`, the change that was made there up to
    /// `number` is replaced by the one given, or forgotten when none is; all other changes stay.
    pub(crate) fn rebased(&self, base: RefTarget, number: u64, replaced: Vec<(RepoPath, Option<Change>)>) {
        let mut state = self.state();
        state.base = base;
        for (path, change) in replaced {
            state.overlay.replace(&path, change, number);
        }
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Result<Bytes> {
    let size = bytes.len() as u64;
    if range.start > range.end || range.end > size {
        return Err(drumlin_chunks::Error::Range {
            range: range.clone(),
            size,
        }
        .into());
    }
    Ok(bytes.slice(range.start as usize..range.end as usize))
}

/// Two runs in path order as one; a change hides what the base has at its path.
fn overlaid(
    base: BoxStream<'static, Result<(RepoPath, Placed)>>,
    changes: Vec<(RepoPath, Change)>,
) -> BoxStream<'static, Result<(RepoPath, Placed)>> {
    let walk = (base.peekable(), changes.into_iter().peekable());
    stream::try_unfold(walk, |(mut base, mut changes)| async move {
        loop {
            let next = match std::pin::Pin::new(&mut base).peek().await {
                Some(Ok((path, _))) => Some(path),
                Some(Err(_)) => None,
                None => match changes.next() {
                    Some((path, Change::Put(placed))) => return Ok(Some(((path, placed), (base, changes)))),
                    Some((_, Change::Remove)) => continue,
                    None => return Ok(None),
                },
            };
            let change = next.and_then(|next| changes.next_if(|(path, _)| path <= next).map(|c| (c.0 == *next, c)));
            let Some((hides, (path, change))) = change else {
                let item = base.try_next().await?.expect("it was there to be peeked at");
                return Ok(Some((item, (base, changes))));
            };
            if hides {
                base.try_next().await?;
            }
            if let Change::Put(placed) = change {
                return Ok(Some(((path, placed), (base, changes))));
            }
        }
    })
    .boxed()
}
