//! `TestRepo`: a repository with the few calls that every test of versioning repeats, in words of one line.
//! Over memory, a folder, or any storage that a test wraps.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use drumlin_chunks::{NoProgress, Storage};
use drumlin_model::{By, CommitId, EntryKind, Provenance, RefName, RepoPath, Timestamp, Verb};
use drumlin_repo::{CommitInfo, Repo, Result, Session};
use futures::TryStreamExt;

use crate::TestClock;

#[derive(Clone, Debug)]
pub struct TestRepo {
    pub repo: Repo,
    pub clock: TestClock,
}

/// A path that the test knows to be valid.
pub fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("the test gives a valid path")
}

/// A ref's name that the test knows to be valid.
pub fn name(text: &str) -> RefName {
    RefName::new(text).expect("the test gives a valid name")
}

pub fn author() -> By {
    By::new("tester", Timestamp::from_micros(0))
}

pub fn info(message: &str) -> CommitInfo {
    CommitInfo::new(By::new("tester", Timestamp::default()), Verb::Commit, message)
}

impl TestRepo {
    pub async fn memory() -> Self {
        Self::create(Storage::memory()).await
    }

    pub async fn create(storage: Storage) -> Self {
        let clock = TestClock::new();
        let repo = Repo::create(storage, Arc::new(clock.clone()), &name("main"))
            .await
            .expect("the storage is empty");
        Self { repo, clock }
    }

    /// Another handle, with caches of its own, on the same storage: another process, nearly.
    pub async fn reopen(&self) -> Self {
        Self::open(self.repo.storage().clone(), self.clock.clone()).await
    }

    pub async fn open(storage: Storage, clock: TestClock) -> Self {
        let repo = Repo::open(storage, Arc::new(clock.clone()))
            .await
            .expect("opening reads nothing");
        Self { repo, clock }
    }

    pub async fn session(&self, branch: &str) -> Session {
        self.repo.session(&name(branch)).await.expect("the branch is there")
    }

    /// Commits new contents of files, and removes those whose content is none.
    pub async fn commit(&self, branch: &str, files: &[(&str, Option<&str>)]) -> Result<CommitId> {
        let session = self.repo.session(&name(branch)).await?;
        for (file, content) in files {
            match content {
                Some(content) => {
                    session
                        .write(&path(file), Bytes::from(content.as_bytes().to_vec()))
                        .await?
                }
                None => drop(session.remove(&path(file)).await?),
            }
        }
        session.commit(info("change files")).await
    }

    /// Commits one file.
    pub async fn write(&self, branch: &str, file: &str, content: &str) -> Result<CommitId> {
        self.commit(branch, &[(file, Some(content))]).await
    }

    pub async fn head(&self, branch: &str) -> Result<CommitId> {
        Ok(self.repo.resolve(&name(branch).into()).await?.commit)
    }

    /// All files of a commit and their contents.
    pub async fn files(&self, commit: CommitId) -> Result<BTreeMap<String, Bytes>> {
        let snapshot = self.repo.snapshot_at(commit).await?;
        let mut files = BTreeMap::new();
        let mut entries = snapshot.list(None, None);
        while let Some((path, placed)) = entries.try_next().await? {
            if let EntryKind::File(_) = &placed.entry.kind {
                files.insert(path.to_string(), snapshot.read_placed(&path, &placed).await?);
            }
        }
        Ok(files)
    }

    /// What a commit that is there says of itself.
    pub async fn provenance(&self, commit: CommitId) -> Arc<Provenance> {
        let recorded = self.repo.recorded(commit).await.expect("the commit is there");
        recorded.provenance.stored().expect("its provenance is there").clone()
    }

    /// All files of a branch that is there, and can be read.
    pub async fn files_at(&self, branch: &str) -> BTreeMap<String, Bytes> {
        let head = self.head(branch).await.expect("the branch is there");
        self.files(head).await.expect("the branch can be read")
    }

    /// The problems that a check finds, as text.
    pub async fn problems(&self) -> Result<Vec<String>> {
        let report = self.repo.fsck(&NoProgress).await?;
        Ok(report.problems.iter().map(ToString::to_string).collect())
    }
}
