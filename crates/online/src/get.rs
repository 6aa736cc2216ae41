//! Reading the online store: many keys and many views in one call and one read of the store.
//! A `Lookup` is compiled once (names to positions) and used for every call; `row` decodes in place.
//! Invariant: an answer at `now` is the as-of join's for t = now and known-at = row (the law's online identity).

use std::collections::BTreeMap;

use drumlin_model::{
    CommitId, Cure, Timestamp,
    feature::{FeatureType, Nulls, Status, ViewUse},
};

use crate::{
    error::{Error, Result},
    key::Keys,
    merge::stored_in,
    row::{Stored, Version},
    serving::{Serving, damaged},
    state::{EPOCH_KEY, ViewState, number, view_key},
    store::Values,
    value::Value,
};

/// How often a lookup is compiled anew within one call, because a materialization ended meanwhile, before the call gives up.
const COMPILES_MAX: usize = 100;

/// A request, compiled: which keys it takes, which views and features it answers with.
#[derive(Clone, Debug)]
pub struct Lookup {
    wants: Vec<ViewUse>,
    /// The store's epoch that the views' states were read at.
    epoch: u32,
    keys: Vec<(String, FeatureType)>,
    views: Vec<ViewPlan>,
    /// The keys of a call, kept so that the next call allocates nothing for them.
    asked: Keys,
    /// For each row and view of a call, whether there is such a key: a null makes none.
    is_asked: Vec<bool>,
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
    /// Of the features that may be read, those whose values lie outside their slot.
    heaps: Vec<(usize, FeatureType)>,
}

impl Lookup {
    fn new(wants: &[ViewUse], epoch: u32) -> Self {
        Lookup {
            wants: wants.to_vec(),
            epoch,
            keys: Vec::new(),
            views: Vec::with_capacity(wants.len()),
            asked: Keys::default(),
            is_asked: Vec::new(),
        }
    }

    /// Adds a view: its keys, those that others have too only once, and the features that are asked for.
    fn add(&mut self, want: &ViewUse, state: ViewState, owners: &mut Vec<String>) -> Result<()> {
        let keys = &mut self.keys;
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
                Some(at) if keys[at].1.is_integer() && kind.is_integer() => {
                    keys[at].1 = if kind.holds(keys[at].1) { *kind } else { keys[at].1 };
                }
                Some(at) if keys[at].1 == *kind => {}
                Some(at) => return Err(other_type(want, &keys[at], &owners[at], *kind)),
            }
        }
        let features = features(want, &state)?;
        let is_heap = |kind: &FeatureType| matches!(kind, FeatureType::String | FeatureType::Binary);
        let heaps = features.iter().filter(|(_, _, kind)| is_heap(kind));
        self.views.push(ViewPlan {
            label: want.label().to_owned(),
            layout: state.layout(),
            heaps: heaps.map(|(_, index, kind)| (*index, *kind)).collect(),
            state,
            keys: positions,
            features,
        });
        Ok(())
    }

    /// Writes down the keys of a call.
    fn ask(&mut self, rows: &[&[Value<'_>]]) -> Result<()> {
        self.asked.clear();
        self.is_asked.clear();
        for row in rows {
            if row.len() != self.keys.len() {
                return Err(key_count(self, row.len()));
            }
            for view in &self.views {
                let keys = view.keys.iter().zip(&view.state.keys);
                let values = keys.map(|(&position, (_, kind))| row[position].declared(*kind));
                self.is_asked.push(self.asked.push(view.state.generation, values));
            }
        }
        Ok(())
    }

    /// What the store keeps for each row and view of a call.
    fn found<'v>(&self, values: &Values<'v>) -> Result<Vec<Option<Stored<'v>>>> {
        let mut found = Vec::with_capacity(self.is_asked.len());
        let mut next = 0;
        for (is_asked, view) in self.is_asked.iter().zip(self.views.iter().cycle()) {
            if !is_asked {
                found.push(None);
                continue;
            }
            let stored = stored_in(values[next], view.layout, self.asked.witness(next), &view.state.view)?;
            let features = view.state.features.len();
            let is_sound = |stored: &Stored<'_>| stored.versions().all(|row| row.is_sound(features, &view.heaps));
            if !stored.as_ref().is_none_or(is_sound) {
                return Err(damaged(&view.state.view));
            }
            found.push(stored);
            next += 1;
        }
        Ok(found)
    }

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

