//! Pushing rows straight into the online store, beside the table: an application's newest values, there at once.
//! `load` lays them over what it builds until the table has caught up; they are not offline until they are written there.
//! Invariant: a push is one update, and an older row never replaces a newer one (law, cases 36 and 37). While a view is being
//! built, a push goes into the rows that answer and into those that will.

use drumlin_model::{Cure, Timestamp, feature::FeatureType, names::did_you_mean};
use serde_json::{Map, Value as Json};

use crate::{
    error::{Error, Result},
    key::{self, Keys},
    merge::{Merge, Put, distinct},
    row::{self, Head, NO_END, Stamp, Target},
    serving::Serving,
    state::{PUSHES_KEY, ViewState, build_key, count_key, long, view_key},
    store::{Batch, Values},
    value::{OwnedValue, exact_time},
};

/// How often a push begins anew because a materialization moved the view meanwhile, before it gives up.
const TRIES_MAX: usize = 100;
/// Sequences from here on are of pushed rows: written after every row of the table with the same times.
const FIRST_SEQUENCE: u64 = 1 << 63;
/// No store was ever pushed so many rows: a larger count is damage.
const PUSHES_MAX: u64 = 1 << 62;

/// A row to push: keys and features in the order of the view's state.
#[derive(Clone, Debug)]
pub struct Row {
    pub keys: Vec<OwnedValue>,
    pub event_time: Timestamp,
    pub tombstone: bool,
    pub features: Vec<OwnedValue>,
}

impl Row {
    /// Reads `{"key": .., "feature": .., "event_time": "2024-01-01T00:00:00Z", "deleted": false}`; features that are not given
    /// are null.
    pub fn from_json(state: &ViewState, row: &Map<String, Json>) -> Result<Row> {
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
                cures: vec![Cure::say(
                    "give the column another name in the view: SELECT ... AS in a SQL source",
                )],
            });
        }
        if let Some(name) = row
            .keys()
            .find(|name| !known.contains(&name.as_str()) && !others.contains(&name.as_str()))
        {
            let names = known.iter().copied().chain(others);
            return Err(Error::Input {
                what: "the name",
                value: name.clone(),
                why: format!("is not a key or feature of view {:?}", state.view),
                cures: vec![match did_you_mean(name, names.clone()) {
                    Some(meant) => Cure::did_you_mean(meant),
                    None => Cure::choose("names", names),
                }],
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
            cures: vec![Cure::say("write it as 2024-01-31T12:00:00Z")],
        })?;
        let tombstone = match row.get("deleted") {
            None => false,
            Some(Json::Bool(deleted)) => *deleted,
            Some(other) => {
                return Err(Error::Input {
                    what: "deleted",
                    value: other.to_string(),
                    why: "is neither true nor false".into(),
                    cures: vec![Cure::say("write \"deleted\": true")],
                });
            }
        };
        Ok(Row {
            keys: state.keys.iter().map(value).collect::<Result<_>>()?,
            event_time,
            tombstone,
            features: state.features.iter().map(value).collect::<Result<_>>()?,
        })
    }
}

/// Where the rows of a push go, as the store said before it.
struct Sides {
    state: ViewState,
    /// The state that the view is going to have, when it is being built with the same schema.
    build: Option<ViewState>,
    /// What both were read from: a push that finds other bytes begins anew.
    seen: [Option<Vec<u8>>; 2],
}

impl Sides {
    /// None when the view is not in the store.
    fn read(view: &str, values: &Values<'_>) -> Result<Option<Self>> {
        let state = |bytes: Option<&[u8]>| bytes.map(|bytes| ViewState::from_bytes(view, bytes)).transpose();
        let (Some(live), build) = (state(values[0])?, state(values[1])?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            build: build.filter(|build| build.layout() == live.layout()),
            state: live,
            seen: [values[0].map(<[u8]>::to_vec), values[1].map(<[u8]>::to_vec)],
        }))
    }
}

/// How many keys a push reads beside those of its rows.
const OWN_KEYS: usize = 5;

impl Serving {
    /// Writes rows into a materialized view, all or none. `now` is when they became known. Gives how many were newer than what
    /// was there.
    #[tracing::instrument(level = "debug", skip_all, fields(view, rows = rows.len()))]
    pub fn push(&self, view: &str, rows: &[Row], now: Timestamp) -> Result<u64> {
        for _ in 0..TRIES_MAX {
            let mut sides = Ok(None);
            self.store.read(&[&view_key(view), &build_key(view)], &mut |values| {
                sides = Sides::read(view, values);
            })?;
            let sides = sides?.ok_or_else(|| Error::NotMaterialized { view: view.to_owned() })?;
            if let Some(newer) = self.push_into(&sides, rows, now)? {
                self.store.flush()?;
                return Ok(newer);
            }
        }
        Err(Error::Crowded { store: self.name() })
    }

