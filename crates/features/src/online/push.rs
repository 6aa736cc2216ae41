//! Pushing rows straight into the online store, beside the table: an application's newest values, there at once.
//! `materialize` lays them over what it builds until the table has caught up; they are not offline until they are written there.
//! Invariant: a push is one transaction, and an older row never replaces a newer one (law, cases 36 and 37).

use drumlin_model::Timestamp;
use serde_json::{Map, Value as Json};

use super::{
    OnlineStore, OwnedValue, ViewState,
    key::{GENERATION_LEN, Key},
    materialize::{Put, Target, pushed_prefix},
    row::{self, Head, NO_END, Stamp, Stored, Write},
    value::{Value, exact_time},
};
use crate::{
    definition::{FeatureType, parse::suggestion},
    error::{Error, Result},
};

/// Sequences from here on are of pushed rows: written after every row of the table with the same times.
const FIRST_SEQUENCE: u64 = 1 << 63;

/// A row to push: keys and features in the order of the view's state.
#[derive(Clone, Debug)]
pub struct Push {
    pub keys: Vec<OwnedValue>,
    pub event_time: Timestamp,
    pub tombstone: bool,
    pub features: Vec<OwnedValue>,
}

impl Push {
    /// Reads `{"key": .., "feature": .., "event_time": "2024-01-01T00:00:00Z", "deleted": false}`; features that are not given
    /// are null.
    pub fn from_json(state: &ViewState, row: &Map<String, Json>) -> Result<Push> {
        let known: Vec<&str> = state
            .keys
            .iter()
            .chain(&state.features)
            .map(|(name, _)| name.as_str())
            .collect();
        let others = ["event_time", "deleted"];
        if let Some(name) = known.iter().find(|name| others.contains(*name)) {
            return Err(Error::Input {
                what: "the column",
                value: (*name).to_owned(),
                why: format!(
                    "of view {:?} means something else in a pushed row, so nothing can be pushed",
                    state.view
                ),
                hint: Some("give the column another name in the view: SELECT ... AS in a SQL source".into()),
            });
        }
        if let Some(name) = row
            .keys()
            .find(|name| !known.contains(&name.as_str()) && !others.contains(&name.as_str()))
        {
            let hint = suggestion(name, "names", known.iter().copied().chain(others));
            let why = format!("is not a key or feature of view {:?}", state.view);
            return Err(Error::Input {
                what: "the name",
                value: name.clone(),
                why,
                hint: Some(hint),
            });
        }
        let value = |(name, kind): &(String, FeatureType)| {
            OwnedValue::from_json(name, *kind, row.get(name).unwrap_or(&Json::Null))
        };
        let time = row.get("event_time").and_then(Json::as_str).unwrap_or_default();
        let event_time = exact_time(time).ok_or_else(|| Error::Input {
            what: "event_time",
            value: time.to_owned(),
            why: "is not a time in whole microseconds".into(),
            hint: Some("write it as 2024-01-31T12:00:00Z".into()),
        })?;
        let tombstone = match row.get("deleted") {
            None => false,
            Some(Json::Bool(deleted)) => *deleted,
            Some(other) => {
                return Err(Error::Input {
                    what: "deleted",
                    value: other.to_string(),
                    why: "is neither true nor false".into(),
                    hint: Some("write \"deleted\": true".into()),
                });
            }
        };
        Ok(Push {
            keys: state.keys.iter().map(value).collect::<Result<_>>()?,
            event_time,
            tombstone,
            features: state.features.iter().map(value).collect::<Result<_>>()?,
        })
    }
}

impl OwnedValue {
    /// Reads a JSON value as one of type `kind`; null is null. `name` is for the error.
    pub fn from_json(name: &str, kind: FeatureType, json: &Json) -> Result<OwnedValue> {
        let value = match (json, kind) {
            (Json::Null, _) => Some(OwnedValue::Plain(Value::Null)),
            (Json::String(text), _) => OwnedValue::parse(kind, text),
            (Json::Bool(value), FeatureType::Bool) => Some(OwnedValue::Plain(Value::Bool(*value))),
            (Json::Number(number), FeatureType::Float32 | FeatureType::Float64) => {
                number.as_f64().map(|value| OwnedValue::Plain(Value::Float(value)))
            }
            (Json::Number(number), _) if kind != FeatureType::String => OwnedValue::parse(kind, &number.to_string()),
            _ => None,
        };
        value.ok_or_else(|| Error::Input {
            what: "the value",
            value: json.to_string(),
            why: format!("of {name:?} is not a {kind}"),
            hint: None,
        })
    }
}

