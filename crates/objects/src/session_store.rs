//! `SessionStore`: a session as an object store that reads its own writes. Nothing leaves the session until it commits.
//! Reading is in `read`, multipart uploads in `upload`; this file is what a write means.
//!
//! Promises, for all clones of one store:
//! - a write is visible to every later read of the session, whole, or not at all;
//! - `Create` and `Update` compare and write as one step against every other write through the store;
//! - copy and rename place the same content at another path: no byte of it is read or written;
//! - deleting what is not there succeeds, as on S3.
//!
//! A tree has a file or a folder at a path, never both: `a` and `a/b`, which a bucket would hold side by side, are refused
//! by the write when both are of this session, else by the commit.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_model::{Attributes, EntryKind, Placed, RepoPath};
use drumlin_repo::Session;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, UpdateVersion,
    path::Path,
};
use tempfile::NamedTempFile;
use tokio::sync::RwLock;

use crate::{
    attributes::kept,
    error::Error,
    key::repo_path,
    read::{self, Object, Source, etag, object},
    upload::{Content, SessionUpload},
};

/// The smallest object that is stored as one blob instead of chunks, in bytes: it is read by range straight from the bucket,
/// and what programs write at this size (Parquet) shares no chunks with its next version.
pub const BLOB_LEN_MIN: u64 = 1 << 20;
/// Deletions of one stream that are looked up at a time.
const DELETES_MAX: usize = 16;

/// The objects of a session. Clones share one order of writes: make one store per session and clone it.
#[derive(Clone, Debug)]
pub struct SessionStore {
    session: Session,
    /// Held shared by writes that ask nothing of what stands there, alone by those that do.
    gate: Arc<RwLock<()>>,
}

impl SessionStore {
    pub fn new(session: Session) -> Self {
        Self {
            session,
            gate: Arc::default(),
        }
    }
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Stores a finished upload.
    pub(crate) async fn put_content(
        &self,
        key: &Path,
        content: Content,
        attributes: Attributes,
    ) -> Result<PutResult, Error> {
        let path = repo_path(key)?;
        let _shared = self.gate.read().await;
        self.write(key, &path, content, attributes).await
    }

    /// A file for an upload that is too long for memory.
    pub(crate) fn scratch_file(&self, key: &Path) -> Result<NamedTempFile, Error> {
        let scratch = &self.session.repo().storage().scratch;
        scratch.file().map_err(|error| Error::repo(key)(error.into()))
    }

    /// Content and attributes come to the path in one step.
    async fn write(
        &self,
        key: &Path,
        path: &RepoPath,
        content: Content,
        attributes: Attributes,
    ) -> Result<PutResult, Error> {
        let session = &self.session;
        let added = match content {
            Content::Memory(bytes) if (bytes.len() as u64) < BLOB_LEN_MIN => session.add(bytes).await,
            Content::Memory(bytes) => session.add_blob(bytes).await,
            Content::File(file) => session.add_blob_file(file.path()).await,
        };
        let mut placed = added.map_err(Error::repo(key))?;
        placed.entry.attributes = attributes;
        let e_tag = Some(etag(&placed.entry));
        session.put(path, placed).await.map_err(Error::repo(key))?;
        Ok(PutResult { e_tag, version: None })
    }

    async fn entry(&self, key: &Path, path: &RepoPath) -> Result<Option<Placed>, Error> {
        self.session.entry(path).await.map_err(Error::repo(key))
    }

    /// Refuses unless the path is free. A folder's own entry gives way to an object, as an empty folder does on a disk.
    async fn check_free(&self, key: &Path, path: &RepoPath) -> Result<(), Error> {
        match self.entry(key, path).await? {
            Some(placed) if placed.entry.kind != EntryKind::Folder => Err(Error::Exists { key: key.to_string() }),
            _ => Ok(()),
        }
    }

