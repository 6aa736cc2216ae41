//! Verifying: for every key of a view, the online answer at `now` equals the offline as-of join's (the law's online identity).
//! The join reads the tables, `get` reads the store; they share no code but the definitions.
//! Invariant: what is compared is one commit, the view's watermark; rows that were pushed are counted apart.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray},
    datatypes::{Field, Schema, SchemaRef},
};
use datafusion::{
    catalog::streaming::StreamingTable,
    datasource::provider_as_source,
    error::DataFusionError,
    execution::TaskContext,
    logical_expr::LogicalPlanBuilder,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use drumlin_chunks::{Progress, Unit};
use drumlin_model::{CommitId, Timestamp};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{TryStreamExt, stream};
use serde::Serialize;

use super::{
    OnlineStore, Value, ViewState,
    get::{Answer, Lookup, Want},
    key::{self, Key},
    materialize::lock_shared,
    rows::{self, Rows},
    value::{Column, array_of, times},
};
use crate::{
    asof,
    definition::{FeatureType, Source, ViewUse, check::ResolvedView},
    error::{Error, Result},
    registry::Registry,
    scan::BATCH_ROWS,
    source,
};

/// How many differences are described; all are counted.
const DESCRIBED_MAX: usize = 20;
/// The prefix of the joined columns, and the names of the spine's: no view has them.
const LABEL: &str = "v";
const TIME: &str = "now__";

/// What was found for one view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    pub view: String,
    /// The commit that was compared: the view's watermark.
    pub commit: CommitId,
    pub now: Timestamp,
    /// Keys of the store that were compared.
    pub keys: u64,
    /// Values that were compared.
    pub values: u64,
    /// Keys whose answer is a pushed row, which the table does not have.
    pub pushed: u64,
    /// Rows of the source whose key the store lacks.
    pub missing: u64,
    /// Keys that cannot be asked at this time: the store does not keep what answered then.
    pub unanswered: u64,
    /// The time from which all of these can be asked.
    pub answers_from: Option<Timestamp>,
    /// Keys with a difference.
    pub different: u64,
    /// Some of what differs or is missing.
    pub mismatches: Vec<Mismatch>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    pub key: BTreeMap<String, serde_json::Value>,
    /// A feature, `status` or `event_time`; `key` when the store lacks it.
    pub what: String,
    pub online: serde_json::Value,
    pub offline: serde_json::Value,
}

impl Verified {
    pub fn is_identical(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.unanswered == 0
    }

    fn describe(&mut self, mismatch: impl FnOnce() -> Mismatch) {
        if self.mismatches.len() < DESCRIBED_MAX {
            self.mismatches.push(mismatch());
        }
    }
}

