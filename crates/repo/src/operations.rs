//! The operation log: what was done to the refs, newest first, and `undo` of any of it.
//! `root` writes it; older operations stand in pages of their own.
//! Invariant: an undo restores exactly what its operation found, or refuses; it is an operation itself.

use std::collections::VecDeque;

use drumlin_model::{Operation, OperationId, RefChange};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use crate::{
    error::{Error, Result},
    refs::{Author, word},
    repo::Repo,
    root::Transaction,
};

impl Repo {
    /// All operations, newest first. Those that left the root are read as the stream comes to them.
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

    /// Takes one operation back (the newest, without an id), if every ref that it changed is still as it left it.
    /// An undo can be undone too. Returns the operation that was taken back.
    pub async fn undo(&self, by: &Author, operation: Option<OperationId>) -> Result<Operation> {
        let mut transaction = self.root().begin(self.intent("undo", &by.actor)).await?;
        // Chosen once: after a swap that was lost, the newest operation is somebody else's.
        let undone = self.operation_to_undo(&transaction, operation).await?;
        loop {
            let changes = inverse(&transaction, &undone)?;
            let summary = format!("undo {}: {}", undone.verb, undone.summary);
            if transaction.swap(changes, summary).await?.is_some() {
                return Ok(undone);
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

/// The changes that lead back, if nothing has moved since.
fn inverse(transaction: &Transaction<'_>, undone: &Operation) -> Result<Vec<RefChange>> {
    if undone.verb == crate::repo::FIRST_VERB {
        return Err(Error::FirstOperation { operation: undone.id });
    }
    let mut changes = Vec::with_capacity(undone.changes.len());
    for change in undone.changes.iter().rev() {
        if transaction.root().refs.get(change.kind, &change.name) != change.after {
            let (kind, name) = (word(change.kind), change.name.clone());
            return Err(Error::Moved {
                operation: undone.id,
                kind,
                name,
            });
        }
        changes.push(RefChange {
            before: change.after,
            after: change.before,
            ..change.clone()
        });
    }
    Ok(changes)
}
