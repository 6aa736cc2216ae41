//! `DirectoryRoot`: the root of a repository in a local folder, a file that is swapped under a lock.
//! Writes go through `durable_file`. Invariant: a reader sees one root or the next, whole, and never waits.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_model::root::ROOT_LEN_MAX;
use tracing::instrument;

use crate::{
    disk::durable_file::{self, TMP},
    error::{Error, Result},
    root_store::{KEY, RootStore, RootVersion, Swap},
    task,
};

const LOCK: &str = "root.lock";

/// A file `root` in a folder: lock, read again, compare, write beside, sync, rename, sync the folder.
#[derive(Clone, Debug)]
pub struct DirectoryRoot {
    folder: Arc<PathBuf>,
}

impl DirectoryRoot {
    /// Touches nothing until it is used.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: Arc::new(folder.to_path_buf()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(KEY)
    }

    fn read(&self) -> Result<Option<(Bytes, RootVersion)>> {
        // One byte more than the longest root: enough to know that it is longer.
        let read = |file: File| {
            let mut bytes = Vec::new();
            file.take(ROOT_LEN_MAX as u64 + 1)
                .read_to_end(&mut bytes)
                .map(|_| bytes)
        };
        match File::open(self.path()).and_then(read) {
            Ok(bytes) if bytes.len() > ROOT_LEN_MAX => {
                let detail = format!("it is longer than the {ROOT_LEN_MAX} bytes that are ever written");
                Err(Error::corrupt(KEY, detail))
            }
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
    #[instrument(level = "debug", name = "load root", skip_all)]
    async fn load(&self) -> Result<Option<(Bytes, RootVersion)>> {
        let root = self.clone();
        task::blocking("read the root", move || root.read()).await
    }

    #[instrument(level = "debug", name = "swap root", skip_all, fields(bytes = bytes.len()))]
    async fn swap(&self, expected: Option<&RootVersion>, bytes: Bytes) -> Result<Swap> {
        let (root, expected) = (self.clone(), expected.cloned());
        task::blocking("write the root", move || root.swap_locked(expected.as_ref(), &bytes)).await
    }
}
