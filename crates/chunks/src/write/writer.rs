//! `ContentWriter`: content in, ids and locations out. Fills packs in memory, sends full ones in the background.
//! `repo`'s sessions own one each and flush it before they commit; `file_builder` cuts long files.
//! Invariant: once a pack was lost nothing more is accepted, so a `flush` that returns well covers all that was returned before.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use drumlin_model::{FileId, Location};
use tokio::sync::Semaphore;

use crate::{
    bucket::{Bucket, Put},
    error::{Error, Result},
    format::{cutter::CHUNK_LEN_MAX, hash_tree::BlockHasher, outboard::Outboard, recipe::Segments},
    index::Index,
    keys::{blob_key, outboard_key},
    progress::{NoProgress, Progress},
    task,
    write::{
        file_builder::{BATCH_LEN, FileBuilder},
        pack_ids::PackIds,
        packs::{Added, Packs, WriteSummary},
    },
};

/// Files read at once by `add_file`, each on a thread of its own. Enough to hide a disk's latency, and far from the 512 threads
/// that a runtime has for blocking, all of which would otherwise wait for an upload that needs one of them.
const FILES_AT_ONCE: usize = 16;
/// Content up to this long is hashed and compressed where it is, because moving it to another thread takes as long.
const INLINE_LEN_MAX: usize = 32 << 10;
/// Batches that are read ahead of the one in work.
const BLOCKS_AHEAD: usize = 1;

/// Clones write into the same packs, from as many tasks as there are.
#[derive(Clone, Debug)]
pub struct ContentWriter {
    packs: Arc<Packs>,
    files: Arc<Semaphore>,
    segments: Segments,
}

impl ContentWriter {
    pub(crate) fn new(bucket: Bucket, index: Arc<Index>, ids: PackIds, segments: Segments) -> Self {
        Self {
            packs: Arc::new(Packs::new(bucket, index, ids)),
            files: Arc::new(Semaphore::new(FILES_AT_ONCE)),
            segments,
        }
    }

    pub async fn add_bytes(&self, content: Bytes) -> Result<Added> {
        if content.len() <= INLINE_LEN_MAX {
            return self.packs.add_small(&content).await;
        }
        let (packs, segments) = (self.packs.clone(), self.segments);
        let _turn = self.turn().await;
        task::blocking("add content", move || {
            if content.len() <= CHUNK_LEN_MAX {
                return packs.add_small_blocking(&content);
            }
            let mut builder = FileBuilder::new(packs, segments);
            for block in content.chunks(BATCH_LEN) {
                builder.extend(block);
                builder.store_waiting()?;
            }
            builder.finish()
        })
        .await
    }

