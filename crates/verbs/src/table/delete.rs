//! `table delete`: the rows for which a condition is true go. A dry run makes the plan that the deletion makes, and stops there.

use drumlin_tables::{DeletePlan, DeleteRows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TableWriteAnswer;
use crate::{Desk, Result};

/// Deletes the rows of a table for which a condition is true.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDeleteRequest {
    pub table: String,
    /// An SQL expression over the table's columns, which gives the same answer each time.
    pub condition: String,
    /// Count the rows, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The commit's message. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a deletion did, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TableDeleteAnswer {
    #[serde(flatten)]
    pub written: TableWriteAnswer,
    /// Whether nothing was changed, and this is what would be.
    pub dry_run: bool,
    /// Data files that would be written again without the rows, or go with them. Said by a dry run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_rewritten: Option<u64>,
}

impl TableDeleteAnswer {
    fn planned(plan: DeletePlan) -> Self {
        Self {
            written: TableWriteAnswer {
                table: plan.table,
                commit: None,
                version: plan.version,
                rows_added: 0,
                rows_updated: 0,
                rows_deleted: plan.rows,
            },
            dry_run: true,
            files_rewritten: Some(plan.files_rewritten as u64),
        }
    }
}

impl Desk {
    /// Deletes the rows of a table for which a condition is true, or says how many that would be.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_delete(&self, request: TableDeleteRequest) -> Result<TableDeleteAnswer> {
        let (engine, to) = (self.engine()?, self.write_to(request.message)?);
        let asked = DeleteRows::new(request.table, request.condition);
        if request.dry_run {
            let head = self.repo.snapshot(&to.branch.into()).await?;
            let plan = engine.table_delete_plan(&head, &asked, self.progress()).await?;
            return Ok(TableDeleteAnswer::planned(plan));
        }
        let written = engine.table_delete(&to, &asked, self.progress()).await?;
        Ok(TableDeleteAnswer {
            written: self.table_written(written).await?,
            dry_run: false,
            files_rewritten: None,
        })
    }
}