impl OnlineStore {
    /// Writes rows into a materialized view, all or none. `now` is when they became known. Gives how many were newer than what
    /// was there.
    pub fn push(&self, view: &str, rows: &[Push], now: Timestamp) -> Result<u64> {
        let mut txn = self.write()?;
        let state = self
            .state(&txn, view)?
            .ok_or_else(|| Error::NotMaterialized { view: view.to_owned() })?;
        let target = Target::new(&state, now.micros());
        let prefix = pushed_prefix(view);
        let (mut key, mut encoded, mut merged) = (Key::default(), Vec::new(), Vec::new());
        let (mut newer, mut new_keys) = (0, 0);
        for push in rows {
            check(&state, push)?;
            key.start(state.generation);
            let mut keys = push.keys.iter().zip(&state.keys);
            if !keys.all(|(value, (_, kind))| key.push(value.as_value().declared(*kind))) {
                return Err(Error::Input {
                    what: "a row",
                    value: view.to_owned(),
                    why: "has a null key".into(),
                    hint: Some("give every key a value".into()),
                });
            }
            let sequence = FIRST_SEQUENCE + self.next_push(&mut txn)?;
            let stamp = Stamp {
                event: push.event_time.micros(),
                created: now.micros(),
                sequence,
            };
            let head = Head {
                stamp,
                until: NO_END,
                tombstone: push.tombstone,
                pushed: true,
            };
            let features = push.features.iter().zip(&state.features);
            let features = features.map(|(value, (_, kind))| value.as_value().declared(*kind));
            row::encode(&mut encoded, head, features);
            let put = self.put(&mut txn, target, &mut key, &encoded, &mut merged)?;
            if put == Put::Older {
                continue;
            }
            newer += 1;
            new_keys += u64::from(put == Put::NewKey);
            let mut name = prefix.clone();
            name.extend_from_slice(&key.stored()[GENERATION_LEN..]);
            self.remember(&mut txn, target, &name, &key, &encoded, &mut merged)?;
        }
        self.add_to_count(&mut txn, state.generation, new_keys)?;
        txn.commit().map_err(Error::lmdb("write the online store"))?;
        Ok(newer)
    }

    fn remember(
        &self,
        txn: &mut heed::RwTxn<'_>,
        target: Target<'_>,
        name: &[u8],
        key: &Key,
        row: &[u8],
        merged: &mut Vec<u8>,
    ) -> Result<()> {
        let name = shortened(name);
        let before = self
            .pushed
            .get(txn, &name)
            .map_err(Error::lmdb("read the online store"))?;
        // The values stand in the stored value always: the name may be too long to hold them.
        let place = (target.layout, Some(key.values()));
        let rules = (target.rules, target.features, target.now);
        let written = row::merge(merged, before.and_then(Stored::read), row, place, rules);
        if matches!(written, Write::Stored | Write::Marked) {
            self.pushed
                .put(txn, &name, merged)
                .map_err(Error::lmdb("write the online store"))?;
        }
        Ok(())
    }
}

/// View names and keys together may be longer than LMDB's keys: then the last part of the name is its hash.
fn shortened(name: &[u8]) -> Vec<u8> {
    if name.len() <= super::key::KEY_LEN_MAX {
        return name.to_vec();
    }
    let mut short = name[..super::key::KEY_LEN_MAX - 32].to_vec();
    short.extend_from_slice(blake3::hash(name).as_bytes());
    short
}

fn check(state: &ViewState, push: &Push) -> Result<()> {
    if push.keys.len() == state.keys.len() && push.features.len() == state.features.len() {
        return Ok(());
    }
    Err(Error::Input {
        what: "a row",
        value: format!("of {} keys and {} features", push.keys.len(), push.features.len()),
        why: format!(
            "does not fit view {:?}: {} and {} are needed",
            state.view,
            state.keys.len(),
            state.features.len()
        ),
        hint: None,
    })
}
