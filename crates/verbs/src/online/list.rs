//! `online list`: what the online store holds.

use drumlin_model::{CommitId, feature::FeatureType};
use drumlin_online::ViewState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Result};

/// Asks what the online store holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OnlineListRequest {}

/// A view of the online store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineViewRow {
    pub view: String,
    /// The commit that it was materialized at.
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// The hash of the definition that its rows were made by.
    pub definition: String,
    /// Join keys in order, each with its type.
    pub keys: Vec<(String, String)>,
    /// Features, each with its type.
    pub features: Vec<(String, String)>,
    pub watermark: OnlineWatermark,
}

/// How far a view is materialized: a commit, never an event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineWatermark {
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// The files of the source table at that commit.
    pub files: u64,
    /// The hash of their names, in hex.
    pub files_hash: String,
}

impl OnlineViewRow {
    fn of(state: ViewState) -> Self {
        let typed = |columns: Vec<(String, FeatureType)>| {
            let columns = columns.into_iter();
            columns.map(|(name, kind)| (name, kind.to_string())).collect()
        };
        Self {
            view: state.view,
            commit: state.watermark.commit,
            definition: state.definition,
            keys: typed(state.keys),
            features: typed(state.features),
            watermark: OnlineWatermark {
                commit: state.watermark.commit,
                files: state.watermark.files,
                files_hash: state.watermark.files_hash,
            },
        }
    }
}

impl Desk {
    /// Lists what the online store holds.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn online_list(&self, _request: OnlineListRequest) -> Result<Vec<OnlineViewRow>> {
        let views = self.online()?.views()?;
        Ok(views.into_iter().map(OnlineViewRow::of).collect())
    }
}
