//! Materializing: the newest row of every key of a view, from its source at a commit, into the online store.
//! `rows` gives the rows, `drumlin-online` merges them. A table that was only appended to since the watermark is read from
//! there on; anything else builds a new generation beside the old one, which answers until the swap.
//! Invariant: killed at any moment, the store holds what some commit said, and the next run goes on from the watermark.

use std::collections::BTreeSet;

use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::{CommitId, Input, Timestamp};
use drumlin_online::{Lease, LeaseSort, Load, Loaded, Partial, RowBatch, Rules, Serving, ViewState, Watermark};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{TryStreamExt, stream::BoxStream};
use serde::Serialize;

use super::rows::{self, Piece, Rows};
use crate::{
    definition::{ViewUse, check::ResolvedView},
    error::{Error, Result},
    registry::Registry,
    scan::Table,
    source,
};

/// Rows that one update writes: enough that its sync to disk costs little, few enough that a reader's moment is not old.
pub const UPDATE_ROWS: usize = 1 << 16;
/// Bytes of rows that are held for one update, whatever their number.
const UPDATE_LEN_MAX: usize = 64 << 20;

/// What to materialize.
#[derive(Clone, Debug)]
pub struct MaterializeRequest {
    /// Empty: all views that are `online: true`; views that are not so any more leave the store.
    pub views: Vec<String>,
    /// Build anew even where the watermark would do.
    pub rebuild: bool,
    /// Rows that one update writes.
    pub update_rows: usize,
}

impl Default for MaterializeRequest {
    fn default() -> Self {
        MaterializeRequest {
            views: Vec::new(),
            rebuild: false,
            update_rows: UPDATE_ROWS,
        }
    }
}

/// How a run goes about each view.
#[derive(Clone, Copy)]
struct Run<'a> {
    serving: &'a Serving,
    lease: &'a Lease,
    engine: &'a Engine,
    snapshot: &'a Snapshot,
    registry: &'a Registry,
    request: &'a MaterializeRequest,
    now: i64,
    progress: &'a dyn Progress,
}

/// What was done for one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Materialized {
    pub view: String,
    pub commit: CommitId,
    pub how: How,
    pub rows_read: u64,
    /// Rows that were newer than what was stored when they came.
    pub rows_stored: u64,
    /// Rows that can never answer: a null key, event time or created time.
    pub rows_skipped: u64,
    /// Keys in the store afterwards.
    pub keys: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The source has not changed since the watermark.
    Unchanged,
    /// Only the files that were added since the watermark were read.
    Appended,
    Full,
    /// The view is not defined, or not `online`, any more.
    Removed,
}

