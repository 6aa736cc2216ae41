//! The operation log: what was done to the refs, newest first, and `undo` of any of it.
//! `root` writes it; older operations stand in pages of their own.
//! Invariant: an undo restores exactly what its operation found, or refuses; it is an operation itself.

use std::collections::VecDeque;

use drumlin_model::{By, Operation, OperationId, RefChange, Verb};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use crate::{
    error::{Error, Result},
    repo::Repo,
    root::Transaction,
};

impl Repo {
    /// All operations, newest first. Those that left the root are read as the stream comes to them; `changes` reads the
    /// changes of one that keeps them elsewhere.
    pub fn operations(&self) -> BoxStream<'static, Result<Operation>> {
        let repo = self.clone();
        let walk = (None::<VecDeque<Operation>>, None::<OperationId>);
        stream::try_unfold(walk, move |(held, mut older)| {
            let repo = repo.clone();
            async move {
                let mut held = match held {
                    Some(held) => held,
                    None => {
                        let loaded = repo.root().load().await?;
                        older = loaded.root.older_operations;
                        loaded.root.operations.iter().cloned().collect()
                    }
                };
                if held.is_empty()
                    && let Some(id) = older
                {
                    let page = repo.root().page(id).await?;
                    (held, older) = (page.operations.into(), page.older);
                }
                Ok(held.pop_back().map(|operation| (operation, (Some(held), older))))
            }
        })
        .boxed()
    }

    /// The refs that an operation changed, in order, wherever they are stored.
    pub async fn changes(&self, operation: &Operation) -> Result<Vec<RefChange>> {
        self.root().changes(operation).await
    }

    /// Takes one operation back (the newest, without an id), if every ref that it changed is still as it left it.
    /// An undo can be undone too. Returns the operation that was taken back, with its changes.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn undo(&self, by: &By, operation: Option<OperationId>) -> Result<Operation> {
        let mut transaction = self.root().begin(self.intent(Verb::Undo.as_str(), &by.actor)).await?;
        // Chosen once: after a swap that was lost, the newest operation is somebody else's.
        let undone = self.operation_to_undo(&transaction, operation).await?;
        if undone.verb == Verb::Init.as_str() {
            return Err(Error::FirstOperation { operation: undone.id });
        }
        let changes = self.changes(&undone).await?;
        loop {
            expect_unmoved(&transaction, undone.id, &changes)?;
            let back = changes.iter().rev().map(RefChange::inverse).collect();
            let summary = format!("undo {}: {}", undone.verb, undone.summary);
            if transaction.swap(back, summary).await?.is_some() {
                return Ok(Operation { changes, ..undone });
            }
        }
    }

    async fn operation_to_undo(&self, transaction: &Transaction<'_>, id: Option<OperationId>) -> Result<Operation> {
        let newest = transaction.root().operations.last();
        let Some(id) = id else {
            return Ok(newest
                .expect("a repository has at least the operation that created it")
                .clone());
        };
        let mut operations = self.operations();
        while let Some(operation) = operations.try_next().await? {
            if operation.id == id {
                return Ok(operation);
            }
        }
        Err(Error::NoSuchOperation { operation: id })
    }
}

/// Refuses when a ref is no longer as the operation left it.
fn expect_unmoved(transaction: &Transaction<'_>, operation: OperationId, changes: &[RefChange]) -> Result<()> {
    let is_moved = |change: &&RefChange| change.current(&transaction.root().refs) != change.after.as_ref();
    match changes.iter().find(is_moved) {
        None => Ok(()),
        Some(change) => Err(Error::Moved {
            operation,
            kind: change.kind.as_str(),
            name: change.name.clone(),
        }),
    }
}
