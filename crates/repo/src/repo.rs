//! `Repo`: the handle of one repository: opens it, resolves names, hands out snapshots and sessions.
//! What it does to refs and history stands in `refs`, `merge`, `operations`, `commit` and `fsck`.
//! Invariant: a name is resolved once, here; below travel only ids.

use std::sync::Arc;

use drumlin_chunks::{ChunkStore, Storage};
use drumlin_model::{
    By, Commit, CommitId, Operation, OperationId, RefChange, RefExpr, RefKind, RefName, RefTarget, Refs, RepositoryId,
    Requires, Rest, Root, Settings, Timestamp, TreeId, Verb,
};
use futures::{Stream, future::try_join, stream::BoxStream};

use crate::{
    clock::Clock,
    commits::{CommitStore, ProvenanceRead, Recorded},
    error::{Error, Result},
    root::{Intent, RootFile},
    session::CommitInfo,
    trees::{PathDiff, TreeStore},
};

/// Who makes the first commit, which nobody asked for by name.
const FIRST_ACTOR: &str = "drumlin";
const FIRST_MESSAGE: &str = "create the repository";

/// A repository. Cheap to clone; clones share caches.
#[derive(Clone)]
pub struct Repo {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Storage,
    root: RootFile,
    commits: CommitStore,
    trees: TreeStore,
    chunks: ChunkStore,
    clock: Arc<dyn Clock>,
}

/// What a name meant when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub commit: CommitId,
    pub tree: TreeId,
    /// The branch, if the expression was a branch's name.
    pub branch: Option<RefName>,
}

impl Resolved {
    pub fn target(&self) -> RefTarget {
        RefTarget {
            commit: self.commit,
            tree: self.tree,
        }
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repo({:?})", self.inner.storage.bucket)
    }
}

impl Repo {
    /// Makes a repository with one commit, an empty tree, on its default branch. One that is there already stays as it
    /// is, and is an error.
    #[tracing::instrument(level = "debug", skip_all, fields(%default_branch))]
    pub async fn create(storage: Storage, clock: Arc<dyn Clock>, default_branch: &RefName) -> Result<Repo> {
        let repo = Self::new(storage, clock);
        if repo.inner.root.exists().await? {
            return Err(Error::RepositoryExists);
        }
        let now = repo.now();
        let by = By::new(FIRST_ACTOR, now);
        let info = CommitInfo::new(by, Verb::Init, FIRST_MESSAGE);
        let (tree, provenance) = try_join(
            repo.inner.trees.empty(),
            repo.commits().write_provenance(info.provenance(now)),
        )
        .await?;
        let (commit, _) = repo.commits().write_on(&[], tree, now, provenance).await?;
        repo.inner
            .root
            .create(first_root(default_branch, RefTarget { commit, tree }, now))
            .await?;
        Ok(repo)
    }

    /// A handle to the repository that `storage` holds. Reads nothing: that there is none, or that it is too new for
    /// this program, is said by the first call that reads the root, so that no request is spent on asking twice.
    pub async fn open(storage: Storage, clock: Arc<dyn Clock>) -> Result<Repo> {
        Ok(Self::new(storage, clock))
    }

    fn new(storage: Storage, clock: Arc<dyn Clock>) -> Repo {
        let bucket = storage.bucket.clone();
        let inner = Inner {
            root: RootFile::new(storage.root.clone(), bucket.clone()),
            commits: CommitStore::new(bucket.clone()),
            trees: TreeStore::new(bucket.clone()),
            chunks: ChunkStore::new(bucket, storage.cache.clone()),
            storage,
            clock,
        };
        Repo { inner: Arc::new(inner) }
    }

    /// All branches and tags as they are now.
    pub async fn refs(&self) -> Result<Refs> {
        Ok(self.inner.root.load().await?.root.refs.clone())
    }

    /// The settings of the repository as they are now.
    pub async fn settings(&self) -> Result<Settings> {
        Ok(self.inner.root.load().await?.root.settings.clone())
    }

    /// What tells this repository from all others.
    pub async fn id(&self) -> Result<RepositoryId> {
        Ok(self.inner.root.load().await?.root.id)
    }

    /// Refuses when this program would spoil the repository by writing to it. Every change of refs asks by itself; who
    /// stores content long before that asks here first.
    pub async fn check_write(&self) -> Result<()> {
        Ok(self.inner.root.load().await?.root.check_write()?)
    }

