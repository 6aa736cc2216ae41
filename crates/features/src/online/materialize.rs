//! Materializing: the newest row of every key of a view, from its source at a commit, into the online store.
//! `rows` gives the rows, `row::merge` decides which win. A table that was only appended to since the watermark is read from
//! there on; anything else builds a new generation beside the old one, which answers until the swap.
//! Invariant: killed at any moment, the store holds what some commit said, and the next run goes on from the watermark.

use std::{collections::BTreeSet, fs::File, path::Path};

use drumlin_chunks::{Progress, Unit};
use drumlin_model::{CommitId, Input, Timestamp};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{TryStreamExt, stream::BoxStream};
use heed::RwTxn;
use serde::Serialize;

use super::{
    OnlineStore, Partial, Rules, ViewState, Watermark,
    key::Key,
    layout_of,
    row::{self, Stored, Write},
    rows::{self, Piece, Rows},
};
use crate::{
    definition::{Source, check::ResolvedView},
    error::{Error, Result},
    registry::Registry,
    scan::Table,
    source,
};

/// Rows that one transaction writes: enough that its sync to disk costs little, few enough that a reader's snapshot is not old.
pub const TRANSACTION_ROWS: usize = 1 << 16;
/// Bytes of rows that are held for one transaction, whatever their number.
const TRANSACTION_LEN_MAX: usize = 64 << 20;
const LOCK_FILE: &str = "materialize.lock";

/// What to materialize.
#[derive(Clone, Debug)]
pub struct Request {
    /// Empty: all views that are `online: true`; views that are not so any more leave the store.
    pub views: Vec<String>,
    /// Build anew even where the watermark would do.
    pub rebuild: bool,
    /// Rows that one transaction writes.
    pub transaction_rows: usize,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            views: Vec::new(),
            rebuild: false,
            transaction_rows: TRANSACTION_ROWS,
        }
    }
}

/// How a run goes about each view.
#[derive(Clone, Copy)]
struct Run<'a> {
    engine: &'a Engine,
    snapshot: &'a Snapshot,
    registry: &'a Registry,
    request: &'a Request,
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

#[derive(Default)]
struct Counts {
    read: u64,
    stored: u64,
    skipped: u64,
}

/// Where the rows of a run go, and by which rules.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub view: &'a str,
    pub generation: u32,
    pub layout: u32,
    pub rules: Rules,
    pub features: usize,
    pub now: i64,
}

