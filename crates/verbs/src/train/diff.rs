//! `train diff`: how two training sets differ, in definitions, rows and values.

use drumlin_features::training::{self, ColumnDiff, DefinitionDiff, SetAt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainingSetView;
use crate::{Desk, FieldChange, Named, Result};

/// Asks how two training sets differ.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainDiffRequest {
    /// `NAME` at the current branch, or `NAME@REF`.
    pub before: Named,
    /// `NAME` at the current branch, or `NAME@REF`.
    pub after: Named,
}

/// How two training sets differ.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrainDiffAnswer {
    pub before: TrainingSetView,
    pub after: TrainingSetView,
    /// Whether both have the same bytes.
    pub same_content: bool,
    pub definitions: Vec<TrainDefinitionDiff>,
    /// Rows of the first whose spine columns are not in the second.
    pub rows_removed: u64,
    /// Rows of the second whose spine columns are not in the first.
    pub rows_added: u64,
    /// Rows that are in both.
    pub rows_common: u64,
    /// Those of them of which a value differs.
    pub rows_changed: u64,
    /// Columns in which a common row has another value, or that only one set has.
    pub columns: Vec<TrainColumnDiff>,
}

/// A view whose definition differs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrainDefinitionDiff {
    /// What the set calls the view.
    pub view: String,
    /// None where only one of the sets has the view.
    pub fields: Option<Vec<FieldChange>>,
    pub in_before: bool,
    pub in_after: bool,
}

/// A column that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainColumnDiff {
    pub column: String,
    pub in_before: bool,
    pub in_after: bool,
    /// Common rows with another value.
    pub rows_changed: u64,
}

impl TrainDefinitionDiff {
    fn of(diff: DefinitionDiff) -> Self {
        let fields = |fields: Vec<_>| fields.into_iter().map(FieldChange::of).collect();
        Self {
            view: diff.view,
            fields: diff.fields.map(fields),
            in_before: diff.in_before,
            in_after: diff.in_after,
        }
    }
}

impl TrainColumnDiff {
    fn of(diff: ColumnDiff) -> Self {
        Self {
            column: diff.column,
            in_before: diff.in_before,
            in_after: diff.in_after,
            rows_changed: diff.rows_changed,
        }
    }
}

impl Desk {
    /// Compares two training sets.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn train_diff(&self, request: TrainDiffRequest) -> Result<TrainDiffAnswer> {
        let TrainDiffRequest { before, after } = request;
        let before_at = self.snapshot(before.at.as_ref()).await?;
        let after_at = self.snapshot(after.at.as_ref()).await?;
        let set = |at, name| SetAt { at, name };
        let (one, other) = (set(&before_at, &before.name), set(&after_at, &after.name));
        let diff = training::diff(&self.engine()?, one, other, self.progress()).await?;
        Ok(TrainDiffAnswer {
            before: TrainingSetView::of(diff.before),
            after: TrainingSetView::of(diff.after),
            same_content: diff.same_content,
            definitions: diff.definitions.into_iter().map(TrainDefinitionDiff::of).collect(),
            rows_removed: diff.rows_removed,
            rows_added: diff.rows_added,
            rows_common: diff.rows_common,
            rows_changed: diff.rows_changed,
            columns: diff.columns.into_iter().map(TrainColumnDiff::of).collect(),
        })
    }
}
