//! The nouns of the feature store as values: entity, feature view, feature, feature service.
//! `yaml` and `parse` read them from text; `check` holds them against the tables; `registry` keeps them together.
//! Invariant: `hash` depends on what a definition means alone, never on formatting, comments or descriptions.

pub mod check;
pub mod parse;
pub mod types;
pub mod yaml;

use std::{collections::BTreeMap, fmt};

use drumlin_asof::Window;
use drumlin_model::RepoPath;
use serde::{Deserialize, Serialize};

pub use drumlin_model::feature::{FeatureType, Length, Nulls, ViewUse};
pub use yaml::Spot;

/// The version of what is hashed: a change of the canonical form changes every hash, so it says so.
const HASH_FORMAT: &str = "drumlin definition 1\n";

/// A thing that features describe, and the columns that name one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    pub name: String,
    pub keys: Vec<JoinKey>,
    #[serde(flatten)]
    pub about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinKey {
    pub name: String,
    pub data_type: FeatureType,
}

/// A group of features with the same keys and the same source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    pub name: String,
    /// None makes the view global: one value for all, as of time alone.
    pub entities: Vec<String>,
    /// The source's column for a join key, where it has another name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    pub source: Source,
    pub event_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// A boolean column: true deletes the entity from this event time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<String>,
    /// With it, a row answers from its event time until just before this time; null means that it still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Length>,
    pub inclusive: bool,
    pub nulls: Nulls,
    /// Empty: every column of the source that is not a key, a time or the tombstone; none of them when there are windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    pub online: bool,
    #[serde(flatten)]
    pub about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The name of a table of the repository.
    Table(String),
    /// A query over its tables.
    Sql(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    pub name: String,
    /// None: as the source has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<FeatureType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What one model asks for: features of several views, under names that do not clash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureService {
    pub name: String,
    pub views: Vec<ViewUse>,
    #[serde(flatten)]
    pub about: About,
}

/// What helps people and changes no value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a registry holds hundreds, not millions")]
pub enum Definition {
    Entity(Entity),
    FeatureView(FeatureView),
    FeatureService(FeatureService),
}

/// The sort of a definition; with the name it identifies one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Entity,
    FeatureView,
    FeatureService,
}

/// Where a definition and its fields are written: `event_time`, `features.temp`, `entities.airport`.
#[derive(Clone, Debug)]
pub struct Place {
    pub file: RepoPath,
    pub at: Spot,
    pub fields: BTreeMap<String, Spot>,
}

impl Place {
    /// The place of a field; of the definition when the field is not written.
    pub fn of(&self, field: &str) -> Spot {
        self.fields.get(field).copied().unwrap_or(self.at)
    }
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Entity, Kind::FeatureView, Kind::FeatureService];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Entity => "entity",
            Kind::FeatureView => "feature_view",
            Kind::FeatureService => "feature_service",
        }
    }
    /// As people say it.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Entity => "entity",
            Kind::FeatureView => "feature view",
            Kind::FeatureService => "feature service",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

impl Definition {
    pub fn kind(&self) -> Kind {
        match self {
            Definition::Entity(_) => Kind::Entity,
            Definition::FeatureView(_) => Kind::FeatureView,
            Definition::FeatureService(_) => Kind::FeatureService,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Definition::Entity(entity) => &entity.name,
            Definition::FeatureView(view) => &view.name,
            Definition::FeatureService(service) => &service.name,
        }
    }

    pub fn about(&self) -> &About {
        match self {
            Definition::Entity(entity) => &entity.about,
            Definition::FeatureView(view) => &view.about,
            Definition::FeatureService(service) => &service.about,
        }
    }

    /// The hash, in hex, of what the definition means: equal for two that give the same values.
    pub fn hash(&self) -> String {
        let json = serde_json::to_string(&self.meaning()).expect("a definition has only string keys");
        blake3::hash(format!("{HASH_FORMAT}{json}").as_bytes())
            .to_hex()
            .to_string()
    }

    /// The definition without what changes no value.
    fn meaning(&self) -> Definition {
        let mut meaning = self.clone();
        match &mut meaning {
            Definition::Entity(entity) => entity.about = About::default(),
            Definition::FeatureService(service) => service.about = About::default(),
            Definition::FeatureView(view) => {
                view.about = About::default();
                view.online = false;
                view.features.iter_mut().for_each(|feature| feature.description = None);
                view.windows.iter_mut().for_each(|window| window.description = None);
                if let Source::Sql(query) = &mut view.source {
                    *query = query.trim().trim_end_matches(';').trim_end().to_owned();
                }
            }
        }
        meaning
    }
}
