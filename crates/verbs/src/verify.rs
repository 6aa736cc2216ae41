//! `verify`: whether the online store answers as the offline join does, for every key.

use std::collections::BTreeMap;

use drumlin_features::{
    Registry,
    online::{self, Mismatch, Verified},
};
use drumlin_model::{CommitId, Timestamp};
use drumlin_online::ViewState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Desk, Error, Result, times};

/// Compares the online store with the tables.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifyRequest {
    /// Feature views. When empty, all in the store.
    pub views: Vec<String>,
    /// The time of the comparison. Without it, now. Keys whose answers then are not kept cannot be asked.
    #[serde(with = "times::optional")]
    pub now: Option<Timestamp>,
}

/// What was compared, and what differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct VerifyAnswer {
    /// Whether nothing differs, nothing is missing, and every key could be asked.
    pub identical: bool,
    pub views: Vec<VerifiedView>,
    /// The commit that the branch is at.
    #[schemars(with = "String")]
    pub head: CommitId,
    /// Views that are online and not in the store, so that nothing of them was compared.
    pub absent: Vec<String>,
    /// Views that are at another commit than the branch. They were compared at their own.
    pub behind: Vec<String>,
}

/// What was found for one view.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct VerifiedView {
    pub view: String,
    /// The commit that was compared.
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// The time of the comparison, RFC 3339.
    pub now: String,
    /// Keys of the store that were compared.
    pub keys: u64,
    /// Values that were compared.
    pub values: u64,
    /// Keys whose answer is a pushed row, which the table does not have.
    pub pushed: u64,
    /// Rows of the table whose key the store lacks.
    pub missing: u64,
    /// Keys that cannot be asked at this time: the store does not keep what answered then.
    pub unanswered: u64,
    /// The time from which all of these can be asked, RFC 3339.
    pub answers_from: Option<String>,
    /// Keys with a difference.
    pub different: u64,
    /// Some of what differs or is missing.
    pub mismatches: Vec<VerifyMismatch>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct VerifyMismatch {
    pub key: BTreeMap<String, Value>,
    /// A feature, `status` or `event_time`; `key` when the store lacks it.
    pub what: String,
    pub online: Value,
    pub offline: Value,
}

impl VerifiedView {
    fn of(view: Verified) -> Self {
        Self {
            view: view.view,
            commit: view.commit,
            now: view.now.to_string(),
            keys: view.keys,
            values: view.values,
            pushed: view.pushed,
            missing: view.missing,
            unanswered: view.unanswered,
            answers_from: view.answers_from.map(|time| time.to_string()),
            different: view.different,
            mismatches: view.mismatches.into_iter().map(VerifyMismatch::of).collect(),
        }
    }

    /// Whether nothing differs, nothing is missing, and every key could be asked.
    pub fn is_identical(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.unanswered == 0
    }
}

impl VerifyMismatch {
    fn of(mismatch: Mismatch) -> Self {
        Self {
            key: mismatch.key,
            what: mismatch.what,
            online: mismatch.online,
            offline: mismatch.offline,
        }
    }
}

impl VerifyAnswer {
    /// An error when something differs, which is a fault of the store; or else when some keys could not be asked, which
    /// another time would mend.
    pub fn verdict(&self) -> Result<()> {
        if self.views.iter().any(|view| view.different > 0 || view.missing > 0) {
            return Err(Error::OnlineDiffers);
        }
        let keys = self.views.iter().map(|view| view.unanswered).sum();
        let from = self.views.iter().filter_map(|view| view.answers_from.as_deref());
        match from.filter_map(Timestamp::parse_rfc3339).max() {
            Some(from) => Err(Error::Unanswered { keys, from }),
            None => Ok(()),
        }
    }
}

impl Desk {
    /// Compares the online store with the tables, key by key. An error means that the comparison could not be made; what
    /// was found is the answer.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn verify(&self, request: VerifyRequest) -> Result<VerifyAnswer> {
        let (engine, store) = (self.engine()?, self.online()?);
        let now = request.now.unwrap_or_else(|| self.now());
        let snapshot = self.snapshot(None).await?;
        let (registry, head) = (Registry::load(&snapshot).await?, snapshot.commit());
        let states = store.views()?;
        let views = online::verify(&store, &engine, &request.views, now, self.progress()).await?;
        let views: Vec<VerifiedView> = views.into_iter().map(VerifiedView::of).collect();
        Ok(VerifyAnswer {
            identical: views.iter().all(VerifiedView::is_identical),
            views,
            head,
            absent: absent(&registry, &states),
            behind: behind(&states, head),
        })
    }
}

fn absent(registry: &Registry, states: &[ViewState]) -> Vec<String> {
    let online = registry.views().filter(|view| view.online);
    let absent = online.filter(|view| !states.iter().any(|state| state.view == view.name));
    absent.map(|view| view.name.clone()).collect()
}

fn behind(states: &[ViewState], head: CommitId) -> Vec<String> {
    let behind = states.iter().filter(|state| state.watermark.commit != head);
    behind.map(|state| state.view.clone()).collect()
}
