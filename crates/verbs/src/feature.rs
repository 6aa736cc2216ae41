//! `feature ...`: entities, feature views and feature services, as a version has them.

use drumlin_features::{Registry, registry::Found};
use drumlin_model::{RefExpr, RepoPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Result};

/// Asks which definitions there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureListRequest {
    /// The version. Without it, the current branch.
    pub at: Option<RefExpr>,
}

/// A definition, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FeatureRow {
    /// `entity`, `feature_view` or `feature_service`.
    pub kind: String,
    pub name: String,
    #[schemars(with = "String")]
    pub file: RepoPath,
    pub description: Option<String>,
}

/// Asks for one definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeatureShowRequest {
    pub name: String,
    /// The version. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FeatureShowAnswer {
    #[schemars(with = "String")]
    pub file: RepoPath,
    /// As the file says it, in JSON; `kind` is `entity`, `feature_view` or `feature_service`.
    pub definition: serde_json::Value,
    /// The hash of what it means: equal for two definitions that give the same values.
    pub hash: String,
}

/// Asks which definitions and features have some words in names, descriptions, owners or tags.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeatureSearchRequest {
    pub words: String,
    /// The version. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// A definition or feature that has the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FeatureHit {
    /// `entity`, `feature_view` or `feature_service`.
    pub kind: String,
    pub name: String,
    /// The feature within the view, when it is one.
    pub feature: Option<String>,
    pub description: Option<String>,
    #[schemars(with = "String")]
    pub file: RepoPath,
}

impl FeatureHit {
    fn of(found: Found) -> Self {
        Self {
            kind: found.kind.as_str().to_owned(),
            name: found.name,
            feature: found.feature,
            description: found.description,
            file: found.file,
        }
    }
}

impl Desk {
    /// Lists all definitions.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn feature_list(&self, request: FeatureListRequest) -> Result<Vec<FeatureRow>> {
        let registry = self.registry(request.at.as_ref()).await?;
        let row = |placed: &drumlin_features::definition::parse::Placed| FeatureRow {
            kind: placed.definition.kind().as_str().to_owned(),
            name: placed.definition.name().to_owned(),
            file: placed.place.file.clone(),
            description: placed.definition.about().description.clone(),
        };
        Ok(registry.definitions().map(row).collect())
    }

    /// Shows one definition.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn feature_show(&self, request: FeatureShowRequest) -> Result<FeatureShowAnswer> {
        let registry = self.registry(request.at.as_ref()).await?;
        let placed = registry.find(&request.name)?;
        Ok(FeatureShowAnswer {
            file: placed.place.file.clone(),
            definition: serde_json::to_value(&placed.definition).expect("a definition has only string keys"),
            hash: placed.definition.hash(),
        })
    }

    /// Finds definitions and features by words, the best first.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn feature_search(&self, request: FeatureSearchRequest) -> Result<Vec<FeatureHit>> {
        let found = self.registry(request.at.as_ref()).await?.search(&request.words);
        Ok(found.into_iter().map(FeatureHit::of).collect())
    }

    async fn registry(&self, at: Option<&RefExpr>) -> Result<Registry> {
        Ok(Registry::load(&self.snapshot(at).await?).await?)
    }
}
