//! `RootFile`: the repository's one mutable object, and `Transaction`: one change of it, tried until it is in.
//! `refs`, `commit`, `merge` and `operations` decide what changes; only this module swaps.
//! Invariant: an operation's id is chosen once and looked for before every new try, so no change happens twice,
//! whatever answers are lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use drumlin_chunks::{Bucket, RootStore, RootVersion, Swap};
use drumlin_model::{
    ErrorKind, Operation, OperationId, OperationPage, RefChange, RefKind, RefName, RefTarget, Root, Timestamp,
    root::ROOT_LEN_MAX,
};

use crate::error::{Error, Result};

/// When the root holds more operations than this, the oldest move to an object of their own...
pub const OPERATIONS_IN_ROOT_MAX: usize = 128;
/// ... until so many are left: what `op log` shows first, and far more than can pass while an answer is lost.
pub const OPERATIONS_IN_ROOT_KEPT: usize = 64;
/// How often a change is tried when others keep winning. At the longest wait this is over two minutes.
pub const SWAP_ATTEMPTS_MAX: u32 = 500;
/// How often the store may fail to answer one change before we give up.
const UNANSWERED_MAX: u32 = 4;
const WAIT_MS_FIRST: u64 = 2;
const WAIT_MS_MAX: u64 = 500;

#[derive(Debug)]
pub(crate) struct RootFile {
    store: Arc<dyn RootStore>,
    bucket: Bucket,
    /// What this handle read or wrote last. May be out of date: only good for a swap, which then finds out.
    seen: Mutex<Option<Arc<Loaded>>>,
}

#[derive(Debug)]
pub(crate) struct Loaded {
    pub root: Root,
    version: RootVersion,
}

/// Who changes the root, and how that is called in the operation log.
pub(crate) struct Intent {
    pub verb: String,
    pub actor: String,
    pub time: Timestamp,
}

impl RootFile {
    pub fn new(store: Arc<dyn RootStore>, bucket: Bucket) -> Self {
        Self {
            store,
            bucket,
            seen: Mutex::new(None),
        }
    }

    /// The root as it is now.
    pub async fn load(&self) -> Result<Arc<Loaded>> {
        let (bytes, version) = self.store.load().await?.ok_or(Error::NoRepository)?;
        let loaded = Arc::new(Loaded {
            root: Root::from_bytes(&bytes)?,
            version,
        });
        self.remember(&loaded);
        Ok(loaded)
    }

    /// Writes the first root; a repository that is there already is left alone.
    pub async fn create(&self, root: Root) -> Result<()> {
        let ours = root.operations.last().map(|operation| operation.id);
        let answer = self.store.swap(None, Bytes::from(root.to_bytes())).await;
        if let Ok(Swap::Won(version)) = answer {
            self.remember(&Arc::new(Loaded { root, version }));
            return Ok(());
        }
        match self.load().await {
            Ok(loaded)
                if loaded
                    .root
                    .operations
                    .iter()
                    .any(|operation| Some(operation.id) == ours) =>
            {
                Ok(())
            }
            Ok(_) => Err(Error::RepositoryExists),
            Err(error) => Err(answer.err().map_or(error, Error::Chunks)),
        }
    }

    /// Whether any root is there, readable or not.
    pub async fn exists(&self) -> Result<bool> {
        Ok(self.store.load().await?.is_some())
    }

    pub async fn begin(&self, intent: Intent) -> Result<Transaction<'_>> {
        let loaded = self.load().await?;
        Ok(self.transaction(intent, loaded))
    }

    /// Begins without a look at the root if `branch` stood at `target` when it was seen last; a swap finds out.
    pub async fn begin_at(&self, intent: Intent, branch: &RefName, target: RefTarget) -> Result<Transaction<'_>> {
        let seen = self.seen.lock().expect("no panic happens while it is locked").clone();
        match seen.filter(|seen| seen.root.refs.get(RefKind::Branch, branch) == Some(target)) {
            Some(loaded) => Ok(self.transaction(intent, loaded)),
            None => self.begin(intent).await,
        }
    }

    fn transaction(&self, intent: Intent, loaded: Arc<Loaded>) -> Transaction<'_> {
        let id = OperationId::from_bytes(rand::random());
        Transaction {
            file: self,
            intent,
            id,
            loaded,
            attempts: 0,
            unanswered: 0,
        }
    }

    pub async fn page(&self, id: OperationId) -> Result<OperationPage> {
        let bytes = self.bucket.get(&page_key(id)).await?;
        Ok(OperationPage::from_bytes(id, &bytes)?)
    }

    fn remember(&self, loaded: &Arc<Loaded>) {
        *self.seen.lock().expect("no panic happens while it is locked") = Some(loaded.clone());
    }
}

/// One change of the root. The caller plans against `refs`, then calls `swap`, and plans again when that says `None`.
pub(crate) struct Transaction<'a> {
    file: &'a RootFile,
    intent: Intent,
    id: OperationId,
    loaded: Arc<Loaded>,
    attempts: u32,
    unanswered: u32,
}

