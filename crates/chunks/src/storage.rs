//! `Storage`: everything outside of the process that a repository stands on, as one value.
//! `repo` is opened with it; which kinds of store there are is decided here and in the command line alone.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use tempfile::{NamedTempFile, TempDir};

use crate::{
    bucket::Bucket,
    disk::{directory_root::DirectoryRoot, durable_file},
    error::{Error, Result},
    place::Place,
    root_store::{ObjectRoot, RootStore},
};

#[derive(Clone, Debug)]
pub struct Storage {
    pub bucket: Bucket,
    pub root: Arc<dyn RootStore>,
    /// A local folder for copies of pack footers and index objects. It may be deleted at any time.
    pub cache: Option<PathBuf>,
    /// A local folder for what does not fit into memory.
    pub scratch: Scratch,
}

impl Storage {
    /// A repository that is gone with the process.
    pub fn memory() -> Self {
        let bucket = Bucket::memory();
        let root = Arc::new(ObjectRoot::new(bucket.object_store()));
        Self {
            bucket,
            root,
            cache: None,
            scratch: Scratch::temporary(),
        }
    }

    /// The repository at a place. Only folders can be opened: a bucket is `Error::NotAFolder`, of the kind `Unsupported`.
    pub fn open(place: &Place) -> Result<Self> {
        match place {
            Place::Folder(folder) => Self::directory(folder),
            Place::Bucket { .. } => Err(Error::NotAFolder {
                place: place.to_string(),
            }),
        }
    }

    /// A repository in a local folder, which is made when it is not there. Needs no cache: footers are local files already.
    pub fn directory(folder: &Path) -> Result<Self> {
        let bucket = Bucket::directory(folder)?;
        let root = Arc::new(DirectoryRoot::new(folder));
        Ok(Self {
            bucket,
            root,
            cache: None,
            scratch: Scratch::folder(folder.join("tmp")),
        })
    }
}

/// A folder for files that outlive no process: one that was given, or one of our own that is made when first asked for.
#[derive(Clone, Debug)]
pub struct Scratch(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Folder(PathBuf),
    Temporary(Arc<OnceLock<TempDir>>),
}

impl Scratch {
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Folder(path.into()))
    }

    /// Removed with the last clone of this value.
    pub fn temporary() -> Self {
        Self(Kind::Temporary(Arc::default()))
    }

    /// A new file in the folder, gone with the value. What a killed process left of them is removed when a repository in
    /// the folder is opened later.
    pub fn file(&self) -> Result<NamedTempFile> {
        let folder = self.path()?;
        durable_file::temporary_in(&folder).map_err(|source| Error::file("make a file in", folder, source))
    }

    /// The folder, which is there when this returns.
    pub fn path(&self) -> Result<PathBuf> {
        match &self.0 {
            Kind::Folder(path) => {
                std::fs::create_dir_all(path).map_err(|source| Error::file("make the folder", path, source))?;
                Ok(path.clone())
            }
            Kind::Temporary(cell) => {
                if cell.get().is_none() {
                    let made = TempDir::with_prefix("drumlin-");
                    let made = made.map_err(|source| Error::file("make", "a temporary folder", source))?;
                    // Another thread may have been first; then ours is removed again.
                    let _ = cell.set(made);
                }
                Ok(cell.get().expect("set a line above").path().to_path_buf())
            }
        }
    }
}
