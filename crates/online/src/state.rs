//! What the online store knows of its views, and the records that it keeps for itself, as bytes.
//! `serving` reads and writes these records, `key` names them. Invariant: bytes that are not such a record are an error, and
//! never taken for an absent one.

use drumlin_model::{CommitId, feature::FeatureType};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    key,
    row::{Rules, Target},
};

/// The format of the whole store; page 005 of the design describes it.
pub const FORMAT: u32 = 3;

/// The format of the store: a number.
pub const FORMAT_KEY: &[u8] = b"\0format";
/// A number that moves whenever a view's state does: a lookup that was compiled at another one is compiled anew.
pub const EPOCH_KEY: &[u8] = b"\0epoch";
/// The generation that the next build gets.
pub const NEXT_KEY: &[u8] = b"\0next";
/// How many rows were ever pushed.
pub const PUSHES_KEY: &[u8] = b"\0pushes";

const VIEW_PREFIX: &str = "view/";
const BUILD_PREFIX: &str = "build/";
const COUNT_PREFIX: &str = "count/";
const DOOMED_PREFIX: &str = "doomed/";

/// The state of a view.
pub fn view_key(view: &str) -> Vec<u8> {
    key::meta(&format!("{VIEW_PREFIX}{view}"))
}
/// What the keys of all views' states begin with.
pub fn views_prefix() -> Vec<u8> {
    key::meta(VIEW_PREFIX)
}
/// The state that a view is going to have, while it is being built.
pub fn build_key(view: &str) -> Vec<u8> {
    key::meta(&format!("{BUILD_PREFIX}{view}"))
}
pub fn builds_prefix() -> Vec<u8> {
    key::meta(BUILD_PREFIX)
}
/// How many keys a generation has.
pub fn count_key(generation: u32) -> Vec<u8> {
    key::meta(&format!("{COUNT_PREFIX}{generation:010}"))
}
/// A generation whose rows are to be deleted: nobody reads them, or nobody does yet.
pub fn doomed_key(generation: u32) -> Vec<u8> {
    key::meta(&format!("{DOOMED_PREFIX}{generation:010}"))
}
pub fn doomed_prefix() -> Vec<u8> {
    key::meta(DOOMED_PREFIX)
}
/// The generation that such a key names.
pub fn doomed_generation(key: &[u8]) -> Option<u32> {
    key::meta_name(key)?.strip_prefix(DOOMED_PREFIX)?.parse().ok()
}

/// What the store knows of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewState {
    pub view: String,
    /// The hash of the definition, and of its entities', that the rows were made by.
    pub definition: String,
    /// Which rows are the view's. A build gives a new one; whoever asks for the build leaves it 0.
    pub generation: u32,
    /// Join keys in order, and their types.
    pub keys: Vec<(String, FeatureType)>,
    /// Features in the order of the stored rows, and their types.
    pub features: Vec<(String, FeatureType)>,
    pub rules: Rules,
    pub watermark: Watermark,
    /// How far an append came that has not ended: rows of these files may be there beside those of the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
}

/// How far a view is materialized: a commit, never an event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    pub commit: CommitId,
    /// The source table's files at that commit: how many, and the hash of their names in the order of writing.
    pub files: u64,
    pub files_hash: String,
}

/// A table's first files: how many, and the hash of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    pub files: u64,
    pub files_hash: String,
}

impl ViewState {
    /// A tag of the schema: the first bytes of its hash.
    pub fn layout(&self) -> u32 {
        let text = serde_json::to_string(&(&self.keys, &self.features)).expect("names and types are plain values");
        let hash = blake3::hash(text.as_bytes());
        u32::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    pub fn target(&self, now: i64) -> Target<'_> {
        Target {
            view: &self.view,
            generation: self.generation,
            layout: self.layout(),
            rules: self.rules,
            features: self.features.len(),
            now,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a state has only string keys")
    }

    /// Reads a state; an error when the bytes are none, or of another view.
    pub fn from_bytes(view: &str, bytes: &[u8]) -> Result<Self> {
        let state = serde_json::from_slice::<Self>(bytes).ok();
        state
            .filter(|state| state.view == view)
            .ok_or_else(|| Error::Damaged { view: view.to_owned() })
    }
}

/// Reads a number of 4 bytes; none where there is no record. `name` is for the error.
pub fn number(name: &'static str, bytes: Option<&[u8]>) -> Result<Option<u32>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let number = bytes.try_into().map_err(|_| Error::Record { name })?;
    Ok(Some(u32::from_le_bytes(number)))
}

/// Reads a number of 8 bytes; 0 where there is no record. `name` is for the error.
pub fn long(name: &'static str, bytes: Option<&[u8]>) -> Result<u64> {
    let Some(bytes) = bytes else { return Ok(0) };
    let number = bytes.try_into().map_err(|_| Error::Record { name })?;
    Ok(u64::from_le_bytes(number))
}
