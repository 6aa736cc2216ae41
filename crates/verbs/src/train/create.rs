//! `train create`: a spine completed with features as of each row's own time.

use drumlin_asof::{KnownAt, OnNullTime};
use drumlin_features::{
    definition::ViewUse,
    training::{self, Create, Features, Options, SpineSource},
};
use drumlin_model::{CommitId, RefExpr, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainingSetView;
use crate::{Desk, Error, Result};

/// Makes a training set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainCreateRequest {
    pub name: String,
    /// A table, or a query that begins with `SELECT` or `WITH`.
    pub spine: String,
    /// The spine's column that says when each row asks.
    pub time: String,
    /// The feature service that names the features. Either this or `views`.
    pub service: Option<String>,
    /// Feature views, all features of each.
    pub views: Vec<String>,
    /// The version that pins definitions, data and spine. Without it, the current branch.
    pub at: Option<RefExpr>,
    /// What was not known then is left out: `none` for nothing, `row` for each row's own time, a time (RFC 3339), or the
    /// time of a version. When empty, `none`.
    pub known_at: String,
    /// Keep spine rows without a time, with null features. Without it they are an error.
    pub keep_null_times: bool,
    /// Add `VIEW__status` columns.
    pub with_status: bool,
    /// Add `VIEW__event_time` columns.
    pub with_event_time: bool,
    /// Replace a set of that name.
    pub replace: bool,
    /// The commit's message. Without it, a sentence of what was done.
    pub message: Option<String>,
}

/// The set that was made, or was there already.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrainCreateAnswer {
    pub set: TrainingSetView,
    /// The commit that was made; none when the branch had the same set.
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    /// What whoever asked should know, in sentences: times without a zone, rows without a time.
    pub notices: Vec<String>,
}

impl Desk {
    /// Makes a training set.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn train_create(&self, request: TrainCreateRequest) -> Result<TrainCreateAnswer> {
        let (branch, by) = (self.branch()?, self.by());
        let at = self.snapshot(request.at.as_ref()).await?;
        let create = Create {
            options: Options {
                known_at: self.known_at(&request.known_at).await?,
                on_null_time: match request.keep_null_times {
                    true => OnNullTime::Keep,
                    false => OnNullTime::Error,
                },
                with_status: request.with_status,
                with_event_time: request.with_event_time,
                ..Options::new(request.time)
            },
            name: request.name,
            spine: spine(request.spine),
            spine_at: at.clone(),
            features: features(request.service, request.views)?,
            at,
            branch,
            replace: request.replace,
            message: request.message,
        };
        let created = training::create(&self.engine()?, create, by, self.progress()).await?;
        self.follow().await?;
        Ok(TrainCreateAnswer {
            set: TrainingSetView::of(created.set),
            commit: created.commit,
            notices: created.notices,
        })
    }

    async fn known_at(&self, text: &str) -> Result<KnownAt> {
        Ok(match text {
            "" | "none" => KnownAt::None,
            "row" => KnownAt::Row,
            other => match Timestamp::parse_rfc3339(other) {
                Some(time) => KnownAt::Time(time),
                None => {
                    let commit = self.repo.resolve(&other.parse::<RefExpr>()?).await?.commit;
                    KnownAt::Time(self.repo.commit(commit).await?.time)
                }
            },
        })
    }
}

/// A query begins as queries do; all else names a table.
fn spine(text: String) -> SpineSource {
    let first = text.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
    match first.as_str() {
        "select" | "with" => SpineSource::Sql(text),
        _ => SpineSource::Table(text),
    }
}

fn features(service: Option<String>, views: Vec<String>) -> Result<Features> {
    match (service, views.is_empty()) {
        (Some(service), true) => Ok(Features::Service(service)),
        (None, false) => Ok(Features::Views(views.into_iter().map(ViewUse::of).collect())),
        (_, empty) => {
            let number = if empty { "neither" } else { "both" };
            Err(Error::Invalid {
                what: format!("a training set needs a service or views, and {number} was given"),
                cures: Vec::new(),
            })
        }
    }
}