    /// Refuses unless the object there is the one that the caller knows.
    async fn check_unchanged(&self, key: &Path, known: UpdateVersion) -> Result<(), Error> {
        let found = match object(&self.session, key).await {
            Ok(object) => Some(etag(&object.placed.entry)),
            Err(Error::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        match (found, known.e_tag) {
            (Some(found), Some(expected)) if found == expected => Ok(()),
            (Some(_), None) => Err(Error::NoEtag { key: key.to_string() }),
            (found, expected) => Err(Error::Changed {
                key: key.to_string(),
                expected,
                found,
            }),
        }
    }

    /// Places what stands at `from` at `to` as well. The time becomes that of the copy, as on every other store.
    async fn place_copy(&self, from: &Path, to: &Path, only_new: bool) -> Result<(), Error> {
        let Object {
            placed: Placed { mut entry, at },
            ..
        } = object(&self.session, from).await?;
        let path = repo_path(to)?;
        if only_new {
            self.check_free(to, &path).await?;
        }
        entry.modified = self.session.repo().now();
        self.session
            .put(&path, Placed { entry, at })
            .await
            .map_err(Error::repo(to))
    }

    async fn delete_one(&self, key: Path) -> Result<Path> {
        let Ok(path) = repo_path(&key) else { return Ok(key) };
        let _shared = self.gate.read().await;
        // What is no object is not there for a user of objects; a symbolic link must not vanish with a bulk delete.
        match object(&self.session, &key).await {
            Ok(_) => {
                self.session.remove(&path).await.map_err(Error::repo(&key))?;
                Ok(key)
            }
            Err(Error::Missing { .. }) => Ok(key),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Source for Session {
    async fn entry(&self, path: &RepoPath) -> drumlin_repo::Result<Option<Placed>> {
        Session::entry(self, path).await
    }
    fn list(
        &self,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, drumlin_repo::Result<(RepoPath, Placed)>> {
        Session::list(self, folder, start_after)
    }
    async fn read_ranges(
        &self,
        path: &RepoPath,
        placed: &Placed,
        ranges: &[Range<u64>],
    ) -> drumlin_repo::Result<Vec<Bytes>> {
        self.read_placed_ranges(path, placed, ranges).await
    }
    fn stream(&self, path: &RepoPath, placed: &Placed) -> BoxStream<'static, drumlin_repo::Result<Bytes>> {
        self.stream_placed(path, placed)
    }
}

impl fmt::Display for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionStore({})", self.session.branch())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for SessionStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = repo_path(location)?;
        let attributes = kept(location, &opts.attributes)?;
        let content = Content::Memory(payload.into());
        match opts.mode {
            PutMode::Overwrite => {
                let _shared = self.gate.read().await;
                Ok(self.write(location, &path, content, attributes).await?)
            }
            PutMode::Create => {
                let _alone = self.gate.write().await;
                self.check_free(location, &path).await?;
                Ok(self.write(location, &path, content, attributes).await?)
            }
            PutMode::Update(known) => {
                let _alone = self.gate.write().await;
                self.check_unchanged(location, known).await?;
                Ok(self.write(location, &path, content, attributes).await?)
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        repo_path(location)?;
        let attributes = kept(location, &opts.attributes)?;
        Ok(Box::new(SessionUpload::new(self.clone(), location.clone(), attributes)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        read::get_opts(&self.session, location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        read::get_ranges(&self.session, location, ranges).await
    }

    /// Each result comes in the order of the keys; one that fails does not stop those after it.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |key| {
                let store = store.clone();
                async move { store.delete_one(key?).await }
            })
            .buffered(DELETES_MAX)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        read::list(&self.session, prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        read::list(&self.session, prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        read::list_with_delimiter(&self.session, prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        match options.mode {
            CopyMode::Overwrite => {
                let _shared = self.gate.read().await;
                Ok(self.place_copy(from, to, false).await?)
            }
            CopyMode::Create => {
                let _alone = self.gate.write().await;
                Ok(self.place_copy(from, to, true).await?)
            }
        }
    }

    /// One step: nobody sees both names or neither. Onto itself it changes nothing.
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let _alone = self.gate.write().await;
        let Object { path, .. } = object(&self.session, from).await?;
        if from == to {
            return match options.target_mode {
                RenameTargetMode::Overwrite => Ok(()),
                RenameTargetMode::Create => Err(Error::Exists { key: to.to_string() }.into()),
            };
        }
        self.place_copy(from, to, options.target_mode == RenameTargetMode::Create)
            .await?;
        self.session.remove(&path).await.map_err(Error::repo(from))?;
        Ok(())
    }
}
