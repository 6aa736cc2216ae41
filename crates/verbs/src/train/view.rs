//! `TrainingSetView`: a training set as answers show it. The stored record keeps times as numbers; answers write them as
//! RFC 3339 texts.

use std::collections::BTreeMap;

use drumlin_asof::{KnownAt, OnNullTime};
use drumlin_features::{
    TrainingSet,
    training::{Column, Counts, Options, Part, Spine, SpineSource, UsedView, ViewCounts},
};
use drumlin_model::CommitId;
use schemars::JsonSchema;
use serde::Serialize;

/// What a training set is and was made from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TrainingSetView {
    /// Of the stored record.
    pub format: u32,
    pub name: String,
    /// The hash of the commit, the definitions, the spine and the options, in hex.
    pub id: String,
    /// The commit that the views were read at, definitions and data.
    #[schemars(with = "String")]
    pub commit: CommitId,
    pub spine: TrainingSpine,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub views: Vec<TrainingView>,
    pub options: TrainingOptions,
    pub rows: u64,
    /// The hash of the parts' bytes, in hex.
    pub content: String,
    pub parts: Vec<TrainingPart>,
    pub schema: Vec<TrainingColumn>,
    /// How many of the first columns are the spine's.
    pub spine_columns: u64,
    pub counts: TrainingCounts,
}

/// Where the rows come from: a table, or a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingSpine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    #[schemars(with = "String")]
    pub commit: CommitId,
}

/// A view of the set, as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TrainingView {
    pub view: String,
    /// The prefix of its columns, where it is not the view's name.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Empty: all features of the view.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub features: Vec<String>,
    /// The spine's column for a join key, where it has another name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub keys: BTreeMap<String, String>,
    /// Of the view and its entities.
    pub hash: String,
    pub definition: serde_json::Value,
}

/// How the set was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingOptions {
    /// The spine's time column.
    pub time: String,
    pub known_at: KnownAtView,
    /// What became of spine rows without a time: `error` or `keep`.
    pub on_null_time: String,
    /// Whether `VIEW__status` columns are part of the set.
    pub with_status: bool,
    /// Whether `VIEW__event_time` columns are part of the set.
    pub with_event_time: bool,
}

/// Which rows counted as known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KnownAtView {
    /// All.
    None,
    /// Those known at the row's own time.
    Row,
    /// Those known at this time, RFC 3339.
    Time(String),
}

/// A file of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingPart {
    /// Its name, beside the record.
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    /// Of its bytes, in hex.
    pub hash: String,
}

/// A column of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingColumn {
    pub name: String,
    pub data_type: String,
    /// Nulls in all rows.
    pub nulls: u64,
}

/// What became of the lookups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingCounts {
    pub views: BTreeMap<String, TrainingViewCounts>,
}

/// What became of the lookups in one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrainingViewCounts {
    /// Spine rows by status: `PRESENT`, `NULL_VALUE`, `NOT_FOUND`, `OUTSIDE_MAX_AGE`, `DELETED`.
    pub statuses: BTreeMap<String, u64>,
    /// Rows of the view without an event time: they never match.
    pub null_event_times: u64,
}

impl TrainingSetView {
    pub(super) fn of(set: TrainingSet) -> Self {
        Self {
            format: set.format,
            name: set.name,
            id: set.id,
            commit: set.commit,
            spine: TrainingSpine::of(set.spine),
            service: set.service,
            views: set.views.into_iter().map(TrainingView::of).collect(),
            options: TrainingOptions::of(set.options),
            rows: set.rows,
            content: set.content,
            parts: set.parts.into_iter().map(TrainingPart::of).collect(),
            schema: set.schema.into_iter().map(TrainingColumn::of).collect(),
            spine_columns: set.spine_columns as u64,
            counts: TrainingCounts::of(set.counts),
        }
    }
}

impl TrainingSpine {
    fn of(spine: Spine) -> Self {
        let (table, sql) = match spine.source {
            SpineSource::Table(table) => (Some(table), None),
            SpineSource::Sql(query) => (None, Some(query)),
        };
        let commit = spine.commit;
        Self { table, sql, commit }
    }
}

impl TrainingView {
    fn of(view: UsedView) -> Self {
        Self {
            view: view.used.view,
            alias: view.used.alias,
            features: view.used.features,
            keys: view.used.keys,
            hash: view.hash,
            definition: serde_json::to_value(&view.definition).expect("a definition has only string keys"),
        }
    }
}

impl TrainingOptions {
    fn of(options: Options) -> Self {
        let on_null_time = match options.on_null_time {
            OnNullTime::Error => "error",
            OnNullTime::Keep => "keep",
        };
        Self {
            time: options.time,
            known_at: match options.known_at {
                KnownAt::None => KnownAtView::None,
                KnownAt::Row => KnownAtView::Row,
                KnownAt::Time(time) => KnownAtView::Time(time.to_string()),
            },
            on_null_time: on_null_time.to_owned(),
            with_status: options.with_status,
            with_event_time: options.with_event_time,
        }
    }
}

impl TrainingPart {
    fn of(part: Part) -> Self {
        Self {
            file: part.file,
            rows: part.rows,
            bytes: part.bytes,
            hash: part.hash,
        }
    }
}

impl TrainingColumn {
    fn of(column: Column) -> Self {
        Self {
            name: column.name,
            data_type: column.data_type,
            nulls: column.nulls,
        }
    }
}

impl TrainingCounts {
    fn of(counts: Counts) -> Self {
        let view = |(name, view): (String, ViewCounts)| {
            let counts = TrainingViewCounts {
                statuses: view.statuses,
                null_event_times: view.null_event_times,
            };
            (name, counts)
        };
        Self {
            views: counts.views.into_iter().map(view).collect(),
        }
    }
}