    /// The commit that an expression means now: a branch or tag of the name, or else a commit.
    #[tracing::instrument(level = "debug", skip_all, fields(%expr))]
    pub async fn resolve(&self, expr: &RefExpr) -> Result<Resolved> {
        match expr {
            RefExpr::Name(name) => self.resolve_name(name).await,
            RefExpr::CommitPrefix(prefix) => self.resolved(self.commits().find(prefix).await?).await,
            RefExpr::Ancestor { of, steps } => {
                let from = Box::pin(self.resolve(of)).await?.commit;
                let missing = || Error::NoSuchAncestor {
                    of: of.to_string(),
                    steps: *steps,
                };
                let found = self.commits().first_parent(from, *steps).await?;
                let (commit, found) = found.ok_or_else(missing)?;
                Ok(Resolved {
                    commit,
                    tree: found.tree,
                    branch: None,
                })
            }
        }
    }

    async fn resolve_name(&self, name: &RefName) -> Result<Resolved> {
        let loaded = self.inner.root.load().await?;
        let branch = loaded.root.refs.get(RefKind::Branch, name);
        let target = branch.or_else(|| loaded.root.refs.get(RefKind::Tag, name));
        let RefTarget { commit, tree } = target.ok_or_else(|| Error::NoSuchRef { name: name.to_string() })?;
        Ok(Resolved {
            commit,
            tree,
            branch: branch.map(|_| name.clone()),
        })
    }

    async fn resolved(&self, commit: CommitId) -> Result<Resolved> {
        Ok(Resolved {
            commit,
            tree: self.commit(commit).await?.tree,
            branch: None,
        })
    }

    /// A commit: its tree, parents, generation and time.
    pub async fn commit(&self, commit: CommitId) -> Result<Arc<Commit>> {
        self.commits().read(commit).await
    }

    /// What made a commit, unless that is gone.
    pub async fn provenance(&self, commit: &Commit) -> Result<ProvenanceRead> {
        self.commits().read_provenance(commit.provenance).await
    }

    /// A commit with what made it.
    pub async fn recorded(&self, id: CommitId) -> Result<Recorded> {
        let commit = self.commit(id).await?;
        let provenance = self.provenance(&commit).await?;
        Ok(Recorded { id, commit, provenance })
    }

    /// Commits, as a log gives them, with what made them, in the same order: some are read ahead.
    pub fn recorded_all<'a>(
        &self,
        commits: impl Stream<Item = Result<(CommitId, Arc<Commit>)>> + Send + 'a,
    ) -> BoxStream<'a, Result<Recorded>> {
        self.commits().recorded(commits)
    }

    /// A commit and all its ancestors, each once and before its parents. What stands side by side comes in the order of
    /// generations; of one generation the latest is first.
    pub fn log(&self, from: CommitId) -> BoxStream<'static, Result<(CommitId, Arc<Commit>)>> {
        self.commits().log(from)
    }

    /// Whether one commit is another or one of its ancestors.
    pub async fn is_ancestor(&self, ancestor: CommitId, of: CommitId) -> Result<bool> {
        self.commits().is_ancestor(ancestor, of).await
    }

    /// A best common ancestor of two commits.
    pub async fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>> {
        self.commits().merge_base(a, b).await
    }

    /// The paths that differ between two trees, in order. What both share is not read.
    pub async fn diff(&self, from: TreeId, to: TreeId) -> Result<BoxStream<'static, Result<PathDiff>>> {
        Ok(self.trees().diff(from, to))
    }

    pub fn chunk_store(&self) -> &ChunkStore {
        &self.inner.chunks
    }
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }
    pub fn trees(&self) -> &TreeStore {
        &self.inner.trees
    }
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
    pub(crate) fn root(&self) -> &RootFile {
        &self.inner.root
    }
    pub(crate) fn commits(&self) -> &CommitStore {
        &self.inner.commits
    }
    pub(crate) fn intent(&self, verb: &str, actor: &str) -> Intent {
        Intent {
            verb: verb.to_owned(),
            actor: actor.to_owned(),
            time: self.now(),
        }
    }
}

fn first_root(branch: &RefName, target: RefTarget, time: Timestamp) -> Root {
    let operation = Operation {
        id: OperationId::from_bytes(rand::random()),
        time,
        actor: FIRST_ACTOR.to_owned(),
        verb: Verb::Init.as_str().to_owned(),
        summary: FIRST_MESSAGE.to_owned(),
        changes: vec![RefChange::new(RefKind::Branch, branch, None, Some(target.into()))],
        changes_in: None,
        rest: Rest::new(),
    };
    Root {
        id: RepositoryId::from_bytes(rand::random()),
        created: time,
        requires: Requires::default(),
        settings: Settings::new(branch.clone()),
        refs: Refs {
            branches: [(branch.clone(), target.into())].into(),
            ..Refs::default()
        },
        operations: vec![operation],
        older_operations: None,
        rest: Rest::new(),
    }
}
