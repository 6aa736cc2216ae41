//! Verifying: for every key of a view, the online answer at `now` equals the offline as-of join's (the law's online identity).
//! The join reads the tables, [`Serving`] reads the store; they share no code but the definitions.
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
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::{CommitId, Timestamp};
use drumlin_online::{Answer, KeyPage, LeaseSort, Lookup, Serving, Value, ViewState};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{TryStreamExt, stream};
use serde::Serialize;

use super::{
    column::{Column, array_of, times},
    rows::{self, Rows},
};
use crate::{
    definition::{FeatureType, Source, ViewUse, check::ResolvedView, types::to_arrow},
    error::{Error, Result},
    registry::Registry,
    scan::BATCH_ROWS,
    source::{self, ResolvedSource},
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
    fn new(state: &ViewState, now: Timestamp) -> Self {
        Verified {
            view: state.view.clone(),
            commit: state.watermark.commit,
            now,
            keys: 0,
            values: 0,
            pushed: 0,
            missing: 0,
            unanswered: 0,
            answers_from: None,
            different: 0,
            mismatches: Vec::new(),
        }
    }

    pub fn is_identical(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.unanswered == 0
    }

    fn describe(&mut self, mismatch: impl FnOnce() -> Mismatch) {
        if self.mismatches.len() < DESCRIBED_MAX {
            self.mismatches.push(mismatch());
        }
    }
}

/// Compares every key of the views (all, when none is named) with the join at t = `now`, each at its watermark.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn verify(
    serving: &Serving,
    engine: &Engine,
    views: &[String],
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Vec<Verified>> {
    // What is compared stays as it is; pushes go on, and are told apart.
    let _lease = serving.lease(LeaseSort::Shared)?;
    let states = match views.is_empty() {
        true => serving.views()?,
        false => views.iter().map(|name| serving.view(name)).collect::<Result<_, _>>()?,
    };
    if states.is_empty() {
        return Err(Error::NothingToVerify { store: serving.name() });
    }
    let mut verified = Vec::new();
    for state in states {
        let total = serving.key_count(&state)?;
        let task = Task::start(progress, &format!("verify {}", state.view), Some(total), Unit::Rows);
        let verifier = Verifier {
            serving,
            engine,
            state: &state,
            task: &task,
            found: Verified::new(&state, now),
        };
        verified.push(verifier.run().await?);
    }
    Ok(verified)
}

/// The comparison of one view, while it goes on.
struct Verifier<'a> {
    serving: &'a Serving,
    engine: &'a Engine,
    state: &'a ViewState,
    task: &'a Task<'a>,
    found: Verified,
}

