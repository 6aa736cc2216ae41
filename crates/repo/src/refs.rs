//! Branches and tags: made, moved, renamed and removed, each by one swap of the root.
//! `merge` and `commit` move branches too, with a new commit.
//! Invariant: every change of a ref is an operation that names its value before and after, so it can be undone.

use drumlin_model::{CommitId, RefChange, RefKind, RefName, RefTarget};

use crate::{
    error::{Error, Result},
    repo::Repo,
    root::Transaction,
};

/// Who asks for a change of refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub actor: String,
}

impl Author {
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: actor.into() }
    }
}

impl Repo {
    /// A new branch at a commit. No data is copied.
    pub async fn branch_create(&self, by: &Author, name: &RefName, at: CommitId) -> Result<RefTarget> {
        self.ref_create(by, RefKind::Branch, name, at).await
    }

    pub async fn tag_create(&self, by: &Author, name: &RefName, at: CommitId) -> Result<RefTarget> {
        self.ref_create(by, RefKind::Tag, name, at).await
    }

    /// Removes a branch; its last commit, which is returned, stays in the operation log.
    pub async fn branch_delete(&self, by: &Author, name: &RefName) -> Result<RefTarget> {
        self.ref_delete(by, RefKind::Branch, name).await
    }

    pub async fn tag_delete(&self, by: &Author, name: &RefName) -> Result<RefTarget> {
        self.ref_delete(by, RefKind::Tag, name).await
    }

    pub async fn branch_rename(&self, by: &Author, from: &RefName, to: &RefName) -> Result<RefTarget> {
        let mut transaction = self.root().begin(self.intent("branch rename", &by.actor)).await?;
        loop {
            let target = transaction.branch(from)?;
            expect_free(&transaction, RefKind::Branch, to)?;
            let changes = vec![
                RefChange {
                    kind: RefKind::Branch,
                    name: from.clone(),
                    before: Some(target),
                    after: None,
                },
                RefChange {
                    kind: RefKind::Branch,
                    name: to.clone(),
                    before: None,
                    after: Some(target),
                },
            ];
            if transaction
                .swap(changes, format!("rename branch {from} to {to}"))
                .await?
                .is_some()
            {
                return Ok(target);
            }
        }
    }

    /// Points a branch at any commit; the commits that it leaves stay in the operation log.
    pub async fn reset(&self, by: &Author, branch: &RefName, to: CommitId) -> Result<RefTarget> {
        let target = self.target(to).await?;
        let mut transaction = self.root().begin(self.intent("reset", &by.actor)).await?;
        loop {
            let before = transaction.branch(branch)?;
            if before == target {
                return Ok(target);
            }
            let change = RefChange {
                kind: RefKind::Branch,
                name: branch.clone(),
                before: Some(before),
                after: Some(target),
            };
            let summary = format!("reset {branch} from {} to {}", before.commit.short(), to.short());
            if transaction.swap(vec![change], summary).await?.is_some() {
                return Ok(target);
            }
        }
    }

    async fn ref_create(&self, by: &Author, kind: RefKind, name: &RefName, at: CommitId) -> Result<RefTarget> {
        let target = self.target(at).await?;
        let verb = format!("{} create", word(kind));
        let mut transaction = self.root().begin(self.intent(&verb, &by.actor)).await?;
        loop {
            expect_free(&transaction, kind, name)?;
            let change = RefChange {
                kind,
                name: name.clone(),
                before: None,
                after: Some(target),
            };
            let summary = format!("create {} {name} at {}", word(kind), at.short());
            if transaction.swap(vec![change], summary).await?.is_some() {
                return Ok(target);
            }
        }
    }

    async fn ref_delete(&self, by: &Author, kind: RefKind, name: &RefName) -> Result<RefTarget> {
        let verb = format!("{} delete", word(kind));
        let mut transaction = self.root().begin(self.intent(&verb, &by.actor)).await?;
        loop {
            let before = transaction
                .root()
                .refs
                .get(kind, name)
                .ok_or_else(|| missing(kind, name))?;
            let change = RefChange {
                kind,
                name: name.clone(),
                before: Some(before),
                after: None,
            };
            let summary = format!("delete {} {name} at {}", word(kind), before.commit.short());
            if transaction.swap(vec![change], summary).await?.is_some() {
                return Ok(before);
            }
        }
    }

    /// A commit, which has to be there, and its tree.
    pub(crate) async fn target(&self, commit: CommitId) -> Result<RefTarget> {
        Ok(RefTarget {
            commit,
            tree: self.commit_info(commit).await?.tree,
        })
    }
}

pub(crate) fn word(kind: RefKind) -> &'static str {
    match kind {
        RefKind::Branch => "branch",
        RefKind::Tag => "tag",
    }
}

fn missing(kind: RefKind, name: &RefName) -> Error {
    match kind {
        RefKind::Branch => Error::NoSuchBranch { name: name.clone() },
        RefKind::Tag => Error::NoSuchTag { name: name.clone() },
    }
}

fn expect_free(transaction: &Transaction<'_>, kind: RefKind, name: &RefName) -> Result<()> {
    match (transaction.root().refs.get(kind, name), kind) {
        (None, _) => Ok(()),
        (Some(_), RefKind::Branch) => Err(Error::BranchExists { name: name.clone() }),
        (Some(_), RefKind::Tag) => Err(Error::TagExists { name: name.clone() }),
    }
}