impl Transaction<'_> {
    pub fn root(&self) -> &Root {
        &self.loaded.root
    }

    pub fn branch(&self, name: &RefName) -> Result<RefTarget> {
        let target = self.root().refs.get(RefKind::Branch, name);
        target.ok_or_else(|| Error::NoSuchBranch { name: name.clone() })
    }

    /// Tries to make `changes`. The operation is what happened, which after a lost answer may be an earlier try.
    pub async fn swap(&mut self, changes: Vec<RefChange>, summary: String) -> Result<Option<Operation>> {
        let operation = Operation {
            id: self.id,
            time: self.intent.time,
            actor: self.intent.actor.clone(),
            verb: self.intent.verb.clone(),
            summary,
            changes,
        };
        let root = self.next_root(operation.clone()).await?;
        self.attempts += 1;
        let bytes = Bytes::from(root.to_bytes());
        if bytes.len() > ROOT_LEN_MAX {
            let refs = root.refs.branches.len() + root.refs.tags.len();
            return Err(Error::TooManyRefs { refs });
        }
        match self.file.store.swap(Some(&self.loaded.version), bytes).await {
            Ok(Swap::Won(version)) => {
                self.file.remember(&Arc::new(Loaded { root, version }));
                Ok(Some(operation))
            }
            Ok(Swap::Lost) => self.look_again(None).await,
            Err(error) => self.look_again(Some(error)).await,
        }
    }

    /// Reads the root again: our operation is in it if an answer was lost, else the change has to be planned anew.
    /// A store that retries by itself may say that we lost to our own first try, so no answer but this one is final.
    async fn look_again(&mut self, failure: Option<drumlin_chunks::Error>) -> Result<Option<Operation>> {
        tokio::time::sleep(wait(self.attempts)).await;
        let found = match self.reload_and_find().await {
            Ok(found) => found,
            Err(error) => return Err(self.unknown(failure.map_or(error, Error::Chunks))),
        };
        if found.is_some() {
            return Ok(found);
        }
        if let Some(error) = failure {
            self.unanswered += 1;
            if error.kind() != ErrorKind::Unavailable {
                return Err(error.into());
            }
            // Not in the root by now; the last try may still be on its way.
            if self.unanswered >= UNANSWERED_MAX {
                return Err(self.unknown(error.into()));
            }
        }
        if self.attempts >= SWAP_ATTEMPTS_MAX {
            return Err(Error::Contended {
                attempts: self.attempts,
            });
        }
        Ok(None)
    }

    fn unknown(&self, error: Error) -> Error {
        Error::OutcomeUnknown {
            operation: self.id,
            source: Box::new(error),
        }
    }

    async fn reload_and_find(&mut self) -> Result<Option<Operation>> {
        let known_page = self.loaded.root.older_operations;
        self.loaded = self.file.load().await?;
        self.find_ours(known_page).await
    }

    /// Our operation in the root, or in a page that was moved out of it since it was loaded before.
    async fn find_ours(&self, known_page: Option<OperationId>) -> Result<Option<Operation>> {
        let ours = |operations: &[Operation]| operations.iter().find(|operation| operation.id == self.id).cloned();
        if let Some(operation) = ours(&self.root().operations) {
            return Ok(Some(operation));
        }
        let mut next = self.root().older_operations;
        while let Some(id) = next.filter(|_| next != known_page) {
            let page = self.file.page(id).await?;
            if let Some(operation) = ours(&page.operations) {
                return Ok(Some(operation));
            }
            next = page.older;
        }
        Ok(None)
    }

    /// The root after `operation`, with the oldest operations moved out when there are too many.
    async fn next_root(&self, operation: Operation) -> Result<Root> {
        let mut root = self.root().clone();
        for change in &operation.changes {
            let names = root.refs.of_mut(change.kind);
            match change.after {
                Some(target) => names.insert(change.name.clone(), target),
                None => names.remove(&change.name),
            };
        }
        root.operations.push(operation);
        if root.operations.len() > OPERATIONS_IN_ROOT_MAX {
            let moved = root.operations.len() - OPERATIONS_IN_ROOT_KEPT;
            let page = OperationPage {
                operations: root.operations.drain(..moved).collect(),
                older: root.older_operations,
            };
            let id = page
                .operations
                .last()
                .expect("a page is moved only when there are operations for it")
                .id;
            self.file
                .bucket
                .put_new(&page_key(id), Bytes::from(page.to_bytes()))
                .await?;
            root.older_operations = Some(id);
        }
        Ok(root)
    }
}

fn page_key(id: OperationId) -> String {
    format!("operations/{id}")
}

/// A random wait, longer on average after each try, so that writers who collided do not collide again.
fn wait(attempts: u32) -> Duration {
    let longest = WAIT_MS_FIRST.saturating_mul(1 << attempts.min(16)).min(WAIT_MS_MAX);
    Duration::from_micros(rand::random_range(0..=longest * 1000))
}