impl OnlineStore {
    /// Brings views to the commit of `snapshot`. `now` decides which rows may answer already.
    pub async fn materialize(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        request: &Request,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Vec<Materialized>> {
        let _lock = lock(&self.folder)?;
        self.sweep()?;
        let registry = Registry::load(snapshot).await?;
        let names: Vec<String> = match request.views.is_empty() {
            true => registry
                .views()
                .filter(|view| view.online)
                .map(|view| view.name.clone())
                .collect(),
            false => request.views.clone(),
        };
        let run = Run {
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
            progress.start(&format!("materialize {name}"), None, Unit::Rows);
            let result = self.materialize_view(run, name).await;
            progress.finish();
            match result {
                Ok(view) => done.push(view),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if request.views.is_empty() {
            done.extend(self.remove_others(&names, snapshot.commit())?);
        }
        failed.map_or(Ok(done), Err)
    }

    fn remove_others(&self, names: &[String], commit: CommitId) -> Result<Vec<Materialized>> {
        let keep: BTreeSet<&String> = names.iter().collect();
        let mut removed = Vec::new();
        for state in self.views()?.into_iter().filter(|state| !keep.contains(&state.view)) {
            self.remove_locked(&state.view)?;
            let counts = Counts::default();
            removed.push(report(&state.view, commit, How::Removed, counts, 0));
        }
        Ok(removed)
    }

    async fn materialize_view(&self, run: Run<'_>, name: &str) -> Result<Materialized> {
        let (engine, snapshot) = (run.engine, run.snapshot);
        let uses = [crate::definition::ViewUse::of(name)];
        let views = source::resolve_used(engine, snapshot, run.registry, &uses).await?;
        let (view, inputs) = (&views.resolved[name], &views.inputs[name]);
        let table = match &view.view.source {
            Source::Table(name) => Some(source::table(engine, snapshot, name).await?),
            Source::Sql(_) => None,
        };
        let watermark = match &table {
            Some(table) => watermark_of(table, snapshot.commit()),
            None => Watermark {
                commit: snapshot.commit(),
                files: 0,
                files_hash: contents(engine, snapshot, inputs).await?,
            },
        };
        let old = {
            let txn = self.read()?;
            self.state(&txn, &view.view.name)?
        };
        let same_view = |old: &ViewState| {
            old.definition == view.hash && old.features == view.features && old.keys == view.key_types()
        };
        // Rows of an append that was interrupted are there already: they must be rows of this commit too.
        let holds_partial = |old: &ViewState| {
            let begun = |partial: &Partial| {
                let files = table.as_ref()?.files_hash(partial.files as usize)?;
                (files == partial.files_hash).then_some(())
            };
            old.partial.as_ref().is_none_or(|partial| begun(partial).is_some())
        };
        let goes_on = |old: &ViewState| !run.request.rebuild && same_view(old) && holds_partial(old);
        if let Some(old) = old.clone().filter(goes_on) {
            let files = (old.watermark.files, &old.watermark.files_hash);
            if old.partial.is_none() && files == (watermark.files, &watermark.files_hash) {
                return self.finish_unchanged(old, watermark);
            }
            let from = old.watermark.files as usize;
            let appended = table
                .as_ref()
                .filter(|table| table.files_hash(from).as_ref() == Some(&old.watermark.files_hash));
            if let Some(table) = appended {
                let pieces = rows::of_table(view, table, from);
                return self.append(run, view, old, watermark, pieces).await;
            }
        }
        let pieces = match &table {
            Some(table) => rows::of_table(view, table, 0),
            None => rows::of_view(engine, snapshot, view).await?,
        };
        self.build(run, view, old, watermark, pieces).await
    }

    fn finish_unchanged(&self, mut state: ViewState, watermark: Watermark) -> Result<Materialized> {
        let commit = watermark.commit;
        if state.watermark != watermark {
            state.watermark = watermark;
            let mut txn = self.write()?;
            self.set_state(&mut txn, &state)?;
            txn.commit().map_err(Error::lmdb("write the online store"))?;
        }
        let keys = self.key_count(&state)?;
        Ok(report(&state.view, commit, How::Unchanged, Counts::default(), keys))
    }

    async fn append(
        &self,
        run: Run<'_>,
        view: &ResolvedView,
        state: ViewState,
        watermark: Watermark,
        pieces: BoxStream<'static, Result<Piece>>,
    ) -> Result<Materialized> {
        let target = Target::new(&state, run.now);
        let commit = watermark.commit;
        let mut keys = 0;
        let partial = Some(Partial {
            files: watermark.files,
            files_hash: watermark.files_hash.clone(),
        });
        let begin = |txn: &mut RwTxn<'_>| {
            self.set_state(
                txn,
                &ViewState {
                    partial,
                    ..state.clone()
                },
            )
        };
        let finish = |txn: &mut RwTxn<'_>| {
            keys = self.count(txn, state.generation)?;
            self.set_state(
                txn,
                &ViewState {
                    watermark,
                    partial: None,
                    ..state.clone()
                },
            )
        };
        let counts = self.fill(run, view, target, pieces, (begin, finish)).await?;
        Ok(report(target.view, commit, How::Appended, counts, keys))
    }

    async fn build(
        &self,
        run: Run<'_>,
        view: &ResolvedView,
        old: Option<ViewState>,
        watermark: Watermark,
        pieces: BoxStream<'static, Result<Piece>>,
    ) -> Result<Materialized> {
        let generation = {
            let mut txn = self.write()?;
            let generation = self.new_generation(&mut txn)?;
            txn.commit().map_err(Error::lmdb("write the online store"))?;
            generation
        };
        let commit = watermark.commit;
        let state = ViewState {
            view: view.view.name.clone(),
            definition: view.hash.clone(),
            generation,
            keys: view.key_types(),
            features: view.features.clone(),
            rules: rules_of(view),
            watermark,
            partial: None,
        };
        let target = Target::new(&state, run.now);
        let mut keys = 0;
        let same_layout = old.as_ref().is_some_and(|old| old.layout() == target.layout);
        let finish = |txn: &mut RwTxn<'_>| {
            self.take_pushed(txn, target, same_layout)?;
            keys = self.count(txn, generation)?;
            self.spare(txn, generation)?;
            if let Some(old) = &old {
                self.doom(txn, old.generation)?;
            }
            self.set_state(txn, &state)
        };
        // Nobody reads the new generation before its end.
        let begin = |_: &mut RwTxn<'_>| Ok(());
        let counts = self.fill(run, view, target, pieces, (begin, finish)).await?;
        self.sweep()?;
        Ok(report(target.view, commit, How::Full, counts, keys))
    }

