//! Branches and tags: made, moved, renamed and removed, each by one swap of the root.
//! `merge` and `commit` move branches too, with a new commit; `root` refuses a name that is taken.
//! Invariant: every change of a ref is an operation that names its value before and after, so it can be undone.

use drumlin_model::{By, CommitId, RefChange, RefKind, RefName, RefTarget, Verb};

use crate::{
    error::{Error, Result},
    repo::Repo,
};

impl Repo {
    /// Makes a branch at a commit. No data is copied. A name that any branch or tag has is refused.
    #[tracing::instrument(level = "debug", skip_all, fields(%name, %at))]
    pub async fn branch_create(&self, by: &By, name: &RefName, at: CommitId) -> Result<RefTarget> {
        self.ref_create(by, Verb::BranchCreate, RefKind::Branch, name, at).await
    }

    /// Makes a tag at a commit. A name that any branch or tag has is refused.
    #[tracing::instrument(level = "debug", skip_all, fields(%name, %at))]
    pub async fn tag_create(&self, by: &By, name: &RefName, at: CommitId) -> Result<RefTarget> {
        self.ref_create(by, Verb::TagCreate, RefKind::Tag, name, at).await
    }

    /// Removes a branch; its last commit, which is returned, stays in the operation log.
    #[tracing::instrument(level = "debug", skip_all, fields(%name))]
    pub async fn branch_delete(&self, by: &By, name: &RefName) -> Result<RefTarget> {
        self.ref_delete(by, Verb::BranchDelete, RefKind::Branch, name).await
    }

    /// Removes a tag; its commit, which is returned, stays in the operation log. The name is free again.
    #[tracing::instrument(level = "debug", skip_all, fields(%name))]
    pub async fn tag_delete(&self, by: &By, name: &RefName) -> Result<RefTarget> {
        self.ref_delete(by, Verb::TagDelete, RefKind::Tag, name).await
    }

    /// Gives a branch another name. When it is the default branch, it stays that under its new name.
    #[tracing::instrument(level = "debug", skip_all, fields(%from, %to))]
    pub async fn branch_rename(&self, by: &By, from: &RefName, to: &RefName) -> Result<RefTarget> {
        let mut transaction = self
            .root()
            .begin(self.intent(Verb::BranchRename.as_str(), &by.actor))
            .await?;
        loop {
            let branch = transaction.branch(from)?;
            let target = branch.target();
            let changes = vec![
                RefChange::new(RefKind::Branch, from, Some(branch.clone()), None),
                RefChange::new(RefKind::Branch, to, None, Some(branch)),
            ];
            let summary = format!("rename branch {from} to {to}");
            if transaction.swap(changes, summary).await?.is_some() {
                return Ok(target);
            }
        }
    }

    /// Points a branch at any commit; the commits that it leaves stay in the operation log.
    #[tracing::instrument(level = "debug", skip_all, fields(%branch, %to))]
    pub async fn reset(&self, by: &By, branch: &RefName, to: CommitId) -> Result<RefTarget> {
        let target = self.target(to).await?;
        let mut transaction = self.root().begin(self.intent(Verb::Reset.as_str(), &by.actor)).await?;
        loop {
            let before = transaction.branch(branch)?;
            if before.target() == target {
                return Ok(target);
            }
            let summary = format!("reset {branch} from {} to {}", before.commit.short(), to.short());
            let change = RefChange::moved(branch, &before, target, None);
            if transaction.swap(vec![change], summary).await?.is_some() {
                return Ok(target);
            }
        }
    }

    /// Changes any number of refs, those of other repositories as last seen too, in one operation. Each has to be as its
    /// change says that it was; else nothing happens.
    #[tracing::instrument(level = "debug", skip_all, fields(%verb, changes = changes.len()))]
    pub async fn refs_change(&self, by: &By, verb: Verb, changes: Vec<RefChange>, summary: &str) -> Result<()> {
        let mut transaction = self.root().begin(self.intent(verb.as_str(), &by.actor)).await?;
        loop {
            for change in &changes {
                if change.current(&transaction.root().refs) != change.before.as_ref() {
                    let (kind, name) = (change.kind.as_str(), change.name.clone());
                    return Err(Error::RefMoved { kind, name });
                }
            }
            if transaction.swap(changes.clone(), summary.to_owned()).await?.is_some() {
                return Ok(());
            }
        }
    }

    async fn ref_create(&self, by: &By, verb: Verb, kind: RefKind, name: &RefName, at: CommitId) -> Result<RefTarget> {
        let target = self.target(at).await?;
        let mut transaction = self.root().begin(self.intent(verb.as_str(), &by.actor)).await?;
        let summary = format!("create {} {name} at {}", kind.as_str(), at.short());
        loop {
            let change = RefChange::new(kind, name, None, Some(target.into()));
            if transaction.swap(vec![change], summary.clone()).await?.is_some() {
                return Ok(target);
            }
        }
    }

    async fn ref_delete(&self, by: &By, verb: Verb, kind: RefKind, name: &RefName) -> Result<RefTarget> {
        let mut transaction = self.root().begin(self.intent(verb.as_str(), &by.actor)).await?;
        loop {
            let before = transaction.root().refs.of(kind).get(name).cloned();
            let before = before.ok_or_else(|| missing(kind, name))?;
            let target = before.target();
            let summary = format!("delete {} {name} at {}", kind.as_str(), before.commit.short());
            let change = RefChange::new(kind, name, Some(before), None);
            if transaction.swap(vec![change], summary).await?.is_some() {
                return Ok(target);
            }
        }
    }

    /// A commit, which has to be there, and its tree.
    pub(crate) async fn target(&self, commit: CommitId) -> Result<RefTarget> {
        Ok(RefTarget {
            commit,
            tree: self.commit(commit).await?.tree,
        })
    }
}

fn missing(kind: RefKind, name: &RefName) -> Error {
    match kind {
        RefKind::Branch => Error::NoSuchBranch { name: name.clone() },
        RefKind::Tag => Error::NoSuchTag { name: name.clone() },
    }
}
