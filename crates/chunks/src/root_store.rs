//! `RootStore`: the one mutable object of a repository, changed by compare-and-swap. `repo` says what its bytes mean.
//! Two kinds: `DirectoryRoot` (a file and a lock) and `ObjectRoot` (the conditional put of an object store).
//! Invariant: of all swaps from one version, at most one wins.

use std::{
    fmt::Debug,
    fs::{File, OpenOptions},
    io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, path::Path};

use crate::{
    durable_file::{self, TMP},
    error::{Error, Result},
    task,
};

const KEY: &str = "root";
const LOCK: &str = "root.lock";

/// Which state of the root was read; compared by the store alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVersion {
    e_tag: Option<String>,
    version: Option<String>,
}

/// The answer to a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The root holds our bytes, or did until a later swap.
    Won(RootVersion),
    /// The root was not what was expected; nothing was written. (A store that repeats a request whose answer was lost may
    /// say so of a swap that took effect: look for your own operation in the root before you conclude that you lost.)
    Lost,
}

/// One mutable object.
///
/// - Linearizable: a `load` that begins after a `swap` returned sees that swap or a later one.
/// - Atomic: a swap takes effect whole or not at all, whatever moment the process dies at; readers never wait for writers.
/// - Durable: a swap that returned `Won` survives a crash of the machine.
/// - `swap(None, ..)` wins only where there is no root.
/// - An error of `swap` does not say whether it took effect: load, and look.
#[async_trait]
pub trait RootStore: Send + Sync + Debug {
    /// The bytes and their version; nothing where no root was ever written.
    async fn load(&self) -> Result<Option<(Bytes, RootVersion)>>;
    /// Writes `bytes` if the root is still at `expected`.
    async fn swap(&self, expected: Option<&RootVersion>, bytes: Bytes) -> Result<Swap>;
}

/// A file `root` in a folder: lock, read again, compare, write beside, sync, rename, sync the folder.
#[derive(Clone, Debug)]
pub struct DirectoryRoot {
    folder: Arc<PathBuf>,
}

impl DirectoryRoot {
    /// Touches nothing until it is used.
    pub fn new(folder: &FilePath) -> Self {
        Self {
            folder: Arc::new(folder.to_path_buf()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(KEY)
    }

    fn read(&self) -> Result<Option<(Bytes, RootVersion)>> {
        match std::fs::read(self.path()) {
            Ok(bytes) => {
                let version = version_of(&bytes);
                Ok(Some((bytes.into(), version)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::file("read", self.path(), source)),
        }
    }

    /// Waits until no other process or thread swaps. The lock ends with the file, so also with the process.
    fn lock(&self) -> Result<File> {
        let tmp = self.folder.join(TMP);
        let path = tmp.join(LOCK);
        let open = || {
            durable_file::create_folders(&tmp)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| Error::file("lock", &path, source))
    }

    fn swap_locked(&self, expected: Option<&RootVersion>, bytes: &[u8]) -> Result<Swap> {
        let _lock = self.lock()?;
        let current = self.read()?.map(|(_, version)| version);
        if current.as_ref() != expected {
            return Ok(Swap::Lost);
        }
        let path = self.path();
        durable_file::replace(&self.folder, &path, bytes).map_err(|source| Error::file("write", path, source))?;
        Ok(Swap::Won(version_of(bytes)))
    }
}

/// The content names the version: a root with the same bytes is the same state.
fn version_of(bytes: &[u8]) -> RootVersion {
    RootVersion {
        e_tag: Some(blake3::hash(bytes).to_string()),
        version: None,
    }
}

#[async_trait]
impl RootStore for DirectoryRoot {
    async fn load(&self) -> Result<Option<(Bytes, RootVersion)>> {
        let root = self.clone();
        task::blocking("read the root", move || root.read()).await
    }

    async fn swap(&self, expected: Option<&RootVersion>, bytes: Bytes) -> Result<Swap> {
        let (root, expected) = (self.clone(), expected.cloned());
        task::blocking("write the root", move || root.swap_locked(expected.as_ref(), &bytes)).await
    }
}

/// An object `root`, written by conditional put (`If-Match`, `If-None-Match`).
#[derive(Clone, Debug)]
pub struct ObjectRoot {
    store: Arc<dyn ObjectStore>,
}

impl ObjectRoot {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl RootStore for ObjectRoot {
    async fn load(&self) -> Result<Option<(Bytes, RootVersion)>> {
        let got = match self.store.get(&Path::from(KEY)).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(Error::store("read", KEY, source)),
        };
        let version = RootVersion {
            e_tag: got.meta.e_tag.clone(),
            version: got.meta.version.clone(),
        };
        let bytes = got.bytes().await.map_err(|source| Error::store("read", KEY, source))?;
        Ok(Some((bytes, version)))
    }

    async fn swap(&self, expected: Option<&RootVersion>, bytes: Bytes) -> Result<Swap> {
        let mode = match expected.cloned() {
            None => PutMode::Create,
            Some(RootVersion { e_tag, version }) => PutMode::Update(UpdateVersion { e_tag, version }),
        };
        match self
            .store
            .put_opts(&Path::from(KEY), PutPayload::from_bytes(bytes), mode.into())
            .await
        {
            Ok(put) => Ok(Swap::Won(RootVersion {
                e_tag: put.e_tag,
                version: put.version,
            })),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotFound { .. },
            ) => Ok(Swap::Lost),
            Err(source) => Err(Error::Store {
                action: "write",
                key: KEY.to_string(),
                source,
            }),
        }
    }
}
