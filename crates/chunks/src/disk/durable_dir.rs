//! `DurableDir`: a local folder as an object store that survives crashes.
//! Reads are `object_store`'s own; every write goes through `durable_file`. `bucket` opens it.
//! Invariant: what a returned write made visible is on the disk, and a listing never shows an unfinished file.

use std::{
    fs::Metadata,
    io::{self, Write},
    ops::Range,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, local::LocalFileSystem,
    path::Path,
};

use crate::{
    disk::durable_file::{self, Staged, TMP},
    error,
};

const STORE: &str = "DurableDir";

#[derive(Clone, Debug)]
pub(crate) struct DurableDir {
    reads: LocalFileSystem,
    folder: Arc<PathBuf>,
}

impl DurableDir {
    /// Opens a folder, makes it when it is not there, and removes what dead processes left unfinished.
    pub(crate) fn open(folder: &FilePath) -> error::Result<Self> {
        durable_file::create_folders(folder).map_err(|source| error::Error::file("make the folder", folder, source))?;
        let opened = folder
            .canonicalize()
            .map_err(|source| error::Error::file("open the folder", folder, source))?;
        let reads = LocalFileSystem::new_with_prefix(&opened)
            .map_err(|source| error::Error::store("open", &opened.to_string_lossy(), source))?;
        durable_file::remove_stale(&opened);
        Ok(Self {
            reads,
            folder: Arc::new(opened),
        })
    }

    pub(crate) fn folder(&self) -> &FilePath {
        &self.folder
    }

    /// The file of a key; the folder of unfinished files has none.
    fn file_of(&self, location: &Path) -> Result<PathBuf> {
        if is_unfinished(location) {
            let source = format!("keys below {TMP}/ are for files that are being written").into();
            return Err(Error::NotSupported { source });
        }
        self.reads.path_to_filesystem(location)
    }
}

impl std::fmt::Display for DurableDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{STORE}({})", self.folder.display())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for DurableDir {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) {
            return Err(not_implemented("put_opts with PutMode::Update"));
        }
        if !opts.attributes.is_empty() {
            return Err(not_implemented("put_opts with attributes"));
        }
        let (folder, to) = (self.folder.clone(), self.file_of(location)?);
        let create = opts.mode == PutMode::Create;
        blocking(move || {
            if create && to.symlink_metadata().is_ok() {
                durable_file::sync_parent(&to).map_err(|source| io_error(&to, source))?;
                return Err(exists(&to));
            }
            let put = || -> io::Result<Option<Metadata>> {
                let mut staged = Staged::new(&folder)?;
                payload.iter().try_for_each(|part| staged.file().write_all(part))?;
                let meta = staged.file().metadata()?;
                let published = if create {
                    staged.publish_new(&to)?
                } else {
                    staged.publish(&to).map(|()| true)?
                };
                Ok(published.then_some(meta))
            };
            let meta = put()
                .map_err(|source| io_error(&to, source))?
                .ok_or_else(|| exists(&to))?;
            Ok(PutResult {
                e_tag: Some(etag(&meta)),
                version: None,
            })
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return Err(not_implemented("put_multipart_opts with attributes"));
        }
        let (folder, to) = (self.folder.clone(), self.file_of(location)?);
        let staged = blocking(move || Staged::new(&folder).map_err(|source| io_error(&folder, source))).await?;
        Ok(Box::new(Upload {
            staged: Arc::new(Mutex::new(Some(staged))),
            to,
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.reads.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        visible(self.reads.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        visible(self.reads.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut list = self.reads.list_with_delimiter(prefix).await?;
        list.objects.retain(|meta| !is_unfinished(&meta.location));
        list.common_prefixes.retain(|prefix| !is_unfinished(prefix));
        Ok(list)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let file = self.file_of(to)?;
        self.reads.copy_opts(from, to, options).await?;
        sync_names(vec![file]).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let files = vec![self.file_of(to)?, self.file_of(from)?];
        self.reads.rename_opts(from, to, options).await?;
        sync_names(files).await
    }
}

/// An upload by parts: they may come in any order, and are seen together when it is complete.
#[derive(Debug)]
struct Upload {
    staged: Arc<Mutex<Option<Staged>>>,
    to: PathBuf,
    offset: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let (staged, to) = (self.staged.clone(), self.to.clone());
        blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let staged = staged.as_mut().ok_or_else(ended)?;
            write_at(staged, offset, &data).map_err(|source| io_error(&to, source))
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, to) = (self.staged.clone(), self.to.clone());
        blocking(move || {
            let taken = staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let mut staged = taken.ok_or_else(ended)?;
            let meta = staged.file().metadata().map_err(|source| io_error(&to, source))?;
            staged.publish(&to).map_err(|source| io_error(&to, source))?;
            Ok(PutResult {
                e_tag: Some(etag(&meta)),
                version: None,
            })
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.clone();
        blocking(move || {
            let taken = staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            taken.map(drop).ok_or_else(ended)
        })
        .await
    }
}

fn write_at(staged: &mut Staged, offset: u64, data: &PutPayload) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    staged.file().seek(SeekFrom::Start(offset))?;
    data.iter().try_for_each(|part| staged.file().write_all(part))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

async fn sync_names(files: Vec<PathBuf>) -> Result<()> {
    blocking(move || {
        files
            .iter()
            .try_for_each(|file| durable_file::sync_parent(file).map_err(|source| io_error(file, source)))
    })
    .await
}

fn is_unfinished(location: &Path) -> bool {
    location.parts().next().is_some_and(|part| part.as_ref() == TMP)
}

fn visible(list: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    list.try_filter(|meta| std::future::ready(!is_unfinished(&meta.location)))
        .boxed()
}

/// The tag that `LocalFileSystem` gives the same file when it is read.
fn etag(meta: &Metadata) -> String {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(not(unix))]
    let inode = 0u64;
    let modified = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!(
        "{inode:x}-{:x}-{:x}",
        modified.unwrap_or_default().as_micros(),
        meta.len()
    )
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_string(),
        implementer: STORE.to_string(),
    }
}

fn ended() -> Error {
    Error::Generic {
        store: STORE,
        source: "the upload has ended already".into(),
    }
}

fn exists(path: &FilePath) -> Error {
    let source = io::Error::from(io::ErrorKind::AlreadyExists).into();
    Error::AlreadyExists {
        path: path.display().to_string(),
        source,
    }
}

fn io_error(path: &FilePath, source: io::Error) -> Error {
    let path = path.display().to_string();
    match source.kind() {
        io::ErrorKind::PermissionDenied => Error::PermissionDenied {
            path,
            source: source.into(),
        },
        _ => Error::Generic {
            store: STORE,
            source: source.into(),
        },
    }
}
