//! Reading the online store: many keys and many views in one call and one read transaction.
//! A `Lookup` is compiled once (names to positions) and used for every call; `row` decodes in place.
//! Invariant: an answer at `now` is the as-of join's for t = now and known-at = row (the law's online identity).

use std::{collections::BTreeMap, ops::Bound};

use drumlin_model::{CommitId, Timestamp, feature::Status, names::did_you_mean};
use heed::{RoTxn, WithoutTls};

use super::{
    OnlineStore, ViewState,
    key::Key,
    row::{Stored, Version},
    value::Value,
};
use crate::{
    definition::{FeatureType, Nulls, ViewUse},
    error::{Error, Result},
    registry::Registry,
};

/// What is asked of one view; the same shape as a view within a service.
pub type Want = ViewUse;

/// A request, compiled: which keys it takes, which views and features it answers with.
#[derive(Clone, Debug)]
pub struct Lookup {
    wants: Vec<Want>,
    epoch: u32,
    keys: Vec<(String, FeatureType)>,
    views: Vec<ViewPlan>,
}

#[derive(Clone, Debug)]
struct ViewPlan {
    label: String,
    state: ViewState,
    layout: u32,
    /// For each join key of the view, its position among the request's keys.
    keys: Vec<usize>,
    /// For each feature asked for: its name in the answer, its position in the stored row, its type.
    features: Vec<(String, usize, FeatureType)>,
}

impl Lookup {
    /// The keys that each row of a request gives, in order.
    pub fn keys(&self) -> &[(String, FeatureType)] {
        &self.keys
    }
    /// The views of the answer: the label of each, and the names of its features.
    pub fn views(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.views.iter().map(|view| {
            (
                view.label.as_str(),
                view.features.iter().map(|(name, ..)| name.as_str()),
            )
        })
    }
}

impl OnlineStore {
    /// Compiles a request. Views must have been materialized.
    pub fn prepare(&self, wants: &[Want]) -> Result<Lookup> {
        let txn = self.read()?;
        self.prepare_in(&txn, wants)
    }

    /// Whether the views were made by the definitions of `registry`, as a reader on its branch expects.
    pub fn check_definitions(&self, registry: &Registry, wants: &[Want]) -> Result<()> {
        for want in wants {
            if self.view(&want.view)?.definition != registry.view_hash(&want.view)? {
                return Err(Error::OtherDefinition {
                    view: want.view.clone(),
                });
            }
        }
        Ok(())
    }

    fn prepare_in(&self, txn: &RoTxn<'_, WithoutTls>, wants: &[Want]) -> Result<Lookup> {
        let mut keys: Vec<(String, FeatureType)> = Vec::new();
        let mut owners: Vec<String> = Vec::new();
        let mut views = Vec::with_capacity(wants.len());
        for want in wants {
            let state = self.state(txn, &want.view)?.ok_or_else(|| Error::NotMaterialized {
                view: want.view.clone(),
            })?;
            let mut positions = Vec::with_capacity(state.keys.len());
            for (name, kind) in &state.keys {
                let name = want.keys.get(name).unwrap_or(name);
                let known = keys.iter().position(|(known, _)| known == name);
                positions.push(known.unwrap_or(keys.len()));
                match known {
                    None => {
                        keys.push((name.clone(), *kind));
                        owners.push(want.view.clone());
                    }
                    Some(at) if is_integer(keys[at].1) && is_integer(*kind) => {
                        keys[at].1 = if kind.holds(keys[at].1) { *kind } else { keys[at].1 };
                    }
                    Some(at) if keys[at].1 == *kind => {}
                    Some(at) => return Err(other_type(want, &keys[at], &owners[at], *kind)),
                }
            }
            let features = features(want, &state)?;
            views.push(ViewPlan {
                label: want.label().to_owned(),
                layout: state.layout(),
                state,
                keys: positions,
                features,
            });
        }
        Ok(Lookup {
            wants: wants.to_vec(),
            epoch: self.epoch(txn)?,
            keys,
            views,
        })
    }

