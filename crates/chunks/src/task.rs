//! Work that would block an async worker, moved to threads that may block.
//! Used by `bucket` and `writer`; the only place that joins tasks.

use std::{fs::File, io::Read, path::PathBuf};

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    format::hash_tree::BlockHasher,
};

/// Runs `work` where it may block, and waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::Stopped { task, source })?
}

pub(crate) async fn open(path: PathBuf) -> Result<File> {
    blocking("open a file", move || {
        File::open(&path).map_err(|source| Error::file("open", path, source))
    })
    .await
}

/// The next `len` bytes of a file (fewer at its end), added to the hashes.
pub(crate) async fn read_part(
    mut file: File,
    mut hashes: BlockHasher,
    path: PathBuf,
    len: usize,
) -> Result<(File, BlockHasher, Bytes)> {
    blocking("read a file", move || {
        let mut part = Vec::with_capacity(len);
        let read = (&mut file).take(len as u64).read_to_end(&mut part);
        read.map_err(|source| Error::file("read", path, source))?;
        hashes.update(&part);
        Ok((file, hashes, Bytes::from(part)))
    })
    .await
}
