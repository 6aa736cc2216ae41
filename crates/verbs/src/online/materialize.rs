//! `online materialize`: the online store is brought to a commit.

use drumlin_features::online::{How, MaterializeRequest, Materialized, materialize};
use drumlin_model::{CommitId, RefExpr};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Result};

/// Brings the online store to a commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OnlineMaterializeRequest {
    /// Feature views. When empty, all with `online: true`.
    pub views: Vec<String>,
    /// The version. Without it, the current branch.
    pub at: Option<RefExpr>,
    /// Build anew, even where adding would do.
    pub rebuild: bool,
}

/// What was done for one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MaterializedRow {
    pub view: String,
    /// The commit that the view is at now.
    #[schemars(with = "String")]
    pub commit: CommitId,
    pub how: MaterializedHow,
    pub rows_read: u64,
    /// Rows that were newer than what was stored when they came.
    pub rows_stored: u64,
    /// Rows that can never answer: a null key, event time or created time.
    pub rows_skipped: u64,
    /// Keys in the store afterwards.
    pub keys: u64,
}

/// How a view was brought along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaterializedHow {
    /// Its source has not changed.
    Unchanged,
    /// What was added to its source was read.
    Appended,
    /// All of its source was read.
    Full,
    /// It is not defined, or not online, any more.
    Removed,
}

impl MaterializedRow {
    fn of(done: Materialized) -> Self {
        Self {
            view: done.view,
            commit: done.commit,
            how: match done.how {
                How::Unchanged => MaterializedHow::Unchanged,
                How::Appended => MaterializedHow::Appended,
                How::Full => MaterializedHow::Full,
                How::Removed => MaterializedHow::Removed,
            },
            rows_read: done.rows_read,
            rows_stored: done.rows_stored,
            rows_skipped: done.rows_skipped,
            keys: done.keys,
        }
    }
}

impl Desk {
    /// Brings the online store to a commit. Cancelled, it goes on where it was when it is asked for again.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn online_materialize(&self, request: OnlineMaterializeRequest) -> Result<Vec<MaterializedRow>> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let asked = MaterializeRequest {
            views: request.views,
            rebuild: request.rebuild,
            ..MaterializeRequest::default()
        };
        let (engine, store, now) = (self.engine()?, self.online()?, self.now());
        let done = materialize(&store, &engine, &snapshot, &asked, now, self.progress()).await?;
        Ok(done.into_iter().map(MaterializedRow::of).collect())
    }
}
