//! `train rebuild`: a training set built again from what pins it, and compared byte by byte.

use drumlin_features::training::{self, SetAt};
use drumlin_model::RefExpr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// Builds a training set again. Nothing is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainRebuildRequest {
    pub name: String,
    /// The version that holds the set. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// What was recorded, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainRebuildAnswer {
    pub name: String,
    /// The hash of the content, in hex, as the record says it.
    pub recorded: String,
    /// The hash of what was built now.
    pub rebuilt: String,
    pub rows: u64,
    /// Parts of the repository that are not, or no longer, what the record says.
    pub altered: Vec<String>,
    /// Whether what was built is what is recorded, and what is stored too.
    pub equal: bool,
}

impl TrainRebuildAnswer {
    /// An error when other bytes came out.
    pub fn verdict(&self) -> Result<()> {
        if self.equal {
            return Ok(());
        }
        Err(Error::NotRebuilt {
            name: self.name.clone(),
        })
    }
}

impl Desk {
    /// Builds a training set again and compares. An error means that it could not be built; what came out is the answer.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn train_rebuild(&self, request: TrainRebuildRequest) -> Result<TrainRebuildAnswer> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let set = SetAt {
            at: &snapshot,
            name: &request.name,
        };
        let rebuilt = training::rebuild(&self.engine()?, set, self.progress()).await?;
        Ok(TrainRebuildAnswer {
            name: request.name,
            recorded: rebuilt.recorded.content,
            rebuilt: rebuilt.content,
            rows: rebuilt.rows,
            altered: rebuilt.altered,
            equal: rebuilt.equal,
        })
    }
}
