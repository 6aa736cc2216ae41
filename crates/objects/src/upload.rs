//! A multipart upload into a session: parts are held in memory while they are few and kept in a scratch file after that.
//! `session_store` starts one and says how the finished content enters the session.
//! Invariant: nothing of an upload is visible in the session until it is complete, and then all of it.

use std::{
    fmt,
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use drumlin_model::Attributes;
use futures::future;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart, path::Path};
use tempfile::NamedTempFile;

use crate::{error::Error, session_store::SessionStore};

/// How much of one upload is held in memory before it moves to disk, in bytes. Above what the usual writers send in one
/// part, so that small files never touch the disk; small enough for a hundred uploads at once.
const HELD_LEN_MAX: u64 = 8 << 20;

/// What the parts amount to.
pub(crate) enum Content {
    Memory(Bytes),
    File(NamedTempFile),
}

pub(crate) struct SessionUpload {
    store: SessionStore,
    key: Path,
    attributes: Attributes,
    /// Where the next part begins, in bytes: the order of calls is the order of parts.
    len: u64,
    held: Vec<(u64, PutPayload)>,
    spool: Option<Spool>,
    ended: bool,
}

struct Spool {
    file: NamedTempFile,
    handle: Arc<File>,
    /// The bytes on disk. Parts may be dropped unpolled; their absence shows here.
    written: Arc<AtomicU64>,
}

impl SessionUpload {
    pub fn new(store: SessionStore, key: Path, attributes: Attributes) -> Self {
        Self {
            store,
            key,
            attributes,
            len: 0,
            held: Vec::new(),
            spool: None,
            ended: false,
        }
    }

    fn failed(&self) -> impl FnOnce(std::io::Error) -> Error + Send + use<> {
        let key = self.key.to_string();
        move |source| Error::Spool { key, source }
    }

    fn spool(&mut self) -> Result<(Arc<File>, Arc<AtomicU64>), Error> {
        if self.spool.is_none() {
            let spool = Spool::new(self.store.scratch_file(&self.key)?).map_err(self.failed())?;
            self.spool = Some(spool);
        }
        let spool = self.spool.as_ref().expect("it was made above");
        Ok((spool.handle.clone(), spool.written.clone()))
    }

    /// Takes the content out of a complete upload.
    fn take(&mut self) -> Result<Content, Error> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(Error::Ended {
                key: self.key.to_string(),
            });
        }
        let Some(spool) = self.spool.take() else {
            let mut bytes = BytesMut::with_capacity(self.len as usize);
            self.held
                .drain(..)
                .flat_map(|(_, part)| part)
                .for_each(|piece| bytes.extend_from_slice(&piece));
            return Ok(Content::Memory(bytes.freeze()));
        };
        if spool.written.load(Ordering::Acquire) != self.len {
            return Err(Error::MissingPart {
                key: self.key.to_string(),
            });
        }
        Ok(Content::File(spool.file))
    }
}

impl Spool {
    fn new(file: NamedTempFile) -> std::io::Result<Self> {
        let handle = Arc::new(file.as_file().try_clone()?);
        Ok(Self {
            file,
            handle,
            written: Arc::default(),
        })
    }
}

fn write_parts(file: &File, written: &AtomicU64, parts: Vec<(u64, PutPayload)>) -> std::io::Result<()> {
    for (mut at, part) in parts {
        for piece in part {
            file.write_all_at(&piece, at)?;
            at += piece.len() as u64;
            written.fetch_add(piece.len() as u64, Ordering::Release);
        }
    }
    Ok(())
}

#[async_trait]
impl MultipartUpload for SessionUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.ended {
            return Box::pin(future::ready(Err(Error::Ended {
                key: self.key.to_string(),
            }
            .into())));
        }
        let at = self.len;
        self.len += data.content_length() as u64;
        self.held.push((at, data));
        if self.len <= HELD_LEN_MAX {
            return Box::pin(future::ready(Ok(())));
        }
        let (file, written) = match self.spool() {
            Ok(spool) => spool,
            Err(error) => return Box::pin(future::ready(Err(error.into()))),
        };
        let parts = std::mem::take(&mut self.held);
        let failed = self.failed();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || write_parts(&file, &written, parts)).await?;
            Ok(done.map_err(failed)?)
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let content = self.take()?;
        let attributes = self.attributes.clone();
        Ok(self.store.put_content(&self.key, content, attributes).await?)
    }

    async fn abort(&mut self) -> Result<()> {
        self.ended = true;
        self.held.clear();
        self.spool = None;
        Ok(())
    }
}

impl fmt::Debug for SessionUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionUpload")
            .field("key", &self.key)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