    /// Reads all views for all `rows` of keys (values in the order of `Lookup::keys`) at `now`, in one read transaction, and
    /// shows the answers to `read` in place. A lookup that a rebuild has outdated is compiled anew. An error when the store
    /// does not keep what one of the answers at `now` needs.
    pub fn get<R>(
        &self,
        lookup: &mut Lookup,
        rows: &[&[Value<'_>]],
        now: Timestamp,
        read: impl FnOnce(&Answers<'_>) -> R,
    ) -> Result<R> {
        self.look(lookup, rows, now, |answers| match answers.before_store() {
            Some(error) => Err(error),
            None => Ok(read(answers)),
        })?
    }

    /// `get`, but for answers that cannot be given at `now`: `Answer::before_store` tells.
    pub(crate) fn look<R>(
        &self,
        lookup: &mut Lookup,
        rows: &[&[Value<'_>]],
        now: Timestamp,
        read: impl FnOnce(&Answers<'_>) -> R,
    ) -> Result<R> {
        let txn = self.read()?;
        if self.epoch(&txn)? != lookup.epoch {
            *lookup = self.prepare_in(&txn, &lookup.wants)?;
        }
        let mut found = Vec::with_capacity(rows.len() * lookup.views.len());
        let mut key = Key::default();
        for row in rows {
            if row.len() != lookup.keys.len() {
                return Err(key_count(lookup, row.len()));
            }
            for view in &lookup.views {
                found.push(self.find(&txn, view, row, &mut key)?);
            }
        }
        Ok(read(&Answers {
            lookup,
            found: &found,
            now: now.micros(),
        }))
    }

    fn find<'t>(
        &self,
        txn: &'t RoTxn<'_, WithoutTls>,
        view: &ViewPlan,
        row: &[Value<'_>],
        key: &mut Key,
    ) -> Result<Option<Stored<'t>>> {
        key.start(view.state.generation);
        let mut keys = view.keys.iter().zip(&view.state.keys);
        if !keys.all(|(&position, (_, kind))| key.push(row[position].declared(*kind))) {
            return Ok(None);
        }
        self.stored(txn, key, view.layout, &view.state.view)
    }

    /// The versions of a key; an error when the bytes are of another schema or another key.
    pub(crate) fn stored<'t>(
        &self,
        txn: &'t RoTxn<'_, WithoutTls>,
        key: &mut Key,
        layout: u32,
        view: &str,
    ) -> Result<Option<Stored<'t>>> {
        let bytes = self
            .rows
            .get(txn, key.stored())
            .map_err(Error::lmdb("read the online store"))?;
        let Some(bytes) = bytes else { return Ok(None) };
        match Stored::read(bytes).filter(Stored::is_whole) {
            Some(stored) if stored.layout == layout && stored.witness == key.witness() => Ok(Some(stored)),
            // Another key with the same hash: this one is not there.
            Some(stored) if stored.layout == layout && stored.witness.is_some() => Ok(None),
            _ => Err(Error::OnlineDamaged { view: view.to_owned() }),
        }
    }

    /// Every key of a view after the key with the bytes `after`, in the order of their bytes, to `read`, until it says false:
    /// the stored bytes, the key's values, and what is stored.
    pub(crate) fn each_key(
        &self,
        state: &ViewState,
        after: Option<&[u8]>,
        mut read: impl FnMut(&[u8], &[u8], Stored<'_>) -> Result<bool>,
    ) -> Result<()> {
        let txn = self.read()?;
        let damaged = || Error::OnlineDamaged {
            view: state.view.clone(),
        };
        let first = state.generation.to_be_bytes();
        let end = state.generation.wrapping_add(1).to_be_bytes();
        let from = after.map_or(Bound::Included(&first[..]), Bound::Excluded);
        let range = (from, Bound::Excluded(&end[..]));
        for item in self
            .rows
            .range(&txn, &range)
            .map_err(Error::lmdb("read the online store"))?
        {
            let (key, bytes) = item.map_err(Error::lmdb("read the online store"))?;
            let stored = Stored::read(bytes).filter(Stored::is_whole).ok_or_else(damaged)?;
            let values = super::key::values_of(key).or(stored.witness).ok_or_else(damaged)?;
            if !read(key, values, stored)? {
                break;
            }
        }
        Ok(())
    }
}

fn key_count(lookup: &Lookup, given: usize) -> Error {
    let names: Vec<&str> = lookup.keys.iter().map(|(name, _)| name.as_str()).collect();
    Error::Input {
        what: "a row of keys",
        value: format!("of {given} values"),
        why: format!("does not fit: {} are needed ({})", names.len(), names.join(", ")),
        hint: None,
    }
}

fn is_integer(kind: FeatureType) -> bool {
    kind.is_integer()
}

fn other_type(want: &Want, (name, known): &(String, FeatureType), owner: &str, kind: FeatureType) -> Error {
    Error::Input {
        what: "the key",
        value: name.clone(),
        why: format!("is a {known} in view {owner:?} and a {kind} in view {:?}", want.view),
        hint: Some("give one of them another name with `keys:` in the service".into()),
    }
}

fn features(want: &Want, state: &ViewState) -> Result<Vec<(String, usize, FeatureType)>> {
    let named = |name: &str| match &want.alias {
        Some(alias) => format!("{alias}__{name}"),
        None => name.to_owned(),
    };
    if want.features.is_empty() {
        let all = state.features.iter().enumerate();
        return Ok(all.map(|(index, (name, kind))| (named(name), index, *kind)).collect());
    }
    let find = |wanted: &String| {
        let index = state
            .features
            .iter()
            .position(|(name, _)| name == wanted)
            .ok_or_else(|| Error::NotFound {
                noun: "feature",
                name: wanted.clone(),
                at: format!("view {:?} of the online store", state.view),
                similar: did_you_mean(wanted, state.features.iter().map(|(name, _)| name.as_str())).map(str::to_owned),
                list: "drumlin feature show",
            })?;
        Ok((named(wanted), index, state.features[index].1))
    };
    want.features.iter().map(find).collect()
}

/// What a call found, for as long as its transaction lasts.
pub struct Answers<'t> {
    lookup: &'t Lookup,
    found: &'t [Option<Stored<'t>>],
    now: i64,
}

impl<'t> Answers<'t> {
    pub fn rows(&self) -> usize {
        self.found.len().checked_div(self.lookup.views.len()).unwrap_or(0)
    }

    /// The answer of the `view`-th view for the `row`-th row of keys.
    pub fn answer(&self, row: usize, view: usize) -> Answer<'t> {
        let plan = &self.lookup.views[view];
        let stored = self.found[row * self.lookup.views.len() + view];
        Answer {
            plan,
            picked: stored.map_or(Picked::Nothing, |stored| pick(&plan.state, stored, self.now)),
            now: self.now,
        }
    }

    fn before_store(&self) -> Option<Error> {
        let count = self.lookup.views.len();
        let times = self.found.iter().enumerate().filter_map(|(at, _)| {
            let answer = self.answer(at / count, at % count);
            Some((answer.before_store()?, at % count))
        });
        let (from, view) = times.max()?;
        Some(Error::BeforeStore {
            view: self.lookup.views[view].state.view.clone(),
            from,
        })
    }

    /// The commit that each view of the answer is at, by its label.
    pub fn commits(&self) -> BTreeMap<&str, CommitId> {
        let views = self.lookup.views.iter();
        views
            .map(|view| (view.label.as_str(), view.state.watermark.commit))
            .collect()
    }

    /// A row as JSON, features beside `<view>__status` and `<view>__event_time`; for people, not for the hot path.
    pub fn to_json(&self, row: usize) -> BTreeMap<String, serde_json::Value> {
        let mut json = BTreeMap::new();
        for (index, plan) in self.lookup.views.iter().enumerate() {
            let answer = self.answer(row, index);
            for (position, (name, ..)) in plan.features.iter().enumerate() {
                json.insert(name.clone(), answer.value(position).to_json());
            }
            json.insert(format!("{}__status", plan.label), answer.status().as_str().into());
            let time = answer.event_time().map(|time| time.to_string().into());
            json.insert(format!("{}__event_time", plan.label), time.unwrap_or_default());
        }
        json
    }
}

#[derive(Clone, Copy)]
enum Picked<'t> {
    Nothing,
    /// What would answer may have been dropped; it can be asked from this time on.
    Before(i64),
    TooOld,
    Tombstone(Version<'t>),
    /// The version that answers, and all of them for the nulls that older ones fill.
    Row(Version<'t>, Stored<'t>),
}

fn pick<'t>(state: &ViewState, stored: Stored<'t>, now: i64) -> Picked<'t> {
    let hiding = stored.versions().filter(Version::hides);
    let from = hiding.map(|version| state.rules.from(version.stamp())).max();
    if let Some(from) = from.filter(|from| *from > now) {
        return Picked::Before(from);
    }
    let Some(version) = stored.versions().find(|version| state.rules.visible(*version, now)) else {
        return Picked::Nothing;
    };
    if !state.rules.fresh(version.stamp(), now) {
        Picked::TooOld
    } else if version.is_tombstone() {
        Picked::Tombstone(version)
    } else {
        Picked::Row(version, stored)
    }
}

