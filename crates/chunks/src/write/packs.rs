//! `Packs`: the packs of one writer: the one that fills, those on their way, and what is in them.
//! `writer` and `file_builder` push records; the index learns of a pack when it has arrived.
//! Invariant: what is `seen` is in a pack that is open, on its way, or known to the index; a lost pack fails every later call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drumlin_model::{FileId, Location};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
};

use crate::{
    bucket::{Bucket, Put},
    error::{Error, Result},
    format::{
        pack::{PackBuilder, SealedPack},
        record::{self, Kind, RecordAt},
    },
    index::Index,
    keys::pack_key,
    task,
    write::pack_ids::PackIds,
};

/// With less new content than this, a writer stores without asking what others stored: asking costs more.
const ASK_LEN_MIN: u64 = 1 << 20;

/// What was added: the content's id, its size in bytes, and where it will be after the next `flush`.
pub type Added = (FileId, u64, Location);

/// What a flush made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Content that was added since the last flush, in bytes.
    pub bytes_added: u64,
    /// Of those, bytes that were not in the repository before.
    pub bytes_new: u64,
    /// What was sent to the bucket, in bytes.
    pub bytes_stored: u64,
    pub packs: u64,
    pub blobs: u64,
}

#[derive(Debug)]
pub(crate) struct Packs {
    bucket: Bucket,
    index: Arc<Index>,
    runtime: Handle,
    state: Arc<Mutex<State>>,
    uploads: Arc<Semaphore>,
    asked: OnceCell<()>,
}

#[derive(Debug)]
struct State {
    ids: PackIds,
    open: PackBuilder,
    seen: HashMap<[u8; 32], RecordAt>,
    /// Packs that were sealed and have not arrived.
    on_their_way: usize,
    /// Counts packs whose records went from `seen` to the index.
    arrivals: u64,
    failed: Option<Arc<Error>>,
    /// All new content so far, in bytes.
    len_new: u64,
    summary: WriteSummary,
}

/// A record that nobody has stored, as far as was known when `find` was asked.
pub(crate) struct NewRecord<'a> {
    pub id: &'a [u8; 32],
    pub kind: Kind,
    pub len: u32,
    pub record: &'a [u8],
    /// What `arrivals` said before `find` was called.
    pub arrivals: u64,
}

/// What became of a record.
enum Pushed {
    Stored(RecordAt),
    /// The pack is full, and has to be sent first.
    Full,
}

