//! `set.json`: everything that says what a training set is and what it was made from. Read by people and by `lineage`.
//! Pure data; `build` fills it. Invariant: the id covers what the values depend on, and nothing else.

use std::collections::BTreeMap;

use drumlin_asof::{KnownAt, OnNullTime};
use drumlin_model::CommitId;
use serde::{Deserialize, Serialize};

use crate::{
    definition::{FeatureView, ViewUse},
    error::{Error, Result},
};

/// The format of the record.
pub const FORMAT: u32 = 1;
const ID_FORMAT: &str = "drumlin training set 1\n";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSet {
    pub format: u32,
    pub name: String,
    /// The hash of the commit, the definitions, the spine and the options, in hex.
    pub id: String,
    /// The commit that the views were read at, definitions and data.
    pub commit: CommitId,
    pub spine: Spine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub views: Vec<UsedView>,
    pub options: Options,
    pub rows: u64,
    /// The hash of the parts' bytes, in hex.
    pub content: String,
    pub parts: Vec<Part>,
    pub schema: Vec<Column>,
    /// How many of the first columns are the spine's.
    pub spine_columns: usize,
    pub counts: Counts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spine {
    #[serde(flatten)]
    pub source: SpineSource,
    pub commit: CommitId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpineSource {
    Table(String),
    /// Its rows come in the order that the query gives them.
    Sql(String),
}

/// A view of the set as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedView {
    #[serde(flatten)]
    pub used: ViewUse,
    /// Of the view and its entities.
    pub hash: String,
    pub definition: FeatureView,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The spine's time column.
    pub time: String,
    pub known_at: KnownAt,
    pub on_null_time: OnNullTime,
    /// Whether `<view>__status` is part of the set.
    pub with_status: bool,
    /// Whether `<view>__event_time` is part of the set.
    pub with_event_time: bool,
}

impl Options {
    pub fn new(time: impl Into<String>) -> Self {
        Options {
            time: time.into(),
            known_at: KnownAt::None,
            on_null_time: OnNullTime::Error,
            with_status: false,
            with_event_time: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name of the file beside the record.
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    /// Of its bytes, in hex: also its file id.
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub data_type: String,
    /// Nulls in all rows.
    pub nulls: u64,
}

/// What became of the lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub views: BTreeMap<String, ViewCounts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewCounts {
    /// Spine rows by status: `PRESENT`, `NULL_VALUE`, `NOT_FOUND`, `OUTSIDE_MAX_AGE`, `DELETED`.
    pub statuses: BTreeMap<String, u64>,
    /// Rows of the view without an event time: they never match.
    pub null_event_times: u64,
}

/// What a record of any format says.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// What the id is the hash of.
#[derive(Serialize)]
struct Identity<'a> {
    commit: &'a CommitId,
    spine: &'a Spine,
    views: Vec<(&'a ViewUse, &'a str)>,
    options: &'a Options,
}

/// The id of a set, in hex.
pub(crate) fn id_of(commit: &CommitId, spine: &Spine, views: &[UsedView], options: &Options) -> String {
    let views = views.iter().map(|view| (&view.used, view.hash.as_str())).collect();
    let identity = serde_json::to_string(&Identity {
        commit,
        spine,
        views,
        options,
    })
    .expect("it has only string keys");
    blake3::hash(format!("{ID_FORMAT}{identity}").as_bytes())
        .to_hex()
        .to_string()
}

/// The content hash of parts, in hex.
pub(crate) fn content_of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.hash.as_bytes());
        hasher.update(&part.rows.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl TrainingSet {
    /// The record as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a record has only string keys");
        json.push(b'\n');
        json
    }

    /// The id that a set pinned to the same things has. The record of a sound set has it too.
    pub fn expected_id(&self) -> String {
        id_of(&self.commit, &self.spine, &self.views, &self.options)
    }

    /// The content hash that a set of the same parts has. The record of a sound set has it too.
    pub fn expected_content(&self) -> String {
        content_of(&self.parts)
    }

    /// Reads a record. One of a newer format, or that is damaged, is an error.
    pub fn parse(name: &str, json: &[u8]) -> Result<Self> {
        let damaged = |detail: String| Error::TrainingSetDamaged {
            name: name.to_owned(),
            detail,
        };
        let head: Head = serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
        if head.format > FORMAT {
            return Err(Error::TrainingSetFormat {
                name: name.to_owned(),
                found: head.format,
                newest: FORMAT,
            });
        }
        serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))
    }
}