/// One view's answer for one row of keys.
#[derive(Clone, Copy)]
pub struct Answer<'t> {
    plan: &'t ViewPlan,
    picked: Picked<'t>,
    now: i64,
}

impl<'t> Answer<'t> {
    pub fn len(&self) -> usize {
        self.plan.features.len()
    }
    pub fn is_empty(&self) -> bool {
        self.plan.features.is_empty()
    }

    /// The feature at `index` among those asked for.
    pub fn value(&self, index: usize) -> Value<'t> {
        let Picked::Row(version, stored) = self.picked else {
            return Value::Null;
        };
        let (_, position, kind) = self.plan.features[index];
        let count = self.plan.state.features.len();
        let value = version.value(position, count, kind);
        if !value.is_null() || self.plan.state.rules.nulls == Nulls::Row {
            return value;
        }
        let rules = self.plan.state.rules;
        let older = stored.versions().skip_while(|other| other.stamp() >= version.stamp());
        older
            .filter(|older| rules.visible(*older, self.now))
            .take_while(|older| !older.is_tombstone() && rules.fresh(older.stamp(), self.now))
            .map(|older| older.value(position, count, kind))
            .find(|value| !value.is_null())
            .unwrap_or(Value::Null)
    }

    pub fn status(&self) -> Status {
        match self.picked {
            Picked::Nothing | Picked::Before(_) => Status::NotFound,
            Picked::TooOld => Status::OutsideMaxAge,
            Picked::Tombstone(_) => Status::Deleted,
            Picked::Row(..) if (0..self.len()).any(|index| !self.value(index).is_null()) => Status::Present,
            Picked::Row(..) => Status::NullValue,
        }
    }

    /// The event time of the row that answers.
    pub fn event_time(&self) -> Option<Timestamp> {
        match self.picked {
            Picked::Row(version, _) | Picked::Tombstone(version) => Some(Timestamp::from_micros(version.stamp().event)),
            Picked::Nothing | Picked::Before(_) | Picked::TooOld => None,
        }
    }

    /// The time from which the store can answer, when `now` is before it.
    pub(crate) fn before_store(&self) -> Option<Timestamp> {
        match self.picked {
            Picked::Before(from) => Some(Timestamp::from_micros(from)),
            _ => None,
        }
    }

    /// Whether a row that answers, or fills a null of the one that does, came by `push` and is not from the table.
    pub fn is_pushed(&self) -> bool {
        let rules = self.plan.state.rules;
        let pushed = |version: Version<'_>| version.is_pushed() && rules.visible(version, self.now);
        match self.picked {
            Picked::Row(version, _) if rules.nulls == Nulls::Row => version.is_pushed(),
            Picked::Row(_, stored) => stored.versions().any(pushed),
            Picked::Tombstone(version) => version.is_pushed(),
            Picked::Nothing | Picked::Before(_) | Picked::TooOld => false,
        }
    }
}
