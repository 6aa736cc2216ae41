//! `Cache`: local copies of pack footers and index objects, so that each is fetched once per clone. `index` owns it.
//! Everything in it may be deleted at any time, and no failure of it is anyone's error.
//! Invariant: a file of the cache is verified when it is read (footers) or before it was written (index objects).

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use drumlin_model::PackId;

use crate::{disk::durable_file::Staged, format::pack::Footer};

const FOOTERS: &str = "footers";
const OBJECTS: &str = "index";

#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    fn path(&self, kind: &str, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(kind).join(name))
    }

    pub(crate) async fn footer(&self, pack: PackId) -> Option<Footer> {
        let path = self.path(FOOTERS, &pack.to_string())?;
        let bytes = quietly(move || fs::read(path)).await?;
        Footer::from_tail(pack, &Bytes::from(bytes)).ok()
    }

    pub(crate) async fn put_footer(&self, footer: &Footer) {
        self.put(FOOTERS, &footer.pack.to_string(), footer.bytes.clone()).await;
    }

    /// The file of an index object, if it is here.
    pub(crate) fn object(&self, name: &str) -> Option<PathBuf> {
        self.path(OBJECTS, name).filter(|path| path.exists())
    }

    /// Keeps a verified index object; its file, if that went well.
    pub(crate) async fn put_object(&self, name: &str, bytes: Bytes) -> Option<PathBuf> {
        self.put(OBJECTS, name, bytes).await
    }

    pub(crate) async fn forget_object(&self, name: &str) {
        if let Some(path) = self.path(OBJECTS, name) {
            quietly(move || fs::remove_file(path)).await;
        }
    }

    async fn put(&self, kind: &str, name: &str, bytes: Bytes) -> Option<PathBuf> {
        let (folder, path) = (self.folder.clone()?, self.path(kind, name)?);
        let durable = kind == OBJECTS;
        quietly(move || write(&folder, &path, &bytes, durable).map(|()| path)).await
    }
}

fn write(folder: &Path, path: &Path, bytes: &[u8], durable: bool) -> std::io::Result<()> {
    use std::io::Write;
    let mut staged = Staged::new(folder)?;
    staged.file().write_all(bytes)?;
    // Footers are verified when they are read; index objects are too long for that.
    if durable {
        staged.publish(path)
    } else {
        staged.publish_unsynced(path)
    }
}

/// Runs `work` where it may block; an error is as good as nothing.
async fn quietly<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()?.ok()
}