impl Verifier<'_> {
    async fn run(mut self) -> Result<Verified> {
        let (engine, state) = (self.engine, self.state);
        if state.partial.is_some() {
            return Err(Error::Interrupted {
                view: state.view.clone(),
            });
        }
        let snapshot = engine.repo().snapshot_at(state.watermark.commit).await?;
        let registry = Registry::load(&snapshot).await?;
        let keys = state.keys.iter().enumerate();
        let used = ViewUse {
            alias: Some(LABEL.to_owned()),
            keys: keys
                .map(|(index, (name, _))| (name.clone(), key_column(index)))
                .collect(),
            ..ViewUse::of(&state.view)
        };
        let views = source::resolve_used(engine, &snapshot, &registry, std::slice::from_ref(&used)).await?;
        let (view, from) = (&views.resolved[&state.view], views.source(&state.view));
        let lookup = source::lookup(view, from, &used)?;
        self.compare_keys(&snapshot, view, lookup).await?;
        self.find_missing(&snapshot, view, from).await?;
        Ok(self.found)
    }

    /// Joins all keys of the store as a spine, and holds each row against the store's answer.
    async fn compare_keys(
        &mut self,
        snapshot: &Snapshot,
        view: &ResolvedView,
        lookup: drumlin_asof::Lookup,
    ) -> Result<()> {
        let spine = Spine::new(self.serving.clone(), self.state.clone(), self.found.now);
        let table = StreamingTable::try_new(spine.schema.clone(), vec![Arc::new(spine)]);
        let plan = table
            .and_then(|table| LogicalPlanBuilder::scan("keys", provider_as_source(Arc::new(table)), None)?.build());
        let mut spec = drumlin_asof::AsOfSpec::new(TIME);
        spec.threads = self.engine.options().threads.max(1);
        // A query without a created time does not say when its rows were known: they are known at every time.
        let says_when = matches!(view.view.source, Source::Table(_)) || view.view.created_time.is_some();
        spec.known_at = if says_when {
            drumlin_asof::KnownAt::Row
        } else {
            drumlin_asof::KnownAt::None
        };
        spec.lookups.push(lookup);
        let context = source::context(self.engine, snapshot).await?;
        let joined = source::join(
            &context,
            plan.map_err(Error::query("the keys of the online store"))?,
            spec,
        )
        .await?;
        let mut lookup = self.serving.prepare(&[ViewUse::of(&self.state.view)])?;
        for mut rows in joined.streams {
            while let Some(batch) = rows.try_next().await.map_err(Error::query("the as-of join"))? {
                self.compare_batch(&batch, &mut lookup)?;
                self.task.advance(batch.num_rows() as u64);
            }
        }
        Ok(())
    }

    fn compare_batch(&mut self, batch: &RecordBatch, lookup: &mut Lookup) -> Result<()> {
        let (state, found) = (self.state, &mut self.found);
        let offline = Offline::new(state, batch)?;
        let keys: Vec<Vec<Value<'_>>> = (0..batch.num_rows())
            .map(|row| offline.keys.iter().map(|column| column.value(row)).collect())
            .collect();
        let rows: Vec<&[Value<'_>]> = keys.iter().map(Vec::as_slice).collect();
        self.serving.look(lookup, &rows, found.now, |answers| {
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
        })?;
        Ok(())
    }

    /// Looks up the key of every row of the source.
    async fn find_missing(&mut self, snapshot: &Snapshot, view: &ResolvedView, from: &ResolvedSource) -> Result<()> {
        let mut pieces = rows::of_view(self.engine, snapshot, view, from).await?;
        while let Some(piece) = pieces.try_next().await? {
            let rows = Rows::new(view, &piece)?;
            let answering: Vec<usize> = (0..rows.len).filter(|row| rows.stamp(*row).is_some()).collect();
            let missing = self
                .serving
                .missing(self.state, answering.iter().map(|row| rows.key(*row)))?;
            for row in missing.into_iter().map(|index| answering[index]) {
                self.found.missing += 1;
                let values: Vec<Value<'_>> = rows.key(row).collect();
                self.found.describe(|| Mismatch {
                    key: shown_key(self.state, &values),
                    what: "key".into(),
                    online: serde_json::Value::Null,
                    offline: true.into(),
                });
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
    serving: Serving,
    state: ViewState,
    now: Timestamp,
    schema: SchemaRef,
}

impl Spine {
    fn new(serving: Serving, state: ViewState, now: Timestamp) -> Self {
        let keys = state.keys.iter().enumerate();
        let mut fields: Vec<Field> = keys
            .map(|(index, (_, kind))| Field::new(key_column(index), to_arrow(*kind), true))
            .collect();
        fields.push(Field::new(TIME, to_arrow(FeatureType::Timestamp), false));
        Spine {
            serving,
            state,
            now,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The keys of a page, as rows of the spine.
    fn batch(&self, page: &KeyPage) -> Result<RecordBatch> {
        let rows = page.rows()?;
        let column = |(index, (_, kind)): (usize, &(String, FeatureType))| {
            let array = array_of(*kind, rows.iter().map(|values| values[index]));
            array.ok_or_else(|| {
                Error::from(drumlin_online::Error::Damaged {
                    view: self.state.view.clone(),
                })
            })
        };
        let mut columns: Vec<ArrayRef> = self.state.keys.iter().enumerate().map(column).collect::<Result<_>>()?;
        let times = TimestampMicrosecondArray::from_value(self.now.micros(), rows.len()).with_timezone("UTC");
        columns.push(Arc::new(times));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        batch.map_err(Error::arrow("the keys of the online store"))
    }

    /// The batch of keys after the key with these bytes, and the bytes of its last; none at the end.
    fn batch_after(&self, last: Option<&[u8]>) -> Result<Option<(RecordBatch, Vec<u8>)>> {
        let Some(page) = self.serving.keys_after(&self.state, last, BATCH_ROWS)? else {
            return Ok(None);
        };
        Ok(Some((self.batch(&page)?, page.last)))
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
        let spine = Spine::new(self.serving.clone(), self.state.clone(), self.now);
        let batches = stream::try_unfold((spine, None::<Vec<u8>>), |(spine, last)| async move {
            let next = spine
                .batch_after(last.as_deref())
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(next.map(|(batch, last)| (batch, (spine, Some(last)))))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}
