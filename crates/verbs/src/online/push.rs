//! `online push`: rows straight into the online store.

use drumlin_online::Row;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check_count;
use crate::{Desk, Result};

/// Writes rows into the online store. Older rows never replace newer ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OnlinePushRequest {
    pub view: String,
    /// Each has the keys, the features and `event_time`; `"deleted": true` deletes the key.
    #[serde(default)]
    pub rows: Vec<Map<String, Value>>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlinePushAnswer {
    pub view: String,
    /// Rows that came.
    pub rows: u64,
    /// Those of them that are newer than what was there.
    pub newer: u64,
}

impl Desk {
    /// Writes rows into the online store, all or none.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn online_push(&self, request: OnlinePushRequest) -> Result<OnlinePushAnswer> {
        check_count(request.rows.len())?;
        let store = self.online()?;
        let state = store.view(&request.view)?;
        let rows = request.rows.iter().map(|row| Row::from_json(&state, row));
        let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
        let newer = store.push(&request.view, &rows, self.now())?;
        Ok(OnlinePushAnswer {
            view: request.view,
            rows: rows.len() as u64,
            newer,
        })
    }
}
