//! One Delta table in an object store that is bound to a commit or a session: its log, its files, and commits to it.
//! `write`, `upsert` and `delete` make the actions; `sql` and `table` read. Nothing here knows of branches.
//! Invariant: a version is written by create-only put, so within one session no version is written twice; between
//! sessions the rebase sees that both wrote the same path.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session as PlanSession, TableProvider},
    common::{
        Statistics,
        stats::Precision,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{
        physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder},
        provider_as_source,
        source::DataSourceExec,
    },
    error::DataFusionError,
    execution::SessionState,
    logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
};
use deltalake::{
    DeltaTable, DeltaTableError,
    checkpoints::create_checkpoint,
    kernel::{
        Action, LogicalFileView, Metadata, MetadataExt, StructType,
        engine::arrow_conversion::{TryIntoArrow, TryIntoKernel},
        new_metadata,
        transaction::CommitBuilder,
    },
    logstore::{LogStoreRef, StorageConfig, default_logstore},
    protocol::{DeltaOperation, SaveMode},
    table::state::DeltaTableState,
};
use drumlin_model::{RepoPath, Timestamp};
use drumlin_objects::object_path;
use object_store::{ObjectStore, ObjectStoreExt, path::Path, prefix::PrefixStore};
use url::Url;

use crate::error::{Error, Result};

/// The scope of the stores of a session: nothing outside the session ever sees them.
pub(crate) const SESSION_SCOPE: &str = "session";
/// The table property that records the row key, as a JSON list of columns.
const KEY_PROPERTY: &str = "drumlin.key";
/// A checkpoint is written with every version that this divides. A reader that starts cold fetches the log entries since
/// the last one, each from a pack of its own: a short interval keeps a cold append within its budget of requests.
const CHECKPOINT_INTERVAL: u64 = 4;
/// A table of no more files than this gets a checkpoint with every version: it is small, and shares the commit's pack.
const FEW_FILES_MAX: usize = 1_000;

/// Tags of each data file: when its rows were first written, in microseconds, and by which version as which part.
pub(crate) const WRITTEN_TAG: &str = "drumlin.written";
pub(crate) const ORDER_TAG: &str = "drumlin.order";

/// When the rows of a file were first written, and their place among those of the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) written: Timestamp,
    pub(crate) order: String,
}

/// A Delta table at one version.
#[derive(Clone)]
pub(crate) struct Delta {
    pub(crate) path: RepoPath,
    pub(crate) store: Arc<dyn ObjectStore>,
    table: DeltaTable,
}

impl Delta {
    /// The table at `path`, or none when there is no log. `scope` tells this store apart from all others in messages
    /// and plans: a commit id or a session's name.
    #[tracing::instrument(name = "load_log", level = "debug", skip_all, fields(table = %path))]
    pub(crate) async fn open(store: Arc<dyn ObjectStore>, path: &RepoPath, scope: &str) -> Result<Option<Self>> {
        let mut table = DeltaTable::new(log_store(store.clone(), path, scope));
        match table.load().await {
            Ok(()) => Ok(Some(Self {
                path: path.clone(),
                store,
                table,
            })),
            Err(DeltaTableError::NotATable(_) | DeltaTableError::InvalidTableLocation(_)) => Ok(None),
            Err(error) => Err(Error::delta(format!("read the log of {path}"))(error)),
        }
    }

    /// Writes version 0 of a new table.
    pub(crate) async fn create(
        store: Arc<dyn ObjectStore>,
        path: &RepoPath,
        scope: &str,
        schema: &SchemaRef,
        key: &[String],
        adds: Vec<Action>,
    ) -> Result<u64> {
        let doing = || format!("create {path}");
        let log_store = log_store(store, path, scope);
        let metadata = table_metadata(schema, key).map_err(Error::delta(doing()))?;
        let protocol = plain_protocol().map_err(Error::delta(doing()))?;
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: log_store.root_url().clone(),
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        let mut actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        actions.extend(adds);
        let commit = CommitBuilder::default()
            .with_actions(actions)
            .build(None, log_store, operation);
        Ok(commit.await.map_err(Error::delta(doing()))?.version())
    }

