//! `drumlin undo`.

use clap::Args;
use drumlin_model::OperationId;
use drumlin_verbs::UndoRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint},
};

/// Take back an operation: a commit, a merge, a deleted branch, or an undo
///
/// Nothing is erased: undoing is an operation of its own. Refused when a ref has moved since.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin undo                The newest operation\n  drumlin op log              Shows the ids\n  drumlin undo OPERATION_ID   That one"
)]
pub struct Undo {
    /// The operation [default: the newest]
    operation: Option<OperationId>,
}

impl Undo {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = UndoRequest {
            operation: self.operation,
        };
        let done = cx.desk().await?.undo(request).await?;
        cx.ui.emit(&done, |out| {
            writeln!(out, "Undid: {}", done.summary)?;
            for change in &done.changes {
                let at = change.before.map_or_else(|| "gone".to_owned(), |commit| commit.short());
                writeln!(out, "  {} is now {}", paint(NAME, &change.name), at)?;
            }
            Ok(())
        })
    }
}