/// Brings views to the commit of `snapshot`. `now` decides which rows may answer already. Stopped at any moment (dropped, or
/// killed), the store answers as some commit said, and the next run goes on from there.
#[tracing::instrument(level = "debug", skip_all, fields(commit = %snapshot.commit()))]
pub async fn materialize(
    serving: &Serving,
    engine: &Engine,
    snapshot: &Snapshot,
    request: &MaterializeRequest,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Vec<Materialized>> {
    let lease = serving.lease(LeaseSort::Exclusive)?;
    serving.sweep(&lease)?;
    let registry = Registry::load(snapshot).await?;
    let online = registry.views().filter(|view| view.online);
    let names: Vec<String> = match request.views.is_empty() {
        true => online.map(|view| view.name.clone()).collect(),
        false => request.views.clone(),
    };
    let run = Run {
        serving,
        lease: &lease,
        engine,
        snapshot,
        registry: &registry,
        request,
        now: now.micros(),
        progress,
    };
    // One view that fails does not keep the others from their commit; its error is told in the end.
    let (mut done, mut failed) = (Vec::new(), None);
    for name in &names {
        let _task = Task::start(progress, &format!("materialize {name}"), None, Unit::Rows);
        match run.view(name).await {
            Ok(view) => done.push(view),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if request.views.is_empty() {
        done.extend(run.remove_others(&names)?);
    }
    failed.map_or(Ok(done), Err)
}

impl Run<'_> {
    fn remove_others(self, names: &[String]) -> Result<Vec<Materialized>> {
        let keep: BTreeSet<&String> = names.iter().collect();
        let mut removed = Vec::new();
        for state in self
            .serving
            .views()?
            .into_iter()
            .filter(|state| !keep.contains(&state.view))
        {
            self.serving.remove(&state.view, self.lease)?;
            removed.push(self.report(&state.view, How::Removed, Loaded::default()));
        }
        Ok(removed)
    }

    async fn view(self, name: &str) -> Result<Materialized> {
        let (engine, snapshot) = (self.engine, self.snapshot);
        let views = source::resolve_used(engine, snapshot, self.registry, &[ViewUse::of(name)]).await?;
        let (view, from) = (&views.resolved[name], views.source(name));
        let table = from.table();
        let watermark = match table {
            Some(table) => watermark_of(table, snapshot.commit()),
            None => Watermark {
                commit: snapshot.commit(),
                files: 0,
                files_hash: contents(engine, snapshot, from.inputs()).await?,
            },
        };
        let old = self.serving.find_view(name)?;
        if let Some(old) = old.filter(|old| !self.request.rebuild && goes_on(old, view, table)) {
            let is_same = (old.watermark.files, &old.watermark.files_hash) == (watermark.files, &watermark.files_hash);
            if is_same && old.partial.is_none() {
                return self.unchanged(old, watermark);
            }
            let begun = old.watermark.files as usize;
            let goes_on = |table: &&Table| table.files_hash(begun).as_ref() == Some(&old.watermark.files_hash);
            if let Some(table) = table.filter(goes_on) {
                let pieces = rows::of_table(view, table, begun);
                let load = self.serving.append(self.lease, old, watermark, self.now);
                return Ok(self.report(name, How::Appended, self.fill(load, view, pieces).await?));
            }
        }
        let pieces = rows::of_view(engine, snapshot, view, from).await?;
        let load = self.serving.build(self.lease, state_of(view, watermark), self.now)?;
        let loaded = self.fill(load, view, pieces).await?;
        self.serving.sweep(self.lease)?;
        Ok(self.report(name, How::Full, loaded))
    }

    fn unchanged(self, state: ViewState, watermark: Watermark) -> Result<Materialized> {
        let loaded = Loaded {
            keys: self.serving.key_count(&state)?,
            ..Loaded::default()
        };
        let report = self.report(&state.view, How::Unchanged, loaded);
        if state.watermark != watermark {
            self.serving.move_watermark(self.lease, state, watermark)?;
        }
        Ok(report)
    }

    /// Writes all rows, in as many updates as they need.
    async fn fill(
        self,
        mut load: Load<'_>,
        view: &ResolvedView,
        mut pieces: BoxStream<'static, Result<Piece>>,
    ) -> Result<Loaded> {
        loop {
            let mut batch = load.rows();
            let is_last = self.read_rows(view, &mut pieces, &mut batch).await?;
            if is_last {
                return Ok(load.finish(&batch)?);
            }
            load.write(&batch)?;
            self.progress.advance(batch.len() as u64);
            // A source that never waits leaves whoever would stop this no moment to do it.
            tokio::task::yield_now().await;
        }
    }

    /// Reads the rows of the next update; true when there are no more after them.
    async fn read_rows(
        self,
        view: &ResolvedView,
        pieces: &mut BoxStream<'static, Result<Piece>>,
        batch: &mut RowBatch,
    ) -> Result<bool> {
        let (mut rows, mut len) = (0, 0);
        while rows < self.request.update_rows && len < UPDATE_LEN_MAX {
            let Some(piece) = pieces.try_next().await? else {
                return Ok(true);
            };
            len += piece.memory();
            let read = Rows::new(view, &piece)?;
            rows += read.len;
            read.write_to(batch);
        }
        Ok(false)
    }

    fn report(self, view: &str, how: How, loaded: Loaded) -> Materialized {
        Materialized {
            view: view.to_owned(),
            commit: self.snapshot.commit(),
            how,
            rows_read: loaded.read,
            rows_stored: loaded.stored,
            rows_skipped: loaded.skipped,
            keys: loaded.keys,
        }
    }
}

/// Whether rows that are added to those of `old` give the view as it is now.
fn goes_on(old: &ViewState, view: &ResolvedView, table: Option<&Table>) -> bool {
    let is_same_view = old.definition == view.hash && old.features == view.features && old.keys == view.key_types();
    // Rows of an append that was interrupted are there already: they must be rows of this commit too.
    let has_begun = |partial: &Partial| {
        let files = table.and_then(|table| table.files_hash(partial.files as usize));
        files.as_ref() == Some(&partial.files_hash)
    };
    is_same_view && old.partial.as_ref().is_none_or(has_begun)
}

/// What the view's state is going to be.
fn state_of(view: &ResolvedView, watermark: Watermark) -> ViewState {
    ViewState {
        view: view.view.name.clone(),
        definition: view.hash.clone(),
        generation: 0,
        keys: view.key_types(),
        features: view.features.clone(),
        rules: Rules {
            inclusive: view.view.inclusive,
            nulls: view.view.nulls,
            max_age: view.view.max_age.map(|age| age.micros()),
        },
        watermark,
        partial: None,
    }
}

fn watermark_of(table: &Table, commit: CommitId) -> Watermark {
    let files_hash = table.files_hash(table.files.len()).expect("a table has all its files");
    Watermark {
        commit,
        files: table.files.len() as u64,
        files_hash,
    }
}

/// What a query reads, by content: equal when its result is.
async fn contents(engine: &Engine, snapshot: &Snapshot, inputs: &[Input]) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        let content = match source::table(engine, snapshot, &input.name).await {
            Ok(table) => table.files_hash(table.files.len()).unwrap_or_default(),
            // A file of the repository: its version is its content.
            Err(error) if is_no_table(&error) => input.version.clone().unwrap_or_default(),
            Err(error) => return Err(error),
        };
        hasher.update(format!("{}\n{content}\n", input.name).as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether a name means no table: there is none, or no table could be called so.
fn is_no_table(error: &Error) -> bool {
    use drumlin_tables::Error as Tables;
    matches!(error, Error::Tables(source) if matches!(source.as_ref(), Tables::NoTable { .. } | Tables::TableName { .. }))
}
