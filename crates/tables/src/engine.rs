//! `Engine`: what all verbs and queries share: the repository, DataFusion's runtime with its limits, and the scratch folder.
//! `verb`, `sql` and `diff` do the work; the floors above hold one engine for as long as they run.
//! Invariant: no pool is unbounded: operators that outgrow the memory limit spill, and spilled bytes have a limit too.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use datafusion::{
    execution::{
        SessionState, SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{FairSpillPool, TrackConsumersPool},
        object_store::DefaultObjectStoreRegistry,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    prelude::SessionConfig,
};
use drumlin_repo::Repo;
use tempfile::NamedTempFile;

use crate::{
    error::{Error, Result},
    log_cache::LogCache,
    options::EngineOptions,
};

/// How many of the largest consumers an out-of-memory error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("not zero");
/// Rows per batch inside plans: DataFusion's own default, or fewer when a part's share of the memory is small, since a sort
/// must hold some batches of each run to merge them.
const BATCH_ROWS_MAX: usize = 8192;
const BATCH_ROWS_MIN: usize = 256;
const SHARE_PER_BATCH_ROW: usize = 16 << 10;

/// What a sort keeps back to merge what it spilled: DataFusion's default, or this part of its share when that is less.
const SORT_RESERVED_BYTES_MAX: usize = 10 << 20;
const SORT_RESERVED_PART: usize = 16;

/// Delta tables and SQL over one repository. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    repo: Repo,
    options: EngineOptions,
    runtime: Arc<RuntimeEnv>,
    logs: Arc<LogCache>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub fn new(repo: Repo, options: EngineOptions) -> Result<Self> {
        let doing = || format!("make the spill folder {}", options.spill_folder.display());
        std::fs::create_dir_all(&options.spill_folder).map_err(|source| Error::Io { doing: doing(), source })?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![options.spill_folder.clone()]))
            .with_max_temp_directory_size(options.spill_limit_bytes);
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_limit_bytes), CONSUMERS_NAMED);
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_memory_pool(Arc::new(pool))
            .build_arc()
            .map_err(|source| Error::Execution {
                doing: doing(),
                source: Box::new(source),
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                repo,
                options,
                runtime,
                logs: Arc::default(),
            }),
        })
    }

    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }
    /// The runtime whose memory and disk limits everything shares.
    pub fn runtime_env(&self) -> Arc<RuntimeEnv> {
        self.inner.runtime.clone()
    }

    /// A session for one query or write. Stores registered in it are forgotten with it, since they are bound to commits.
    pub(crate) fn session_state(&self, plan: Plan) -> SessionState {
        let registry = Arc::new(DefaultObjectStoreRegistry::new());
        let runtime = RuntimeEnv {
            object_store_registry: registry,
            ..self.inner.runtime.as_ref().clone()
        };
        let threads = match plan {
            Plan::Query => self.inner.options.threads.max(1),
            Plan::Write => 1,
            // Only a join of several parts is planned as one that sorts.
            Plan::SortingQuery => self.inner.options.threads.max(2),
        };
        let share = self.inner.options.memory_limit_bytes / threads;
        let batch_rows = (share / SHARE_PER_BATCH_ROW).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_batch_size(batch_rows)
            .with_information_schema(true)
            .with_default_catalog_and_schema("drumlin", "tables");
        let options = config.options_mut();
        options.execution.parquet.schema_force_view_types = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.sort_spill_reservation_bytes = (share / SORT_RESERVED_PART).min(SORT_RESERVED_BYTES_MAX);
        options.execution.time_zone = Some("+00:00".into());
        options.sql_parser.map_string_types_to_utf8view = false;
        // A rewrite numbers the rows of a file, which must come in one part for that.
        options.optimizer.repartition_file_scans = plan != Plan::Write;
        options.optimizer.prefer_hash_join = plan != Plan::SortingQuery;
        SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::new(runtime))
            .with_default_features()
            .build()
    }

    pub(crate) fn logs(&self) -> &Arc<LogCache> {
        &self.inner.logs
    }

    pub(crate) fn scratch_file(&self) -> Result<NamedTempFile> {
        NamedTempFile::new_in(&self.inner.options.spill_folder).map_err(Error::io(format!(
            "make a file in {}",
            self.inner.options.spill_folder.display()
        )))
    }

    /// The error of a plan that failed: of the memory limit, of a value, or of what was being done.
    pub(crate) fn explain(&self, doing: &str, error: datafusion::error::DataFusionError) -> Error {
        crate::explain::execution(doing, error, self.inner.options.memory_limit_bytes)
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Query,
    /// Joins by sorting, since a hash join cannot spill.
    SortingQuery,
    /// One part, so that rows come in the order of the input, or of the file, and are the same on every machine.
    Write,
}