    /// Writes all rows in several transactions; `finish` joins the last of them, `begin` the first if that is not the last.
    async fn fill(
        &self,
        run: Run<'_>,
        view: &ResolvedView,
        target: Target<'_>,
        mut pieces: BoxStream<'static, Result<Piece>>,
        (begin, finish): (
            impl FnOnce(&mut RwTxn<'_>) -> Result<()>,
            impl FnOnce(&mut RwTxn<'_>) -> Result<()>,
        ),
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut begin = Some(begin);
        loop {
            let (mut held, mut rows, mut len, mut ended) = (Vec::new(), 0, 0, false);
            while rows < run.request.transaction_rows && len < TRANSACTION_LEN_MAX {
                let Some(piece) = pieces.try_next().await? else {
                    ended = true;
                    break;
                };
                len += piece.memory();
                let batch = Rows::new(view, &piece)?;
                rows += batch.len;
                held.push(batch);
            }
            let mut txn = self.write()?;
            for batch in &held {
                self.write_rows(&mut txn, target, batch, &mut counts)?;
            }
            if ended {
                finish(&mut txn)?;
                txn.commit().map_err(Error::lmdb("write the online store"))?;
                return Ok(counts);
            }
            if let Some(begin) = begin.take() {
                begin(&mut txn)?;
            }
            txn.commit().map_err(Error::lmdb("write the online store"))?;
            run.progress.advance(rows as u64);
        }
    }

    fn write_rows(&self, txn: &mut RwTxn<'_>, target: Target<'_>, rows: &Rows, counts: &mut Counts) -> Result<()> {
        let (mut key, mut encoded, mut merged) = (Key::default(), Vec::new(), Vec::new());
        counts.read += rows.len as u64;
        let mut new_keys = 0;
        for index in 0..rows.len {
            let head = rows
                .head(index)
                .filter(|_| key.of_row(target.generation, &rows.keys, index));
            let Some(head) = head else {
                counts.skipped += 1;
                continue;
            };
            let values = rows.features.iter().map(|column| column.value(index));
            row::encode(&mut encoded, head, values);
            let put = self.put(txn, target, &mut key, &encoded, &mut merged)?;
            counts.stored += u64::from(put != Put::Older);
            new_keys += u64::from(put == Put::NewKey);
        }
        self.add_to_count(txn, target.generation, new_keys).map(drop)
    }

    pub(super) fn put(
        &self,
        txn: &mut RwTxn<'_>,
        target: Target<'_>,
        key: &mut Key,
        row: &[u8],
        merged: &mut Vec<u8>,
    ) -> Result<Put> {
        let place = (target.layout, key.witness().map(<[u8]>::to_vec));
        let stored = self.stored(txn, key, target.layout, target.view)?;
        let is_new = stored.is_none();
        let written = row::merge(
            merged,
            stored,
            row,
            (place.0, place.1.as_deref()),
            (target.rules, target.features, target.now),
        );
        match written {
            Write::Older => return Ok(Put::Older),
            Write::TooMany => {
                let why = format!(
                    "a key has more than {} rows that may answer yet: in the future, or ending after newer ones",
                    row::VERSIONS_MAX
                );
                return Err(Error::NotServable {
                    view: target.view.to_owned(),
                    why,
                });
            }
            Write::Stored | Write::Marked => {}
        }
        self.rows
            .put(txn, key.stored(), merged)
            .map_err(Error::lmdb("write the online store"))?;
        Ok(match written {
            Write::Marked => Put::Older,
            _ if is_new => Put::NewKey,
            _ => Put::Newer,
        })
    }

    /// Lays the rows that were pushed over a new generation; those that the table has caught up with are forgotten.
    fn take_pushed(&self, txn: &mut RwTxn<'_>, target: Target<'_>, same_layout: bool) -> Result<()> {
        let prefix = pushed_prefix(target.view);
        let damaged = || Error::OnlineDamaged {
            view: target.view.to_owned(),
        };
        let failed = || Error::lmdb("read the online store");
        let items = self.pushed.prefix_iter(txn, &prefix).map_err(failed())?;
        let items = items.map(|item| item.map(|(key, value)| (key.to_vec(), value.to_vec())));
        let items: Vec<(Vec<u8>, Vec<u8>)> = items.collect::<Result<_, _>>().map_err(failed())?;
        let (mut key, mut merged, mut new_keys) = (Key::default(), Vec::new(), 0);
        for (name, value) in items {
            let stored = Stored::read(&value).filter(Stored::is_whole).ok_or_else(damaged)?;
            // The key of a global view has no bytes.
            key.restore(target.generation, stored.witness.unwrap_or_default());
            let mut kept = false;
            for version in stored.versions().filter(|_| same_layout) {
                let put = self.put(txn, target, &mut key, version.bytes(), &mut merged)?;
                kept |= put != Put::Older;
                new_keys += u64::from(put == Put::NewKey);
            }
            if !kept {
                self.pushed
                    .delete(txn, &name)
                    .map_err(Error::lmdb("write the online store"))?;
            }
        }
        self.add_to_count(txn, target.generation, new_keys).map(drop)
    }

    pub(super) fn remove_locked(&self, name: &str) -> Result<bool> {
        let mut txn = self.write()?;
        let Some(state) = self.state(&txn, name)? else {
            return Ok(false);
        };
        self.doom(&mut txn, state.generation)?;
        self.forget_state(&mut txn, name)?;
        txn.commit().map_err(Error::lmdb("write the online store"))?;
        self.sweep()?;
        Ok(true)
    }

    /// Takes a view out of the store.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let _lock = lock(&self.folder)?;
        self.remove_locked(name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Older,
    Newer,
    NewKey,
}

impl<'a> Target<'a> {
    pub fn new(state: &'a ViewState, now: i64) -> Self {
        Target {
            view: &state.view,
            generation: state.generation,
            layout: layout_of(&state.keys, &state.features),
            rules: state.rules,
            features: state.features.len(),
            now,
        }
    }
}

fn report(view: &str, commit: CommitId, how: How, counts: Counts, keys: u64) -> Materialized {
    Materialized {
        view: view.to_owned(),
        commit,
        how,
        rows_read: counts.read,
        rows_stored: counts.stored,
        rows_skipped: counts.skipped,
        keys,
    }
}

pub(super) fn rules_of(view: &ResolvedView) -> Rules {
    Rules {
        inclusive: view.view.inclusive,
        nulls: view.view.nulls,
        max_age: view.view.max_age.map(|age| age.micros()),
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
pub(super) async fn contents(engine: &Engine, snapshot: &Snapshot, inputs: &[Input]) -> Result<String> {
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

pub(super) fn pushed_prefix(view: &str) -> Vec<u8> {
    let mut prefix = (view.len() as u32).to_be_bytes().to_vec();
    prefix.extend_from_slice(view.as_bytes());
    prefix
}

/// One process materializes at a time; reading and pushing go on. The lock goes with the process that holds it.
fn lock(folder: &Path) -> Result<File> {
    locked(folder, File::try_lock)
}

/// Several processes verify at a time, and none materializes meanwhile.
pub(super) fn lock_shared(folder: &Path) -> Result<File> {
    locked(folder, File::try_lock_shared)
}

fn locked(folder: &Path, try_lock: fn(&File) -> Result<(), std::fs::TryLockError>) -> Result<File> {
    let failed = |source| Error::Io {
        doing: "lock the online store",
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    match try_lock(&file) {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy {
            folder: folder.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
