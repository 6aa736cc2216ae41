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
    Changes, ChangesId, ErrorKind, Operation, OperationId, OperationPage, Ref, RefChange, RefKind, RefName, RefTarget,
    Refs, Rest, Root, Timestamp,
    by::ACTOR_LEN_MAX,
    operation::{CHANGES_LEN_MAX, OPERATIONS_LEN_MAX},
    root::ROOT_LEN_MAX,
};

use crate::error::{Error, Result};

/// When the root holds more operations than this, the oldest move to pages...
pub const OPERATIONS_IN_ROOT_MAX: usize = 128;
/// ... until at most so many are left: what `op log` shows first, and far more than can pass while an answer is lost.
pub const OPERATIONS_IN_ROOT_KEPT: usize = 64;
/// They move, too, when they have more bytes than this: every change of the root reads and writes them.
pub const OPERATIONS_IN_ROOT_LEN_MAX: usize = 256 << 10;
/// A page takes operations up to about so many bytes, and at least one.
pub const PAGE_LEN: usize = 1 << 20;
/// An operation with more changes than this keeps them in an object of its own...
pub const CHANGES_IN_OPERATION_MAX: usize = 1000;
/// ... and so does one whose changes have more bytes than this.
pub const CHANGES_IN_OPERATION_LEN_MAX: usize = 128 << 10;
/// How long the summary of an operation may be, in characters; the whole message is in the commit.
pub const SUMMARY_LEN_MAX: usize = 200;
/// What stays free in the root for operations, in bytes: new refs leave so much, so that others can still move and go.
pub const ROOT_LEN_KEPT: usize = 1 << 20;
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

    /// Writes the first root; a repository that is there already is left alone, and is an error.
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
        loaded.root.check_write()?;
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
        let bytes = self
            .bucket
            .get_at_most(&page_key(id), OPERATIONS_LEN_MAX as u64)
            .await?;
        Ok(OperationPage::from_bytes(id, &bytes)?)
    }

    /// The refs that an operation changed, wherever they stand.
    pub async fn changes(&self, operation: &Operation) -> Result<Vec<RefChange>> {
        let Some(id) = operation.changes_in else {
            return Ok(operation.changes.clone());
        };
        let bytes = self
            .bucket
            .get_at_most(&changes_key(id), CHANGES_LEN_MAX as u64)
            .await?;
        Ok(Changes::from_bytes(id, &bytes)?.changes)
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

    pub fn branch(&self, name: &RefName) -> Result<Ref> {
        let branch = self.root().refs.branches.get(name).cloned();
        branch.ok_or_else(|| Error::NoSuchBranch { name: name.clone() })
    }

    /// Tries to make `changes`. The operation is what happened, which after a lost answer may be an earlier try.
    pub async fn swap(&mut self, changes: Vec<RefChange>, summary: String) -> Result<Option<Operation>> {
        self.root().check_write()?;
        if self.intent.actor.len() > ACTOR_LEN_MAX {
            let len = self.intent.actor.len();
            return Err(Error::ActorTooLong { len });
        }
        let root = self.next_root(changes, summary).await?;
        let bytes = Bytes::from(root.to_bytes());
        let refs = root.refs.count();
        let kept = if refs > self.root().refs.count() {
            ROOT_LEN_KEPT
        } else {
            0
        };
        if bytes.len() > ROOT_LEN_MAX - kept {
            return Err(Error::TooManyRefs { refs });
        }
        self.attempts += 1;
        match self.file.store.swap(Some(&self.loaded.version), bytes).await {
            Ok(Swap::Won(version)) => {
                let ours = root.operations.last().cloned();
                self.file.remember(&Arc::new(Loaded { root, version }));
                Ok(ours)
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

    /// The root after `changes`: what is not mentioned here stays as it is, whoever wrote it.
    async fn next_root(&self, changes: Vec<RefChange>, summary: String) -> Result<Root> {
        let mut root = self.root().clone();
        for change in &changes {
            expect_free(&root.refs, change)?;
            change.make(&mut root.refs);
        }
        if let Some(branch) = renamed(&changes, &root.settings.default_branch) {
            root.settings.default_branch = branch.clone();
        }
        root.operations.push(self.operation(changes, summary).await?);
        for page in pages(&mut root) {
            self.write_page(&page).await?;
        }
        Ok(root)
    }

    /// The operation that the intent and the changes make; many changes are written to an object of their own.
    async fn operation(&self, changes: Vec<RefChange>, summary: String) -> Result<Operation> {
        let mut operation = Operation {
            id: self.id,
            time: self.intent.time,
            actor: self.intent.actor.clone(),
            verb: self.intent.verb.clone(),
            summary: summary.chars().take(SUMMARY_LEN_MAX).collect(),
            changes,
            changes_in: None,
            rest: Rest::new(),
        };
        if operation.changes.len() > CHANGES_IN_OPERATION_MAX || len(&operation.changes) > CHANGES_IN_OPERATION_LEN_MAX
        {
            let changes = Changes {
                changes: std::mem::take(&mut operation.changes),
                rest: Rest::new(),
            };
            let (id, bytes) = changes.encode();
            if bytes.len() > CHANGES_LEN_MAX {
                let changes = changes.changes.len();
                return Err(Error::TooManyChanges { changes });
            }
            self.file.bucket.put_new(&changes_key(id), bytes.into()).await?;
            operation.changes_in = Some(id);
        }
        Ok(operation)
    }

    async fn write_page(&self, page: &OperationPage) -> Result<()> {
        let newest = page.operations.last().expect("a page holds at least one operation");
        let bytes = page.to_bytes();
        debug_assert!(bytes.len() <= OPERATIONS_LEN_MAX, "a page is a part of a root");
        self.file.bucket.put_new(&page_key(newest.id), bytes.into()).await?;
        Ok(())
    }
}

/// Moves the oldest operations out of the root when there are too many: what is to be written, in order.
fn pages(root: &mut Root) -> Vec<OperationPage> {
    let lens: Vec<usize> = root.operations.iter().map(len).collect();
    let mut left: usize = lens.iter().sum();
    if lens.len() <= OPERATIONS_IN_ROOT_MAX && left <= OPERATIONS_IN_ROOT_LEN_MAX {
        return Vec::new();
    }
    let mut pages: Vec<OperationPage> = Vec::new();
    let mut page_len = 0;
    let newest = lens.len() - 1;
    for &len in &lens[..newest] {
        let count = root.operations.len();
        if count <= OPERATIONS_IN_ROOT_KEPT && left <= OPERATIONS_IN_ROOT_LEN_MAX / 2 {
            break;
        }
        let operation = root.operations.remove(0);
        left -= len;
        page_len += len;
        match pages.last_mut() {
            Some(page) if page_len <= PAGE_LEN => page.operations.push(operation),
            _ => {
                let older = newest_of(pages.last()).or(root.older_operations);
                page_len = len;
                pages.push(OperationPage {
                    operations: vec![operation],
                    older,
                    rest: Rest::new(),
                });
            }
        }
    }
    root.older_operations = newest_of(pages.last()).or(root.older_operations);
    pages
}

fn newest_of(page: Option<&OperationPage>) -> Option<OperationId> {
    page.and_then(|page| page.operations.last()).map(|newest| newest.id)
}

/// How long something is in the root, in bytes.
fn len(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// Refuses to give a ref a name that another has: a name means one commit.
fn expect_free(refs: &Refs, change: &RefChange) -> Result<()> {
    let is_new = change.remote.is_none() && change.before.is_none() && change.after.is_some();
    let name = change.name.clone();
    match refs.holder(&change.name).filter(|_| is_new) {
        None => Ok(()),
        Some(RefKind::Branch) => Err(Error::BranchExists { name }),
        Some(RefKind::Tag) => Err(Error::TagExists { name }),
    }
}

/// The new name of a branch, if these changes give it one: it goes, and one with the same commit comes.
fn renamed<'a>(changes: &'a [RefChange], branch: &RefName) -> Option<&'a RefName> {
    let of_branches = || {
        changes
            .iter()
            .filter(|change| change.remote.is_none() && change.kind == RefKind::Branch)
    };
    let gone = of_branches().find(|change| change.name == *branch && change.after.is_none())?;
    let come = of_branches().find(|change| change.before.is_none() && change.after == gone.before)?;
    Some(&come.name)
}

fn page_key(id: OperationId) -> String {
    format!("operations/{id}")
}

fn changes_key(id: ChangesId) -> String {
    format!("changes/{id}")
}

/// A random wait, longer on average after each try, so that writers who collided do not collide again.
fn wait(attempts: u32) -> Duration {
    let longest = WAIT_MS_FIRST.saturating_mul(1 << attempts.min(16)).min(WAIT_MS_MAX);
    Duration::from_micros(rand::random_range(0..=longest * 1000))
}
