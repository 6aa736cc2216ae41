//! What the tests of this crate share: sessions and commits in a line each, over a repository in memory.

use bytes::Bytes;
use drumlin_model::{CommitId, RefName};
use drumlin_repo::{Repo, Session};
pub use drumlin_testkit::path;
use drumlin_testkit::{TestRepo, info};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

pub async fn repo() -> Repo {
    TestRepo::memory().await.repo
}

pub fn main() -> RefName {
    RefName::new("main").unwrap()
}

pub async fn session(repo: &Repo) -> Session {
    repo.session(&main()).await.unwrap()
}

pub async fn write(session: &Session, at: &str, content: &str) {
    session.write(&path(at), Bytes::from(content.to_owned())).await.unwrap();
}

pub async fn commit(session: &Session) -> CommitId {
    session.commit(info("a test")).await.unwrap()
}

/// A repository with these files, each holding its own path, and the session that committed them.
pub async fn repo_with(files: &[&str]) -> Repo {
    let repo = repo().await;
    let session = session(&repo).await;
    for file in files {
        write(&session, file, file).await;
    }
    commit(&session).await;
    repo
}

pub async fn get(store: &dyn ObjectStore, key: &str) -> object_store::Result<Bytes> {
    store.get(&Path::parse(key).unwrap()).await?.bytes().await
}

/// Bytes that neither compress nor repeat, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes())
    });
    words.flatten().take(len).collect()
}