    /// Writes the next version, and a checkpoint when one is due.
    pub(crate) async fn commit(&self, actions: Vec<Action>, operation: DeltaOperation) -> Result<u64> {
        let doing = || format!("write to the log of {}", self.path);
        let state = self.state();
        let commit = CommitBuilder::default().with_actions(actions).with_max_retries(0);
        let commit = commit.build(Some(state), self.table.log_store(), operation);
        let done = commit.await.map_err(Error::delta(doing()))?;
        let few = self.files().count() <= FEW_FILES_MAX;
        if few || done.version().is_multiple_of(CHECKPOINT_INTERVAL) {
            let mut table = self.table.clone();
            table.state = Some(done.snapshot());
            create_checkpoint(&table, None).await.map_err(Error::delta(doing()))?;
        }
        Ok(done.version())
    }

    pub(crate) fn version(&self) -> u64 {
        self.state().version()
    }
    pub(crate) fn schema(&self) -> SchemaRef {
        self.state().snapshot().arrow_schema()
    }
    /// The columns of the row key; none when the table has none.
    pub(crate) fn key(&self) -> Vec<String> {
        let recorded = self.metadata().configuration().get(KEY_PROPERTY);
        recorded
            .and_then(|list| serde_json::from_str(list).ok())
            .unwrap_or_default()
    }
    pub(crate) fn files(&self) -> impl Iterator<Item = LogicalFileView> + '_ {
        self.state().log_data().iter().collect::<Vec<_>>().into_iter()
    }
    /// How many rows the files have together; none when the log does not say it of each.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.files()
            .map(|file| file.num_records().map(|rows| rows as u64))
            .sum()
    }
    /// The table's metadata with another schema.
    pub(crate) fn metadata_with(&self, schema: &SchemaRef) -> Result<Action> {
        let doing = || format!("change the schema of {}", self.path);
        let schema = to_kernel(schema).map_err(Error::delta(doing()))?;
        Ok(Action::Metadata(
            self.metadata()
                .clone()
                .with_schema(&schema)
                .map_err(|error| Error::delta(doing())(error.into()))?,
        ))
    }
    /// The table's metadata with this row key.
    pub(crate) fn metadata_with_key(&self, schema: &SchemaRef, key: &[String]) -> Result<Action> {
        let doing = || format!("record the key of {}", self.path);
        let Action::Metadata(metadata) = self.metadata_with(schema)? else {
            unreachable!("it is what was asked for")
        };
        Ok(Action::Metadata(
            metadata
                .add_config_key(KEY_PROPERTY.into(), key_property(key))
                .map_err(|error| Error::delta(doing())(error.into()))?,
        ))
    }

    /// A scan of the table, of all files or of those at these paths; with `file_column`, each row says its file.
    pub(crate) async fn provider(
        &self,
        file_column: Option<&str>,
        files: Option<&[String]>,
    ) -> Result<Arc<dyn TableProvider>, datafusion::error::DataFusionError> {
        let mut builder = self.table.table_provider();
        if let Some(column) = file_column {
            builder = builder.with_file_column(column);
        }
        if let Some(files) = files {
            builder = builder.with_file_paths(files);
        }
        Ok(Arc::new(Bounded {
            scan: Arc::new(builder.build().await?),
        }))
    }

    /// Where the files are that may hold rows for which `filter` is true, as the bounds in the log say.
    pub(crate) async fn files_that_may_hold(
        &self,
        state: &SessionState,
        filter: Expr,
    ) -> Result<BTreeSet<Path>, DataFusionError> {
        let provider = provider_as_source(self.provider(None, None).await?);
        let plan = LogicalPlanBuilder::scan("target", provider, None)?
            .filter(filter)?
            .build()?;
        let mut found = BTreeSet::new();
        state.create_physical_plan(&plan).await?.apply(|node| {
            let groups = file_scan(node).map_or(&[][..], |scan| &scan.file_groups);
            let files = groups.iter().flat_map(FileGroup::files);
            found.extend(files.map(|file| file.object_meta.location.clone()));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }

    /// When, and in which order, the rows of a file were written: as its tags say; else when the tree says, then by path.
    pub(crate) async fn stamp(&self, file: &LogicalFileView) -> Result<Stamp> {
        #[expect(deprecated, reason = "nothing else gives the tags")]
        let tags = file.add_action().tags.unwrap_or_default();
        let tag = |name: &str| tags.get(name).cloned().flatten();
        let written = tag(WRITTEN_TAG).and_then(|micros| micros.parse().ok());
        if let (Some(written), Some(order)) = (written, tag(ORDER_TAG)) {
            let written = Timestamp::from_micros(written);
            return Ok(Stamp { written, order });
        }
        let path = object_path(&self.path);
        let path = Path::parse(format!("{path}/{}", file.path())).expect("the log names files by valid keys");
        let meta = self.store.head(&path).await;
        let meta = meta.map_err(|error| Error::delta(format!("look at {path}"))(error.into()))?;
        Ok(Stamp {
            written: Timestamp::from_micros(meta.last_modified.timestamp_micros()),
            order: file.path().into_owned(),
        })
    }

    /// The time of a write that comes now: later than all that the table holds, whatever the clock says.
    pub(crate) async fn next_written(&self, now: Timestamp) -> Result<Timestamp> {
        let mut next = now.micros();
        for file in self.files() {
            next = next.max(self.stamp(&file).await?.written.micros() + 1);
        }
        Ok(Timestamp::from_micros(next))
    }

    /// Refuses tables with what the as-of operator and our writer would get wrong.
    pub(crate) fn require_plain(&self) -> Result<()> {
        let refuse = |what: &str| {
            Err(Error::TableFeature {
                table: self.path.clone(),
                what: what.into(),
            })
        };
        if !self.metadata().partition_columns().is_empty() {
            return refuse("is partitioned");
        }
        if self.files().any(|file| file.deletion_vector_descriptor().is_some()) {
            return refuse("has deletion vectors");
        }
        let configuration = self.metadata().configuration();
        if configuration
            .get("delta.columnMapping.mode")
            .is_some_and(|mode| mode != "none")
        {
            return refuse("maps its columns to other names");
        }
        Ok(())
    }

    /// Refuses tables whose rules our writer would not enforce.
    pub(crate) fn require_writable(&self) -> Result<()> {
        self.require_plain()?;
        let refuse = |what: &str| {
            Err(Error::TableFeature {
                table: self.path.clone(),
                what: what.into(),
            })
        };
        let configuration = self.metadata().configuration();
        if configuration.keys().any(|key| key.starts_with("delta.constraints.")) {
            return refuse("has constraints");
        }
        if configuration
            .get("delta.enableChangeDataFeed")
            .is_some_and(|on| on == "true")
        {
            return refuse("has a change data feed");
        }
        let schema = self.state().schema();
        let ruled = |name: &String| matches!(name.as_str(), "delta.invariants" | "delta.generationExpression");
        if schema.fields().any(|field| field.metadata().keys().any(ruled)) {
            return refuse("has columns with invariants or generated values");
        }
        Ok(())
    }

    fn metadata(&self) -> &Metadata {
        self.state().metadata()
    }
    fn state(&self) -> &DeltaTableState {
        self.table
            .snapshot()
            .expect("the state was loaded when the table was opened")
    }
}

fn log_store(store: Arc<dyn ObjectStore>, path: &RepoPath, scope: &str) -> LogStoreRef {
    let mut location = Url::parse(&format!("drumlin://{scope}/")).expect("a scope is letters, digits and dashes");
    location.set_path(&format!("{path}/"));
    let below = Arc::new(PrefixStore::new(store.clone(), object_path(path)));
    default_logstore(below, store, &location, &StorageConfig::default())
}

fn table_metadata(schema: &SchemaRef, key: &[String]) -> Result<Metadata, DeltaTableError> {
    let mut configuration = HashMap::new();
    if !key.is_empty() {
        configuration.insert(KEY_PROPERTY.to_owned(), key_property(key));
    }
    Ok(new_metadata(&to_kernel(schema)?, Vec::<String>::new(), configuration)?)
}

fn key_property(key: &[String]) -> String {
    serde_json::to_string(key).expect("a list of strings is JSON")
}

/// Reader 1, writer 2: what every Delta reader opens.
fn plain_protocol() -> Result<deltalake::kernel::Protocol, DeltaTableError> {
    Ok(serde_json::from_value(
        serde_json::json!({ "minReaderVersion": 1, "minWriterVersion": 2 }),
    )?)
}

pub(crate) fn to_kernel(schema: &SchemaRef) -> Result<StructType, DeltaTableError> {
    Ok(schema.as_ref().try_into_kernel()?)
}

/// The schema as a reader of the table will see it.
pub(crate) fn as_stored(schema: &SchemaRef) -> Result<SchemaRef, DeltaTableError> {
    let kernel = to_kernel(schema)?;
    let arrow: arrow::datatypes::Schema = (&kernel).try_into_arrow()?;
    Ok(Arc::new(arrow))
}

/// Whether the log's bounds of such a column may not be believed: decimals are rounded to float64, floats leave out NaN.
pub(crate) fn has_false_bounds(kind: &DataType) -> bool {
    match kind {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        DataType::List(item) | DataType::LargeList(item) => has_false_bounds(item.data_type()),
        DataType::Map(entries, _) => has_false_bounds(entries.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_false_bounds(field.data_type())),
        _ => false,
    }
}

/// A scan that skips nothing and replaces nothing by what the log says of columns whose bounds are not exact.
#[derive(Debug)]
struct Bounded {
    scan: Arc<dyn TableProvider>,
}

#[async_trait]
impl TableProvider for Bounded {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }
    fn table_type(&self) -> TableType {
        self.scan.table_type()
    }
    async fn scan(
        &self,
        session: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let plan = self.scan.scan(session, projection, filters, limit).await?;
        Ok(plan.transform_up(without_false_bounds)?.data)
    }
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let schema = self.scan.schema();
        let inexact = |name: &str| {
            let field = schema.field_with_name(name);
            field.is_ok_and(|field| has_false_bounds(field.data_type()))
        };
        let mut answers = self.scan.supports_filters_pushdown(filters)?;
        for (filter, answer) in filters.iter().zip(&mut answers) {
            if filter.column_refs().iter().any(|column| inexact(&column.name)) {
                *answer = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(answers)
    }
}

fn file_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref()
}

fn without_false_bounds(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>, DataFusionError> {
    let Some(config) = file_scan(&plan) else {
        return Ok(Transformed::no(plan));
    };
    let schema = config.file_source().table_schema().table_schema().clone();
    let forget = |statistics: &Statistics| {
        let mut statistics = statistics.clone();
        for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
            if has_false_bounds(field.data_type()) {
                column.min_value = Precision::Absent;
                column.max_value = Precision::Absent;
            }
        }
        statistics
    };
    let groups = config.file_groups.iter().map(|group| {
        let files = group.files().iter().cloned().map(|mut file| {
            file.statistics = file.statistics.map(|known| Arc::new(forget(&known)));
            file
        });
        FileGroup::new(files.collect())
    });
    let changed = FileScanConfigBuilder::from(config.clone())
        .with_file_groups(groups.collect())
        .with_statistics(forget(&config.statistics()))
        .build();
    Ok(Transformed::yes(DataSourceExec::from_data_source(changed)))
}