impl Packs {
    /// Uploads run on the runtime that this is called in.
    pub(crate) fn new(bucket: Bucket, index: Arc<Index>, mut ids: PackIds) -> Self {
        let state = State {
            open: PackBuilder::new(ids.next()),
            ids,
            seen: HashMap::new(),
            on_their_way: 0,
            arrivals: 0,
            failed: None,
            len_new: 0,
            summary: WriteSummary::default(),
        };
        let uploads = bucket.limits().uploads;
        Self {
            bucket,
            index,
            runtime: Handle::current(),
            state: Arc::new(Mutex::new(state)),
            uploads: Arc::new(Semaphore::new(uploads as usize)),
            asked: OnceCell::new(),
        }
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Where a record is, if this writer wrote it or the index knows of it.
    pub(crate) fn find(&self, id: &[u8; 32]) -> Option<RecordAt> {
        let seen = lock(&self.state).seen.get(id).copied();
        seen.or_else(|| self.index.find(id))
    }

    /// How many packs have arrived. Read it before `find` and pass it to `push`, which looks again if it has changed.
    pub(crate) fn arrivals(&self) -> u64 {
        lock(&self.state).arrivals
    }

    /// Before `len` bytes of content are looked up: once there is enough new content, the index learns what others stored.
    pub(crate) fn ask_if_due(&self, len: usize) -> Result<()> {
        if self.has_to_ask(len) {
            self.runtime.block_on(self.ask())
        } else {
            Ok(())
        }
    }

    fn has_to_ask(&self, len: usize) -> bool {
        !self.asked.initialized() && lock(&self.state).len_new + len as u64 >= ASK_LEN_MIN
    }

    async fn ask(&self) -> Result<()> {
        self.asked.get_or_try_init(|| self.index.refresh()).await.copied()
    }

    /// Content of one chunk.
    pub(crate) async fn add_small(&self, content: &[u8]) -> Result<Added> {
        if self.has_to_ask(content.len()) {
            self.ask().await?;
        }
        let arrivals = self.arrivals();
        let (id, known) = self.look_up(content)?;
        let location = match known {
            Some(location) => location,
            None => self
                .push(&small(&id, content, &record::seal(content), arrivals))
                .await?
                .location(),
        };
        Ok((id, content.len() as u64, location))
    }

    pub(crate) fn add_small_blocking(&self, content: &[u8]) -> Result<Added> {
        self.ask_if_due(content.len())?;
        let arrivals = self.arrivals();
        let (id, known) = self.look_up(content)?;
        let location = match known {
            Some(location) => location,
            None => self
                .push_blocking(&small(&id, content, &record::seal(content), arrivals))?
                .location(),
        };
        Ok((id, content.len() as u64, location))
    }

    /// The content's id, and where it is if that is known. Empty content is nowhere.
    fn look_up(&self, content: &[u8]) -> Result<(FileId, Option<Location>)> {
        self.accept(content.len() as u64)?;
        let id = FileId::of(content);
        if content.is_empty() {
            return Ok((id, Some(Location::Unknown)));
        }
        Ok((id, self.find(id.as_bytes()).map(|at| at.location())))
    }

    /// Counts content, unless the writer has lost some.
    pub(crate) fn accept(&self, len: u64) -> Result<()> {
        let mut state = lock(&self.state);
        state.check()?;
        state.summary.bytes_added += len;
        Ok(())
    }

    /// Counts a blob, and what its outboard took, which is written each time.
    pub(crate) fn blob_added(&self, len: u64, put: Put, outboard_len: u64) {
        let mut state = lock(&self.state);
        state.summary.bytes_added += len;
        state.summary.bytes_stored += outboard_len;
        if put == Put::Written {
            state.summary.bytes_new += len;
            state.summary.bytes_stored += len;
            state.summary.blobs += 1;
        }
    }

    /// Stores a record, unless it is stored already; waits while packs are on their way.
    async fn push(&self, new: &NewRecord<'_>) -> Result<RecordAt> {
        loop {
            match self.try_push(new)? {
                Pushed::Stored(at) => return Ok(at),
                Pushed::Full => self.send_if_full(new.record.len(), self.slot().await),
            }
        }
    }

    /// The same on a thread that may block.
    pub(crate) fn push_blocking(&self, new: &NewRecord<'_>) -> Result<RecordAt> {
        loop {
            match self.try_push(new)? {
                Pushed::Stored(at) => return Ok(at),
                Pushed::Full => self.send_if_full(new.record.len(), self.runtime.block_on(self.slot())),
            }
        }
    }

    fn try_push(&self, new: &NewRecord<'_>) -> Result<Pushed> {
        let mut state = lock(&self.state);
        state.check()?;
        let seen = state.seen.get(new.id).copied();
        let arrived = || self.index.find(new.id);
        if let Some(at) = if state.arrivals == new.arrivals {
            seen
        } else {
            seen.or_else(arrived)
        } {
            return Ok(Pushed::Stored(at));
        }
        if !state.open.fits(new.record.len()) {
            return Ok(Pushed::Full);
        }
        let at = state.open.push(new.id, new.kind, new.len, new.record);
        state.seen.insert(*new.id, at);
        if new.kind == Kind::Chunk {
            state.len_new += u64::from(new.len);
            state.summary.bytes_new += u64::from(new.len);
        }
        Ok(Pushed::Stored(at))
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        self.uploads
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Sends the open pack, unless another thread did while this one waited.
    fn send_if_full(&self, record_len: usize, slot: OwnedSemaphorePermit) {
        let mut state = lock(&self.state);
        if !state.open.fits(record_len) {
            self.send(&mut state, slot);
        }
    }

    fn send(&self, state: &mut State, slot: OwnedSemaphorePermit) {
        let pack = {
            let next = PackBuilder::new(state.ids.next());
            std::mem::replace(&mut state.open, next)
        };
        state.on_their_way += 1;
        self.runtime.spawn(upload(
            self.bucket.clone(),
            self.index.clone(),
            self.state.clone(),
            pack,
            slot,
        ));
    }

    pub(crate) async fn flush(&self) -> Result<WriteSummary> {
        {
            // Given back at the end of the block where there is nothing to send.
            let slot = self.slot().await;
            let mut state = lock(&self.state);
            if state.failed.is_none() && !state.open.is_empty() {
                self.send(&mut state, slot);
            }
        }
        // All slots are free only when every pack has arrived, or failed to.
        let _all = self
            .uploads
            .acquire_many(self.bucket.limits().uploads)
            .await
            .expect("the semaphore is never closed");
        let mut state = lock(&self.state);
        state.check()?;
        Ok(std::mem::take(&mut state.summary))
    }
}

fn small<'a>(id: &'a FileId, content: &[u8], record: &'a [u8], arrivals: u64) -> NewRecord<'a> {
    NewRecord {
        id: id.as_bytes(),
        kind: Kind::Chunk,
        len: content.len() as u32,
        record,
        arrivals,
    }
}

impl State {
    fn check(&self) -> Result<()> {
        self.failed
            .as_ref()
            .map_or(Ok(()), |source| Err(Error::WriterFailed { source: source.clone() }))
    }
}

/// Holds a slot until its pack has arrived; a task that ends in any other way leaves a failure behind.
struct Trip {
    state: Arc<Mutex<State>>,
    arrived: bool,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Trip {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.on_their_way -= 1;
        if !self.arrived && state.failed.is_none() {
            state.failed = Some(Arc::new(Error::Abandoned { task: "send a pack" }));
        }
    }
}

async fn upload(
    bucket: Bucket,
    index: Arc<Index>,
    state: Arc<Mutex<State>>,
    pack: PackBuilder,
    slot: OwnedSemaphorePermit,
) {
    let mut trip = Trip {
        state,
        arrived: false,
        _slot: slot,
    };
    match send_pack(&bucket, &index, pack).await {
        Ok(sent) => {
            let mut state = lock(&trip.state);
            state.summary.packs += 1;
            state.arrivals += 1;
            state.summary.bytes_stored += sent.bytes.len() as u64;
            // The index knows them now.
            for id in sent.footer.rows().iter().filter_map(|row| row.first_chunk::<32>()) {
                state.seen.remove(id);
            }
        }
        Err(error) => {
            lock(&trip.state).failed.get_or_insert(Arc::new(error));
        }
    }
    trip.arrived = true;
    // The index is a view: that it could not be merged now is made up for by the next writer.
    let _ = index.compact_if_due().await;
}

async fn send_pack(bucket: &Bucket, index: &Index, pack: PackBuilder) -> Result<SealedPack> {
    let sealed = task::blocking("seal a pack", move || Ok(pack.seal())).await?;
    // A pack's id is random: one that existed is ours, from a request whose answer was lost.
    bucket.put_new(&pack_key(&sealed.id), sealed.bytes.clone()).await?;
    index.register(sealed.footer.clone()).await;
    Ok(sealed)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