    async fn turn(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.files
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    pub async fn add_file(&self, path: &Path) -> Result<Added> {
        let (writer, path) = (self.clone(), path.to_path_buf());
        let _turn = self.turn().await;
        task::blocking("add a file", move || writer.add_file_blocking(&path, &NoProgress)).await
    }

    /// `add_file` for a thread that may block, for instance one of a pool that walks a folder: no async worker may call it.
    /// Tells `progress` of the bytes that are read; begins and ends no task.
    pub fn add_file_blocking(&self, path: &Path, progress: &dyn Progress) -> Result<Added> {
        let failed = |source| Error::file("read", path, source);
        let mut file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        if len > self.segments.file_len_max() {
            return Err(Error::FileTooLong {
                len_max: self.segments.file_len_max(),
            });
        }
        let mut head = Vec::with_capacity((len as usize).min(CHUNK_LEN_MAX) + 1);
        (&mut file)
            .take(CHUNK_LEN_MAX as u64 + 1)
            .read_to_end(&mut head)
            .map_err(failed)?;
        progress.advance(head.len() as u64);
        if head.len() <= CHUNK_LEN_MAX {
            return self.packs.add_small_blocking(&head);
        }
        let mut builder = FileBuilder::new(self.packs.clone(), self.segments);
        builder.extend(&head);
        std::thread::scope(|scope| {
            let (send, blocks) = mpsc::sync_channel::<std::io::Result<Vec<u8>>>(BLOCKS_AHEAD);
            scope.spawn(move || read_blocks(file, &send));
            for block in blocks {
                let block = block.map_err(failed)?;
                builder.extend(&block);
                builder.store_waiting()?;
                progress.advance(block.len() as u64);
            }
            builder.finish()
        })
    }

    /// A file that comes piece by piece.
    pub fn file(&self) -> FileWriter {
        FileWriter {
            builder: FileBuilder::new(self.packs.clone(), self.segments),
        }
    }

    /// Stores content as one object of its own, which is durable when this returns.
    pub async fn add_blob(&self, content: Bytes) -> Result<Added> {
        if content.is_empty() {
            return self.packs.add_small(&content).await;
        }
        let hashed = content.clone();
        let (id, outboard) = task::blocking("hash content", move || {
            let mut hasher = BlockHasher::default();
            hasher.update(&hashed);
            Ok(Outboard::of_hashed(hasher))
        })
        .await?;
        let (key, size) = (blob_key(&id), content.len() as u64);
        self.put_blob(id, size, outboard, self.bucket().put_new(&key, content))
            .await
    }

    /// The same for a file, which is read twice: to name it, and to send it.
    pub async fn add_blob_file(&self, path: &Path) -> Result<Added> {
        let (mut file, mut hasher) = (task::open(path.to_path_buf()).await?, BlockHasher::default());
        loop {
            let part;
            (file, hasher, part) = task::read_part(file, hasher, path.to_path_buf(), BATCH_LEN).await?;
            if part.is_empty() {
                break;
            }
        }
        let size = hasher.size();
        if size == 0 {
            return self.packs.add_small(&[]).await;
        }
        let (id, outboard) = Outboard::of_hashed(hasher);
        let key = blob_key(&id);
        let put = self.bucket().put_file_checked(&key, path, Some(id));
        self.put_blob(id, size, outboard, put).await
    }

    /// Both objects at once: nobody knows of the blob before both are there. An outboard replaces one that was damaged.
    async fn put_blob(
        &self,
        id: FileId,
        size: u64,
        outboard: Outboard,
        blob: impl Future<Output = Result<Put>>,
    ) -> Result<Added> {
        let put_outboard = async {
            if !outboard.is_stored() {
                return Ok(0);
            }
            let object = outboard.to_object();
            let len = object.len() as u64;
            self.bucket().put(&outboard_key(&id), object).await.map(|()| len)
        };
        let (put, outboard_len) = futures::try_join!(blob, put_outboard)?;
        self.packs.blob_added(size, put, outboard_len);
        Ok((id, size, Location::Blob))
    }

    fn bucket(&self) -> &Bucket {
        self.packs.bucket()
    }

    /// Sends what is not sent yet. Only when this returned well is everything durable that was returned before it was called.
    /// The writer goes on being usable.
    pub async fn flush(&self) -> Result<WriteSummary> {
        self.packs.flush().await
    }
}

/// Reads to the end, or to the first error, or until nobody listens.
fn read_blocks(mut file: File, send: &mpsc::SyncSender<std::io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BATCH_LEN);
        let read = (&mut file).take(BATCH_LEN as u64).read_to_end(&mut block);
        let last = !matches!(read, Ok(len) if len > 0);
        if last && read.is_ok() {
            return;
        }
        if send.send(read.map(|_| block)).is_err() || last {
            return;
        }
    }
}

/// A file that is being written piece by piece. Dropped before `finish`, it leaves nothing but chunks that nobody names.
pub struct FileWriter {
    builder: FileBuilder,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter")
            .field("waiting", &self.builder.waiting())
            .finish_non_exhaustive()
    }
}

impl FileWriter {
    /// The next bytes of the file.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let room = BATCH_LEN.saturating_sub(self.builder.waiting()).max(1);
            self.builder.extend(&bytes.split_to(room.min(bytes.len())));
            if self.builder.waiting() >= BATCH_LEN {
                let empty = self.builder.placeholder();
                let mut builder = std::mem::replace(&mut self.builder, empty);
                self.builder =
                    task::blocking("store content", move || builder.store_waiting().map(|()| builder)).await?;
            }
        }
        Ok(())
    }

    pub async fn finish(self) -> Result<Added> {
        task::blocking("store content", move || self.builder.finish()).await
    }
}