    /// How many rows were newer; none when the view has moved since `sides` were read, and then nothing was written.
    fn push_into(&self, sides: &Sides, rows: &[Row], now: Timestamp) -> Result<Option<u64>> {
        let view = &sides.state.view;
        let live = keys_of(&sides.state, rows)?;
        let built = sides.build.as_ref().map(|build| keys_of(build, rows)).transpose()?;
        let prefix = key::pushed_prefix(view);
        let names: Vec<Vec<u8>> = (0..rows.len())
            .map(|row| key::pushed(&prefix, live.stored(row)))
            .collect();
        let build_generation = sides.build.as_ref().map_or(0, |build| build.generation);
        let counts = [count_key(sides.state.generation), count_key(build_generation)];
        let (view, build) = (view_key(view), build_key(view));
        let own: [&[u8]; OWN_KEYS] = [&view, &build, PUSHES_KEY, &counts[0], &counts[1]];
        let all = own
            .into_iter()
            .chain(live.all_stored())
            .chain(names.iter().map(Vec::as_slice));
        let (keys, slots) = distinct(all.chain(built.iter().flat_map(Keys::all_stored)));
        let target = sides.state.target(now.micros());
        let build_target = sides.build.as_ref().map(|build| build.target(now.micros()));
        let mut newer = None;
        self.store.update(&keys, &mut |values, batch| {
            newer = None;
            if values[0] != sides.seen[0].as_deref() || values[1] != sides.seen[1].as_deref() {
                return Ok(());
            }
            let pushes = long("pushes", values[2])?;
            if pushes > PUSHES_MAX {
                return Err(Error::Record { name: "pushes" });
            }
            let mut pushing = Pushing::new(Merge::new(&keys, values));
            for (index, row) in rows.iter().enumerate() {
                let slot = |side: usize| slots[OWN_KEYS + side * rows.len() + index];
                pushing.encode(row, &sides.state, now, FIRST_SEQUENCE + pushes + 1 + index as u64);
                if !pushing.put(slot(0), live.witness(index), &target)? {
                    continue;
                }
                pushing.remember(slot(1), live.values(index), &target)?;
                if let (Some(target), Some(built)) = (&build_target, &built) {
                    pushing.put_built(slot(2), built.witness(index), target)?;
                }
            }
            newer = Some(pushing.newer);
            batch.put(PUSHES_KEY, (pushes + rows.len() as u64).to_le_bytes())?;
            pushing.write([values[slots[3]], values[slots[4]]], &counts, batch)
        })?;
        Ok(newer)
    }
}

/// A push while its update looks at what is stored.
struct Pushing<'v> {
    merge: Merge<'v>,
    /// The row that is being pushed, as bytes.
    encoded: Vec<u8>,
    newer: u64,
    /// Keys that had no row, in the generation that answers and in the one that is built.
    new_keys: [u64; 2],
}

impl<'v> Pushing<'v> {
    fn new(merge: Merge<'v>) -> Self {
        Self {
            merge,
            encoded: Vec::new(),
            newer: 0,
            new_keys: [0; 2],
        }
    }

    fn encode(&mut self, row: &Row, state: &ViewState, now: Timestamp, sequence: u64) {
        let head = Head {
            stamp: Stamp {
                event: row.event_time.micros(),
                created: now.micros(),
                sequence,
            },
            until: NO_END,
            tombstone: row.tombstone,
            pushed: true,
        };
        let features = row.features.iter().zip(&state.features);
        let features = features.map(|(value, (_, kind))| value.as_value().declared(*kind));
        row::encode(&mut self.encoded, head, features);
    }

    /// Puts the row among those that answer; false when a newer one stands there.
    fn put(&mut self, slot: usize, witness: Option<&[u8]>, target: &Target<'_>) -> Result<bool> {
        let put = self.merge.put(slot, &self.encoded, witness, target)?;
        self.newer += u64::from(put != Put::Older);
        self.new_keys[0] += u64::from(put == Put::NewKey);
        Ok(put != Put::Older)
    }

    fn put_built(&mut self, slot: usize, witness: Option<&[u8]>, target: &Target<'_>) -> Result<()> {
        let put = self.merge.put(slot, &self.encoded, witness, target)?;
        self.new_keys[1] += u64::from(put == Put::NewKey);
        Ok(())
    }

    /// Keeps the row until the table has it: a rebuild takes it over.
    fn remember(&mut self, slot: usize, values: &[u8], target: &Target<'_>) -> Result<()> {
        self.merge.remember(slot, &self.encoded, values, target)
    }

    fn write(self, counts: [Option<&[u8]>; 2], keys: &[Vec<u8>; 2], batch: &mut Batch) -> Result<()> {
        self.merge.write(batch)?;
        for ((count, key), new) in counts.into_iter().zip(keys).zip(self.new_keys) {
            if new > 0 {
                batch.put(key, long("count", count)?.saturating_add(new).to_le_bytes())?;
            }
        }
        Ok(())
    }
}

/// The keys of rows in a generation; an error when a row does not fit the view, or has a null key.
fn keys_of(state: &ViewState, rows: &[Row]) -> Result<Keys> {
    let mut keys = Keys::default();
    for row in rows {
        check(state, row)?;
        let values = row.keys.iter().zip(&state.keys);
        let values = values.map(|(value, (_, kind))| value.as_value().declared(*kind));
        if !keys.push(state.generation, values) {
            return Err(Error::Input {
                what: "a row of view",
                value: format!("{:?}", state.view),
                why: "has a null key".into(),
                cures: vec![Cure::say("give every key a value")],
            });
        }
    }
    Ok(keys)
}

fn check(state: &ViewState, row: &Row) -> Result<()> {
    if row.keys.len() == state.keys.len() && row.features.len() == state.features.len() {
        return Ok(());
    }
    Err(Error::Input {
        what: "a row",
        value: format!("of {} keys and {} features", row.keys.len(), row.features.len()),
        why: format!(
            "does not fit view {:?}: {} and {} are needed",
            state.view,
            state.keys.len(),
            state.features.len()
        ),
        cures: Vec::new(),
    })
}