impl OnlineStore {
    /// Compares every key of the views (all, when none is named) with the join at t = `now`, each at its watermark.
    pub async fn verify(
        &self,
        engine: &Engine,
        views: &[String],
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Vec<Verified>> {
        // What is compared stays as it is; pushes go on, and are told apart.
        let _lock = lock_shared(&self.folder)?;
        let states = match views.is_empty() {
            true => self.views()?,
            false => views.iter().map(|name| self.view(name)).collect::<Result<_>>()?,
        };
        if states.is_empty() {
            return Err(Error::NothingToVerify {
                folder: self.folder.clone(),
            });
        }
        let mut verified = Vec::new();
        for state in states {
            progress.start(
                &format!("verify {}", state.view),
                Some(self.key_count(&state)?),
                Unit::Rows,
            );
            let result = self.verify_view(engine, &state, now, progress).await;
            progress.finish();
            verified.push(result?);
        }
        Ok(verified)
    }

    async fn verify_view(
        &self,
        engine: &Engine,
        state: &ViewState,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Verified> {
        if state.partial.is_some() {
            return Err(Error::Interrupted {
                view: state.view.clone(),
            });
        }
        let snapshot = engine.repo().snapshot_at(state.watermark.commit).await?;
        let registry = Registry::load(&snapshot).await?;
        let used = ViewUse {
            alias: Some(LABEL.to_owned()),
            keys: state
                .keys
                .iter()
                .enumerate()
                .map(|(index, (name, _))| (name.clone(), key_column(index)))
                .collect(),
            ..ViewUse::of(&state.view)
        };
        let views = source::resolve_used(engine, &snapshot, &registry, std::slice::from_ref(&used)).await?;
        let view = &views.resolved[&state.view];
        let mut found = Verified {
            view: state.view.clone(),
            commit: snapshot.commit(),
            now,
            keys: 0,
            values: 0,
            pushed: 0,
            missing: 0,
            unanswered: 0,
            answers_from: None,
            different: 0,
            mismatches: Vec::new(),
        };
        self.compare_keys(engine, &snapshot, (view, &used), state, &mut found, progress)
            .await?;
        self.find_missing(engine, &snapshot, view, state, &mut found).await?;
        Ok(found)
    }

    /// Joins all keys of the store as a spine, and holds each row against the store's answer.
    async fn compare_keys(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        (view, used): (&ResolvedView, &ViewUse),
        state: &ViewState,
        found: &mut Verified,
        progress: &dyn Progress,
    ) -> Result<()> {
        let spine = Spine::new(self.clone(), state.clone(), found.now);
        let table = StreamingTable::try_new(spine.schema.clone(), vec![Arc::new(spine)]);
        let plan = table
            .and_then(|table| LogicalPlanBuilder::scan("keys", provider_as_source(Arc::new(table)), None)?.build());
        let mut spec = asof::AsOfSpec::new(TIME);
        spec.threads = engine.options().threads.max(1);
        // A query without a created time does not say when its rows were known: they are known at every time.
        let says_when = matches!(view.view.source, Source::Table(_)) || view.view.created_time.is_some();
        spec.known_at = if says_when {
            asof::KnownAt::Row
        } else {
            asof::KnownAt::Ignored
        };
        spec.lookups.push(source::lookup(engine, snapshot, view, used).await?);
        let context = source::context(engine, snapshot).await?;
        let joined = source::join(
            &context,
            plan.map_err(Error::query("the keys of the online store"))?,
            spec,
        )
        .await?;
        let mut lookup = self.prepare(&[Want::of(&state.view)])?;
        for mut rows in joined.streams {
            while let Some(batch) = rows.try_next().await.map_err(Error::query("the as-of join"))? {
                self.compare_batch(state, &batch, &mut lookup, found)?;
                progress.advance(batch.num_rows() as u64);
            }
        }
        Ok(())
    }

    fn compare_batch(
        &self,
        state: &ViewState,
        batch: &RecordBatch,
        lookup: &mut Lookup,
        found: &mut Verified,
    ) -> Result<()> {
        let offline = Offline::new(state, batch)?;
        let keys: Vec<Vec<Value<'_>>> = (0..batch.num_rows())
            .map(|row| offline.keys.iter().map(|column| column.value(row)).collect())
            .collect();
        let rows: Vec<&[Value<'_>]> = keys.iter().map(Vec::as_slice).collect();
        self.look(lookup, &rows, found.now, |answers| {
            for row in 0..answers.rows() {
                found.keys += 1;
                let answer = answers.answer(row, 0);
                if let Some(from) = answer.before_store() {
                    found.unanswered += 1;
                    found.answers_from = found.answers_from.max(Some(from));
                    continue;
                }
                if answer.is_pushed() {
                    found.pushed += 1;
                    continue;
                }
                offline.compare(state, row, answer, found);
            }
        })
    }

    /// Looks up the key of every row of the source.
    async fn find_missing(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        view: &ResolvedView,
        state: &ViewState,
        found: &mut Verified,
    ) -> Result<()> {
        let mut pieces = rows::of_view(engine, snapshot, view).await?;
        let (mut key, layout) = (Key::default(), state.layout());
        while let Some(piece) = pieces.try_next().await? {
            let rows = Rows::new(view, &piece)?;
            let txn = self.read()?;
            for row in 0..rows.len {
                if rows.stamp(row).is_none() || !key.of_row(state.generation, &rows.keys, row) {
                    continue;
                }
                if self.stored(&txn, &mut key, layout, &state.view)?.is_none() {
                    found.missing += 1;
                    let values: Vec<Value<'_>> = rows.keys.iter().map(|column| column.value(row)).collect();
                    found.describe(|| Mismatch {
                        key: shown_key(state, &values),
                        what: "key".into(),
                        online: serde_json::Value::Null,
                        offline: true.into(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn key_column(index: usize) -> String {
    format!("key__{index}")
}

fn shown_key(state: &ViewState, values: &[Value<'_>]) -> BTreeMap<String, serde_json::Value> {
    state
        .keys
        .iter()
        .zip(values)
        .map(|((name, _), value)| (name.clone(), value.to_json()))
        .collect()
}

/// The joined columns of a batch.
struct Offline {
    keys: Vec<Column>,
    features: Vec<Column>,
    statuses: ArrayRef,
    events: TimestampMicrosecondArray,
}

impl Offline {
    fn new(state: &ViewState, batch: &RecordBatch) -> Result<Self> {
        let array = |name: &str| {
            batch
                .column_by_name(name)
                .cloned()
                .expect("the join gives every column that was asked for")
        };
        let key =
            |(index, (_, kind)): (usize, &(String, FeatureType))| Column::new("key", &array(&key_column(index)), *kind);
        let feature =
            |(name, kind): &(String, FeatureType)| Column::new(name, &array(&format!("{LABEL}__{name}")), *kind);
        Ok(Offline {
            keys: state.keys.iter().enumerate().map(key).collect::<Result<_>>()?,
            features: state.features.iter().map(feature).collect::<Result<_>>()?,
            statuses: array(&format!("{LABEL}__status")),
            events: times("event_time", &array(&format!("{LABEL}__event_time")))?,
        })
    }

    fn compare(&self, state: &ViewState, row: usize, answer: Answer<'_>, found: &mut Verified) {
        use arrow::array::Array;
        let mut differences: Vec<(&str, Value<'_>, Value<'_>)> = Vec::new();
        let status = self.statuses.as_string::<i32>().value(row);
        if status != answer.status().as_str() {
            differences.push(("status", Value::Text(answer.status().as_str()), Value::Text(status)));
        }
        let event = if self.events.is_valid(row) {
            Value::Timestamp(self.events.value(row))
        } else {
            Value::Null
        };
        let online_event = answer
            .event_time()
            .map_or(Value::Null, |time| Value::Timestamp(time.micros()));
        if event != online_event {
            differences.push(("event_time", online_event, event));
        }
        for (index, ((name, _), column)) in state.features.iter().zip(&self.features).enumerate() {
            found.values += 1;
            let (online, offline) = (answer.value(index), column.value(row));
            if !same(online, offline) {
                differences.push((name, online, offline));
            }
        }
        found.different += u64::from(!differences.is_empty());
        for (what, online, offline) in differences {
            let key: Vec<Value<'_>> = self.keys.iter().map(|column| column.value(row)).collect();
            found.describe(|| Mismatch {
                key: shown_key(state, &key),
                what: what.to_owned(),
                online: online.to_json(),
                offline: offline.to_json(),
            });
        }
    }
}

/// Equal to the bit, but for NaN, which equals itself.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (a, b) => a == b,
    }
}

/// All keys of a view in the store as a spine, each at the same time.
struct Spine {
    store: OnlineStore,
    state: ViewState,
    now: Timestamp,
    schema: SchemaRef,
}

impl Spine {
    fn new(store: OnlineStore, state: ViewState, now: Timestamp) -> Self {
        let keys = state.keys.iter().enumerate();
        let mut fields: Vec<Field> = keys
            .map(|(index, (_, kind))| Field::new(key_column(index), kind.to_arrow(), true))
            .collect();
        fields.push(Field::new(TIME, FeatureType::Timestamp.to_arrow(), false));
        Spine {
            store,
            state,
            now,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The batch of keys after the key with these bytes, and the bytes of its last; none at the end.
    fn batch_after(&self, last: Option<&[u8]>) -> Result<Option<(RecordBatch, Vec<u8>)>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut end = Vec::new();
        self.store.each_key(&self.state, last, |stored, values, _| {
            keys.push(values.to_vec());
            end.clear();
            end.extend_from_slice(stored);
            Ok(keys.len() < BATCH_ROWS)
        })?;
        if keys.is_empty() {
            return Ok(None);
        }
        let damaged = || Error::OnlineDamaged {
            view: self.state.view.clone(),
        };
        let decoded: Option<Vec<Vec<Value<'_>>>> = keys.iter().map(|bytes| key::decode(bytes)).collect();
        let decoded = decoded.ok_or_else(damaged)?;
        if decoded.iter().any(|values| values.len() != self.state.keys.len()) {
            return Err(damaged());
        }
        let column = |(index, (_, kind)): (usize, &(String, FeatureType))| {
            array_of(*kind, decoded.iter().map(|values| values[index])).ok_or_else(damaged)
        };
        let mut columns: Vec<ArrayRef> = self.state.keys.iter().enumerate().map(column).collect::<Result<_>>()?;
        let times = TimestampMicrosecondArray::from_value(self.now.micros(), decoded.len()).with_timezone("UTC");
        columns.push(Arc::new(times));
        let options = RecordBatchOptions::new().with_row_count(Some(decoded.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        Ok(Some((
            batch.map_err(Error::arrow("the keys of the online store"))?,
            end,
        )))
    }
}

impl fmt::Debug for Spine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spine({})", self.state.view)
    }
}

impl PartitionStream for Spine {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let spine = Spine::new(self.store.clone(), self.state.clone(), self.now);
        let batches = stream::try_unfold((spine, None::<Vec<u8>>), |(spine, last)| async move {
            let next = spine
                .batch_after(last.as_deref())
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(next.map(|(batch, last)| (batch, (spine, Some(last)))))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}
