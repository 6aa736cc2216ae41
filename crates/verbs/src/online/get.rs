//! `online get`: features by key, from a service or a view, as the definitions of the branch expect them.

use std::collections::BTreeMap;

use drumlin_features::{Registry, definition::ViewUse, online::check_definitions};
use drumlin_model::{CommitId, Cure, Timestamp, Verb};
use drumlin_online::{Lookup, OwnedValue, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::check_count;
use crate::{Desk, Error, Result, times};

/// Looks up features by key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OnlineGetRequest {
    /// A feature service, or a feature view.
    pub name: String,
    /// For each row its keys by name. A view without keys is asked with one empty row. Values may be texts, whatever the
    /// type of the key.
    pub keys: Vec<Map<String, Json>>,
    /// The time to answer for. Without it, now. An error when the store does not keep what answered then.
    #[serde(with = "times::optional")]
    pub now: Option<Timestamp>,
}

/// The answer for one row of keys.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OnlineRow {
    pub keys: Map<String, Json>,
    /// Features by name, and for each view `VIEW__status` and `VIEW__event_time`.
    pub features: BTreeMap<String, Json>,
    /// The commit that each view answers from.
    #[schemars(with = "BTreeMap<String, String>")]
    pub commit: BTreeMap<String, CommitId>,
    /// The commit that the branch is at: a view that answers from another one lags behind.
    #[schemars(with = "String")]
    pub head: CommitId,
}

impl Desk {
    /// Looks up features by key.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn online_get(&self, request: OnlineGetRequest) -> Result<Vec<OnlineRow>> {
        check_count(request.keys.len())?;
        let snapshot = self.snapshot(None).await?;
        let registry = Registry::load(&snapshot).await?;
        let wants = wants(&registry, &request.name)?;
        let store = self.online()?;
        let mut lookup = store.prepare(&wants)?;
        check_definitions(&store, &registry, &wants)?;
        let asked = Asked {
            name: &request.name,
            lookup: &lookup,
        };
        let rows: Vec<Vec<OwnedValue>> = request
            .keys
            .into_iter()
            .map(|row| asked.row(row))
            .collect::<Result<_>>()?;
        let names: Vec<String> = lookup.keys().iter().map(|(name, _)| name.clone()).collect();
        let values: Vec<Vec<Value<'_>>> = rows
            .iter()
            .map(|row| row.iter().map(OwnedValue::as_value).collect())
            .collect();
        let slices: Vec<&[Value<'_>]> = values.iter().map(Vec::as_slice).collect();
        let now = request.now.unwrap_or_else(|| self.now());
        let (features, commit) = store.get(&mut lookup, &slices, now, |answers| {
            let features: Vec<_> = (0..answers.rows()).map(|row| answers.to_json(row)).collect();
            let commits = answers.commits().into_iter();
            let commits: BTreeMap<_, _> = commits.map(|(view, commit)| (view.to_owned(), commit)).collect();
            (features, commits)
        })?;
        let keys = rows.iter().map(|row| {
            let values = row.iter().map(|value| value.as_value().to_json());
            names.iter().cloned().zip(values).collect()
        });
        let answers = keys.zip(features).map(|(keys, features)| OnlineRow {
            keys,
            features,
            commit: commit.clone(),
            head: snapshot.commit(),
        });
        Ok(answers.collect())
    }
}

/// The views of a service; or the view itself, where no service is called so.
fn wants(registry: &Registry, name: &str) -> Result<Vec<ViewUse>> {
    match (registry.service(name), registry.view(name)) {
        (Ok(service), _) => Ok(service.views.clone()),
        (Err(_), Ok(view)) => Ok(vec![ViewUse::of(&view.name)]),
        (Err(no_service), Err(_)) => Err(no_service.into()),
    }
}

/// What was asked for, to read keys by and to say what they should be.
struct Asked<'a> {
    name: &'a str,
    lookup: &'a Lookup,
}

impl Asked<'_> {
    /// The values of one row, in the order of the lookup's keys.
    fn row(&self, mut given: Map<String, Json>) -> Result<Vec<OwnedValue>> {
        let mut row = Vec::new();
        for (key, kind) in self.lookup.keys() {
            let given = given
                .remove(key)
                .ok_or_else(|| self.invalid(format!("{} needs a value for key {key:?}", self.name)))?;
            let value = OwnedValue::from_json(key, *kind, &given)
                .map_err(|_| self.invalid(format!("{given} is not a {kind}, the type of key {key:?}")))?;
            row.push(value);
        }
        match given.keys().next() {
            Some(key) => Err(self.invalid(format!("{key:?} is not a key of {}", self.name))),
            None => Ok(row),
        }
    }

    fn invalid(&self, what: String) -> Error {
        let keys = self.lookup.keys().iter();
        let cure = keys.fold(
            Cure::run(Verb::OnlineGet).with("name", self.name),
            |cure, (key, kind)| cure.with("keys", format!("{key}=<{kind}>")),
        );
        Error::Invalid {
            what,
            cures: vec![cure],
        }
    }
}
