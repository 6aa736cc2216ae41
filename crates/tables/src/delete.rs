//! Delete: the rows for which a condition is true go. A plan finds and counts them; the delete makes that plan and does it.
//! `rewrite` has what it shares with `upsert`; `verb` commits.
//! Invariant: there is one way to read a condition, so what the plan promises the delete does, and it refuses what the delete refuses.

use datafusion::{execution::SessionState, logical_expr::Expr, prelude::SessionContext};
use deltalake::protocol::DeltaOperation;
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::{CommitId, RepoPath};
use drumlin_repo::Snapshot;
use serde::Serialize;

use crate::{
    delta::Delta,
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
    options::DeleteRows,
    rewrite::{FILE_COLUMN, Rewrite, Touched},
};

/// What a delete would do to a table as it is at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeletePlan {
    pub table: RepoPath,
    /// The commit that was read.
    pub commit: CommitId,
    /// The table's version there.
    pub version: u64,
    /// Rows that would go.
    pub rows: u64,
    /// Data files that hold such rows. A file of which rows stay is written again without the others.
    pub files_rewritten: usize,
    /// What those files take, in bytes.
    pub bytes_rewritten: u64,
}

/// The rows of a table for which a condition is true.
struct Doomed {
    /// One for both passes, so that `now()` is the same in both.
    state: SessionState,
    condition: Expr,
    touched: Touched,
}

impl Engine {
    /// Says what `table_delete` would do to the table as it is at `snapshot`, and changes nothing.
    #[tracing::instrument(level = "debug", skip_all, fields(table = request.table))]
    pub async fn table_delete_plan(
        &self,
        snapshot: &Snapshot,
        request: &DeleteRows,
        progress: &dyn Progress,
    ) -> Result<DeletePlan> {
        let table = self.delta_at(snapshot, &request.table).await?;
        let doomed = self.doomed(&table, &request.condition, progress).await?;
        let files = &doomed.touched.files;
        Ok(DeletePlan {
            commit: snapshot.commit(),
            version: table.version(),
            rows: doomed.touched.rows,
            files_rewritten: files.len(),
            bytes_rewritten: files.iter().map(|file| file.file.size().max(0) as u64).sum(),
            table: table.path,
        })
    }

    pub(crate) async fn delete_rows(&self, table: &Delta, condition: &str, progress: &dyn Progress) -> Result<Rewrite> {
        let Doomed {
            state,
            condition: doomed,
            touched,
        } = self.doomed(table, condition, progress).await?;
        if touched.rows == 0 {
            return Ok(Rewrite::default());
        }
        let task = Task::start(progress, "rewrite", touched.held(), Unit::Rows);
        let mut actions = Vec::new();
        for file in &touched.files {
            let target = self.file_rows(&state, table, file).await?;
            let kept = target.filter(doomed.clone().is_not_true()).map_err(explain::query)?;
            actions.extend(self.copy(table, file, kept, &table.schema(), Ok, &task).await?);
        }
        let operation = DeltaOperation::Delete {
            predicate: Some(condition.to_owned()),
        };
        let version = table.commit(actions, operation).await?;
        Ok(Rewrite {
            version: Some(version),
            rows_removed: touched.rows,
            ..Rewrite::default()
        })
    }

    async fn doomed(&self, table: &Delta, condition: &str, progress: &dyn Progress) -> Result<Doomed> {
        table.require_writable()?;
        let state = SessionContext::new_with_state(self.session_state(Plan::Write)).state();
        let found = self.target(&state, table, Some(FILE_COLUMN), None).await?;
        let condition = found.parse_sql_expr(condition).map_err(explain::query)?;
        if condition.is_volatile() {
            return Err(Error::Query {
                detail: "a predicate must give the same answer each time".into(),
                cures: Vec::new(),
            });
        }
        let found = found.filter(condition.clone()).map_err(explain::query)?;
        let _task = Task::start(progress, "find the rows", table.rows(), Unit::Rows);
        let touched = self.touched(table, self.rows_by_file(found).await?).await?;
        Ok(Doomed {
            state,
            condition,
            touched,
        })
    }
}
