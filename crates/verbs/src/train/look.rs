//! `train list` and `show`.

use drumlin_features::training;
use drumlin_model::RefExpr;
use serde::{Deserialize, Serialize};

use super::TrainingSetView;
use crate::{Desk, Result};

/// Asks which training sets there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainListRequest {
    /// The version. Without it, the current branch.
    pub at: Option<RefExpr>,
}

/// Asks what a training set is and was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainShowRequest {
    pub name: String,
    /// The version. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

impl Desk {
    /// Lists the training sets.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn train_list(&self, request: TrainListRequest) -> Result<Vec<TrainingSetView>> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let sets = training::list(&snapshot).await?;
        Ok(sets.into_iter().map(TrainingSetView::of).collect())
    }

    /// Shows what a training set is and was made from.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn train_show(&self, request: TrainShowRequest) -> Result<TrainingSetView> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        Ok(TrainingSetView::of(training::show(&snapshot, &request.name).await?))
    }
}
