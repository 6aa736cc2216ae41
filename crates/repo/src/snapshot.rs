//! `Snapshot`: the files of one commit, read-only. It never changes, whatever happens to the branch that it came from.
//! `session` lays private changes over one; `objects` shows one as an object store.
//! Invariant: what is read has the hash that the tree names.

use std::ops::Range;

use bytes::Bytes;
use drumlin_model::{CommitId, EntryKind, File, Placed, RefExpr, RefTarget, RepoPath, TreeId};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, future, stream, stream::BoxStream};

use crate::{
    error::{Error, Result},
    repo::Repo,
};

/// One commit's files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    repo: Repo,
    target: RefTarget,
}

impl Repo {
    /// The files of the commit that an expression means now.
    pub async fn snapshot(&self, expr: &RefExpr) -> Result<Snapshot> {
        Ok(self.snapshot_of(self.resolve(expr).await?.target()))
    }

    /// The files of a commit.
    pub async fn snapshot_at(&self, commit: CommitId) -> Result<Snapshot> {
        Ok(self.snapshot_of(self.target(commit).await?))
    }

    /// The files of a commit whose tree is known. Reads nothing.
    pub fn snapshot_of(&self, target: RefTarget) -> Snapshot {
        Snapshot {
            repo: self.clone(),
            target,
        }
    }
}

impl Snapshot {
    pub fn commit(&self) -> CommitId {
        self.target.commit
    }
    pub fn tree(&self) -> TreeId {
        self.target.tree
    }
    pub fn target(&self) -> RefTarget {
        self.target
    }
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// What stands at the path, if anything does. A folder that holds something has no entry of its own.
    pub async fn entry(&self, path: &RepoPath) -> Result<Option<Placed>> {
        self.repo.trees().get(self.target.tree, path).await
    }

    /// Whether anything stands below the path.
    pub async fn folder_exists(&self, folder: &RepoPath) -> Result<bool> {
        self.repo.trees().folder_exists(self.target.tree, folder).await
    }

    /// The entries below a folder (all, without one) in byte order of the path, after the path `start_after`.
    /// The folder's own entry is not among them.
    pub fn list(
        &self,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, Result<(RepoPath, Placed)>> {
        self.repo.trees().list(self.target.tree, folder, start_after)
    }

    /// A whole file.
    pub async fn read(&self, path: &RepoPath) -> Result<Bytes> {
        let placed = self.expect(path).await?;
        self.read_placed(path, &placed).await
    }

    /// Some ranges of a file, each verified as far as it can be without the rest.
    pub async fn read_ranges(&self, path: &RepoPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let placed = self.expect(path).await?;
        self.read_placed_ranges(path, &placed, ranges).await
    }

    /// A whole file piece by piece, in bounded memory.
    pub fn stream(&self, path: &RepoPath) -> BoxStream<'static, Result<Bytes>> {
        let (snapshot, path) = (self.clone(), path.clone());
        async move { Ok(snapshot.stream_placed(&path, &snapshot.expect(&path).await?)) }
            .try_flatten_stream()
            .boxed()
    }

    /// Many files that a listing gave, each with its place in `files`, in any order. Files beside each other in a pack
    /// are fetched together.
    pub fn read_many(&self, files: Vec<(RepoPath, Placed)>) -> BoxStream<'static, Result<(usize, Bytes)>> {
        let files: Result<Vec<_>> = files
            .iter()
            .map(|(path, placed)| Ok((file_at(path, placed)?.clone(), placed.at)))
            .collect();
        match files {
            Ok(files) => self.repo.chunk_store().read_many(files).map_err(Error::from).boxed(),
            Err(error) => stream::once(future::ready(Err(error))).boxed(),
        }
    }

    /// The content of an entry that was found at `path`.
    pub async fn read_placed(&self, path: &RepoPath, placed: &Placed) -> Result<Bytes> {
        Ok(self.repo.chunk_store().read(file_at(path, placed)?, &placed.at).await?)
    }

    pub async fn read_placed_ranges(
        &self,
        path: &RepoPath,
        placed: &Placed,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        Ok(self
            .repo
            .chunk_store()
            .read_ranges(file_at(path, placed)?, &placed.at, ranges)
            .await?)
    }

    pub fn stream_placed(&self, path: &RepoPath, placed: &Placed) -> BoxStream<'static, Result<Bytes>> {
        match file_at(path, placed) {
            Ok(file) => self
                .repo
                .chunk_store()
                .stream(file, &placed.at)
                .map_err(Error::from)
                .boxed(),
            Err(error) => future::ready(Err(error)).into_stream().boxed(),
        }
    }

    async fn expect(&self, path: &RepoPath) -> Result<Placed> {
        let missing = || Error::NoSuchPath {
            path: path.clone(),
            at: self.target.commit.short(),
        };
        self.entry(path).await?.ok_or_else(missing)
    }
}

/// The file at the path, or why its bytes cannot be read.
pub(crate) fn file_at<'a>(path: &RepoPath, placed: &'a Placed) -> Result<&'a File> {
    match &placed.entry.kind {
        EntryKind::File(file) => Ok(file),
        EntryKind::Symlink { .. } => Err(Error::NotAFile {
            path: path.clone(),
            found: "symbolic link",
        }),
        EntryKind::Folder => Err(Error::NotAFile {
            path: path.clone(),
            found: "folder",
        }),
        EntryKind::External(external) => Err(Error::External {
            path: path.clone(),
            address: external.address(),
        }),
    }
}