impl Serving {
    /// Compiles a request. An error when a view is not in the store, has no such feature, or two views disagree about a key.
    #[tracing::instrument(level = "debug", skip_all, fields(views = wants.len()))]
    pub fn prepare(&self, wants: &[ViewUse]) -> Result<Lookup> {
        let names: Vec<Vec<u8>> = wants.iter().map(|want| view_key(&want.view)).collect();
        let mut keys = vec![EPOCH_KEY];
        keys.extend(names.iter().map(Vec::as_slice));
        let mut prepared = None;
        self.store
            .read(&keys, &mut |values| prepared = Some(compile(wants, values)))?;
        prepared.expect("a read shows what it read")
    }

    /// Reads all views for all `rows` of keys (values in the order of [`Lookup::keys`]) at `now`, in one read of the store, and
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

    /// As [`Serving::get`], but shows also answers that the store cannot give at `now`: [`Answer::before_store`] tells.
    #[tracing::instrument(level = "debug", skip_all, fields(rows = rows.len()))]
    pub fn look<R>(
        &self,
        lookup: &mut Lookup,
        rows: &[&[Value<'_>]],
        now: Timestamp,
        read: impl FnOnce(&Answers<'_>) -> R,
    ) -> Result<R> {
        let mut read = Some(read);
        for _ in 0..COMPILES_MAX {
            lookup.ask(rows)?;
            let mut keys = Vec::with_capacity(1 + lookup.asked.len());
            keys.push(EPOCH_KEY);
            keys.extend(lookup.asked.all_stored());
            // None when the lookup is outdated.
            let mut answer: Option<Result<R>> = None;
            self.store.read(&keys, &mut |values| {
                let found = match number("epoch", values[0]) {
                    Ok(epoch) if epoch.unwrap_or(0) != lookup.epoch => return,
                    Ok(_) => lookup.found(&values[1..]),
                    Err(error) => Err(error),
                };
                answer = read.take().map(|read| {
                    let answers = Answers {
                        lookup,
                        found: &found?,
                        now: now.micros(),
                    };
                    Ok(read(&answers))
                });
            })?;
            if let Some(answer) = answer {
                return answer;
            }
            *lookup = self.prepare(&lookup.wants)?;
        }
        Err(Error::Crowded { store: self.name() })
    }
}

fn compile(wants: &[ViewUse], values: &Values<'_>) -> Result<Lookup> {
    let epoch = number("epoch", values[0])?.unwrap_or(0);
    let (mut lookup, mut owners) = (Lookup::new(wants, epoch), Vec::new());
    for (want, bytes) in wants.iter().zip(&values[1..]) {
        let bytes = bytes.ok_or_else(|| Error::NotMaterialized {
            view: want.view.clone(),
        })?;
        lookup.add(want, ViewState::from_bytes(&want.view, bytes)?, &mut owners)?;
    }
    Ok(lookup)
}

fn key_count(lookup: &Lookup, given: usize) -> Error {
    let names: Vec<&str> = lookup.keys.iter().map(|(name, _)| name.as_str()).collect();
    Error::Input {
        what: "a row of keys",
        value: format!("of {given} values"),
        why: format!("does not fit: {} are needed ({})", names.len(), names.join(", ")),
        cures: Vec::new(),
    }
}

fn other_type(want: &ViewUse, (name, known): &(String, FeatureType), owner: &str, kind: FeatureType) -> Error {
    Error::Input {
        what: "the key",
        value: name.clone(),
        why: format!("is a {known} in view {owner:?} and a {kind} in view {:?}", want.view),
        cures: vec![Cure::say("give one of them another name with `keys:` in the service")],
    }
}

fn features(want: &ViewUse, state: &ViewState) -> Result<Vec<(String, usize, FeatureType)>> {
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
            .ok_or_else(|| Error::NoFeature {
                view: state.view.clone(),
                feature: wanted.clone(),
                known: state.features.iter().map(|(name, _)| name.clone()).collect(),
            })?;
        Ok((named(wanted), index, state.features[index].1))
    };
    want.features.iter().map(find).collect()
}

/// What a call found, for as long as the store shows it.
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
            for (name, value) in answer.named() {
                json.insert(name.to_owned(), value.to_json());
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

    /// Each feature that was asked for, by its name in the answer.
    pub fn named(&self) -> impl Iterator<Item = (&'t str, Value<'t>)> {
        let names = self.plan.features.iter().map(|(name, ..)| name.as_str());
        names.enumerate().map(|(index, name)| (name, self.value(index)))
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
    pub fn before_store(&self) -> Option<Timestamp> {
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
