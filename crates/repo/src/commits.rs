//! `CommitStore`: reads and writes commits and their provenance, each an object of its own.
//! `walk` goes through history with it; `repo` shows it.
//! Invariant: what comes from the bucket is checked against the id that it was asked by.

use std::sync::Arc;

use bytes::Bytes;
use drumlin_chunks::{Bucket, Error as ChunksError, Recent};
use drumlin_model::{
    Commit, CommitId, Provenance, ProvenanceId, Timestamp, TreeId, commit::COMMIT_LEN_MAX,
    provenance::PROVENANCE_LEN_MAX,
};
use futures::{TryStreamExt, future::try_join_all};

use crate::error::{Error, Result};

/// Commits that one handle keeps decoded, in bytes: some 60,000 of them.
const COMMITS_CACHE_LEN_MAX: usize = 16 << 20;
/// Provenance that one handle keeps decoded, in bytes.
const PROVENANCE_CACHE_LEN_MAX: usize = 16 << 20;
/// What a decoded commit takes beside its parents, with its place in the cache, in bytes.
const COMMIT_WEIGHT: usize = 256;
/// How many candidates for a prefix an error names.
const CANDIDATES_MAX: usize = 20;
const COMMITS: &str = "commits";
const PROVENANCE: &str = "provenance";

/// What a commit's provenance said, or that nobody can tell any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvenanceRead {
    Stored(Arc<Provenance>),
    /// The object is gone: it was erased, or it was lost, which a check of the repository names.
    Gone,
}

impl ProvenanceRead {
    pub fn stored(&self) -> Option<&Arc<Provenance>> {
        match self {
            ProvenanceRead::Stored(provenance) => Some(provenance),
            ProvenanceRead::Gone => None,
        }
    }
}

/// A commit of a history, with what is known of how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub id: CommitId,
    pub commit: Arc<Commit>,
    pub provenance: ProvenanceRead,
}

#[derive(Clone, Debug)]
pub(crate) struct CommitStore {
    bucket: Bucket,
    commits: Arc<Recent<CommitId, Arc<Commit>>>,
    provenance: Arc<Recent<ProvenanceId, Arc<Provenance>>>,
}

impl CommitStore {
    pub fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            commits: Arc::new(Recent::new(COMMITS_CACHE_LEN_MAX)),
            provenance: Arc::new(Recent::new(PROVENANCE_CACHE_LEN_MAX)),
        }
    }

    pub async fn read(&self, id: CommitId) -> Result<Arc<Commit>> {
        match self.commits.get(&id) {
            Some(commit) => Ok(commit),
            None => self.read_stored(id).await,
        }
    }

    /// The same, from the bucket whatever is cached.
    pub async fn read_stored(&self, id: CommitId) -> Result<Arc<Commit>> {
        let key = commit_key(id);
        let bytes = match self.bucket.get_at_most(&key, COMMIT_LEN_MAX as u64).await {
            Err(ChunksError::NoObject { .. }) => return Err(Error::NoSuchCommit { commit: id }),
            bytes => bytes?,
        };
        let commit = Arc::new(Commit::from_bytes(id, &bytes)?);
        self.keep(id, commit.clone());
        Ok(commit)
    }

    async fn write(&self, commit: Commit) -> Result<CommitId> {
        let bytes = commit.to_bytes();
        let id = CommitId::of(&bytes);
        self.bucket.put_new(&commit_key(id), Bytes::from(bytes)).await?;
        self.keep(id, Arc::new(commit));
        Ok(id)
    }

    /// Writes a commit on top of one or two others. Its tree and its provenance have to be stored.
    pub async fn write_on(
        &self,
        parents: &[(CommitId, Option<u64>)],
        tree: TreeId,
        time: Timestamp,
        provenance: ProvenanceId,
    ) -> Result<(CommitId, u64)> {
        let generation = |&(id, known): &(CommitId, Option<u64>)| async move {
            Ok::<_, Error>((id, self.generation(id, known).await?))
        };
        let parents = try_join_all(parents.iter().map(generation)).await?;
        let commit = Commit::on(parents, tree, time, provenance).expect("two parents are not too many");
        let generation = commit.generation;
        Ok((self.write(commit).await?, generation))
    }

    /// The generation of a commit: what a ref says of it, or else the commit itself.
    pub async fn generation(&self, id: CommitId, known: Option<u64>) -> Result<u64> {
        match known {
            Some(generation) => Ok(generation),
            None => Ok(self.read(id).await?.generation),
        }
    }

    fn keep(&self, id: CommitId, commit: Arc<Commit>) {
        let weight = COMMIT_WEIGHT + commit.parents.len() * size_of::<CommitId>();
        self.commits.insert(id, commit, weight);
    }

    pub async fn read_provenance(&self, id: ProvenanceId) -> Result<ProvenanceRead> {
        match self.provenance.get(&id) {
            Some(provenance) => Ok(ProvenanceRead::Stored(provenance)),
            None => self.read_stored_provenance(id).await,
        }
    }

    /// The same, from the bucket whatever is cached.
    pub async fn read_stored_provenance(&self, id: ProvenanceId) -> Result<ProvenanceRead> {
        let key = provenance_key(id);
        let bytes = match self.bucket.get_at_most(&key, PROVENANCE_LEN_MAX as u64).await {
            Err(ChunksError::NoObject { .. }) => return Ok(ProvenanceRead::Gone),
            bytes => bytes?,
        };
        let provenance = Arc::new(Provenance::from_bytes(id, &bytes)?);
        self.provenance.insert(id, provenance.clone(), bytes.len());
        Ok(ProvenanceRead::Stored(provenance))
    }

    pub async fn write_provenance(&self, provenance: Provenance) -> Result<ProvenanceId> {
        let bytes = provenance.to_bytes();
        let len = bytes.len();
        if len > PROVENANCE_LEN_MAX {
            return Err(Error::ProvenanceTooLong { len });
        }
        let id = ProvenanceId::of(&bytes);
        self.bucket.put_new(&provenance_key(id), Bytes::from(bytes)).await?;
        self.provenance.insert(id, Arc::new(provenance), len);
        Ok(id)
    }

    /// The one commit whose id starts with these hex digits.
    pub async fn find(&self, prefix: &str) -> Result<CommitId> {
        if let Ok(id) = prefix.parse() {
            return self.read(id).await.map(|_| id);
        }
        let mut candidates = Vec::new();
        let mut objects = self.bucket.list_named(COMMITS, prefix);
        while let Some(object) = objects.try_next().await? {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            if let Ok(id) = name.parse::<CommitId>() {
                candidates.push(id);
            }
        }
        candidates.sort();
        match candidates.as_slice() {
            [] => Err(Error::NoSuchRef {
                name: prefix.to_owned(),
            }),
            [id] => Ok(*id),
            _ => {
                candidates.truncate(CANDIDATES_MAX);
                Err(Error::AmbiguousCommit {
                    prefix: prefix.to_owned(),
                    candidates,
                })
            }
        }
    }
}

fn commit_key(id: CommitId) -> String {
    format!("{COMMITS}/{id}")
}

pub(crate) fn provenance_key(id: ProvenanceId) -> String {
    format!("{PROVENANCE}/{id}")
}
