//! `RootStore`: the one mutable object of a repository, changed by compare-and-swap. `repo` says what its bytes mean.
//! Two kinds: `DirectoryRoot` (a file and a lock, in `disk`) and `ObjectRoot` (the conditional put of an object store).
//! Invariant: of all swaps from one version, at most one wins.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_model::root::ROOT_LEN_MAX;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, path::Path};
use tracing::instrument;

use crate::{
    bucket::read_at_most,
    error::{Error, Result},
};

/// The key of the root, and the name of its file.
pub(crate) const KEY: &str = "root";

/// Which state of the root was read; compared by the store alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVersion {
    pub(crate) e_tag: Option<String>,
    pub(crate) version: Option<String>,
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
    #[instrument(level = "debug", name = "load root", skip_all)]
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
        let bytes = read_at_most(KEY, got, ROOT_LEN_MAX as u64).await?;
        Ok(Some((bytes, version)))
    }

    #[instrument(level = "debug", name = "swap root", skip_all, fields(bytes = bytes.len()))]
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
