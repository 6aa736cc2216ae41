//! Materializing: the newest row of every key of a view, from its source at a commit, into the online store.
//! `rows` gives the rows, `row::merge` decides which win. A table that was only appended to since the watermark is read from
//! there on; anything else builds a new generation beside the old one, which answers until the swap.
//! Invariant: killed at any moment, the store holds what some commit said, and the next run goes on from the watermark.

use std::{collections::BTreeSet, fs::File, path::Path};

use drumlin_chunks::progress::{Progress, Unit};
use drumlin_model::{CommitId, Input, Timestamp};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::{TryStreamExt, stream::BoxStream};
use heed::RwTxn;
use serde::Serialize;

use super::{
    OnlineStore, Rules, ViewState, Watermark,
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
const TRANSACTION_ROWS: usize = 1 << 16;
const LOCK_FILE: &str = "materialize.lock";

/// What to materialize.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Empty: all views that are `online: true`; views that are not so any more leave the store.
    pub views: Vec<String>,
    /// Build anew even where the watermark would do.
    pub rebuild: bool,
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
        let mut done = Vec::new();
        for name in &names {
            let uses = [crate::definition::ViewUse::of(name)];
            let views = source::resolve_used(engine, snapshot, &registry, &uses).await?;
            let (view, inputs) = (&views.resolved[name], &views.inputs[name]);
            progress.start(&format!("materialize {name}"), None, Unit::Rows);
            let result = self
                .materialize_view(
                    engine,
                    snapshot,
                    view,
                    inputs,
                    (request.rebuild, now.micros()),
                    progress,
                )
                .await;
            progress.finish();
            done.push(result?);
        }
        if request.views.is_empty() {
            done.extend(self.remove_others(&names, snapshot.commit())?);
        }
        Ok(done)
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

    async fn materialize_view(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        view: &ResolvedView,
        inputs: &[Input],
        (rebuild, now): (bool, i64),
        progress: &dyn Progress,
    ) -> Result<Materialized> {
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
            old.definition == view.hash && old.features == view.features && old.keys == view.key_types() && !rebuild
        };
        if let Some(old) = old.clone().filter(same_view) {
            if (old.watermark.files, &old.watermark.files_hash) == (watermark.files, &watermark.files_hash) {
                return self.finish_unchanged(old, watermark);
            }
            let from = old.watermark.files as usize;
            let appended = table
                .as_ref()
                .filter(|table| table.files_hash(from).as_ref() == Some(&old.watermark.files_hash));
            if let Some(table) = appended {
                let pieces = rows::of_table(view, table, from);
                return self.append(view, old, watermark, pieces, now, progress).await;
            }
        }
        let pieces = match &table {
            Some(table) => rows::of_table(view, table, 0),
            None => rows::of_view(engine, snapshot, view).await?,
        };
        self.build(view, old, watermark, pieces, now, progress).await
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
        view: &ResolvedView,
        state: ViewState,
        watermark: Watermark,
        pieces: BoxStream<'static, Result<Piece>>,
        now: i64,
        progress: &dyn Progress,
    ) -> Result<Materialized> {
        let target = Target::new(&state, now);
        let commit = watermark.commit;
        let mut keys = 0;
        let finish = |txn: &mut RwTxn<'_>| {
            keys = self.count(txn, state.generation)?;
            self.set_state(
                txn,
                &ViewState {
                    watermark,
                    ..state.clone()
                },
            )
        };
        let counts = self.fill(view, target, pieces, progress, finish).await?;
        Ok(report(target.view, commit, How::Appended, counts, keys))
    }

    async fn build(
        &self,
        view: &ResolvedView,
        old: Option<ViewState>,
        watermark: Watermark,
        pieces: BoxStream<'static, Result<Piece>>,
        now: i64,
        progress: &dyn Progress,
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
        };
        let target = Target::new(&state, now);
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
        let counts = self.fill(view, target, pieces, progress, finish).await?;
        self.sweep()?;
        Ok(report(target.view, commit, How::Full, counts, keys))
    }

    /// Writes all rows in several transactions; `finish` joins the last of them.
    async fn fill(
        &self,
        view: &ResolvedView,
        target: Target<'_>,
        mut pieces: BoxStream<'static, Result<Piece>>,
        progress: &dyn Progress,
        finish: impl FnOnce(&mut RwTxn<'_>) -> Result<()>,
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        loop {
            let (mut held, mut rows, mut ended) = (Vec::new(), 0, false);
            while rows < TRANSACTION_ROWS {
                let Some(piece) = pieces.try_next().await? else {
                    ended = true;
                    break;
                };
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
            txn.commit().map_err(Error::lmdb("write the online store"))?;
            progress.advance(rows as u64);
        }
    }

    fn write_rows(&self, txn: &mut RwTxn<'_>, target: Target<'_>, rows: &Rows, counts: &mut Counts) -> Result<()> {
        let (mut key, mut encoded, mut merged) = (Key::default(), Vec::new(), Vec::new());
        counts.read += rows.len as u64;
        let mut new_keys = 0;
        for index in 0..rows.len {
            let stamp = rows
                .stamp(index)
                .filter(|_| key.of_row(target.generation, &rows.keys, index));
            let Some(stamp) = stamp else {
                counts.skipped += 1;
                continue;
            };
            let values = rows.features.iter().map(|column| column.value(index));
            row::encode(&mut encoded, stamp, rows.is_tombstone(index), false, values);
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
                let why = format!("a key has more than {} rows in the future", row::VERSIONS_MAX);
                return Err(Error::NotServable {
                    view: target.view.to_owned(),
                    why,
                });
            }
            Write::Stored => {}
        }
        self.rows
            .put(txn, key.stored(), merged)
            .map_err(Error::lmdb("write the online store"))?;
        Ok(if is_new { Put::NewKey } else { Put::Newer })
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
            key.restore(target.generation, stored.witness.ok_or_else(damaged)?);
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
            Err(_) => input.version.clone().unwrap_or_default(),
        };
        hasher.update(format!("{}\n{content}\n", input.name).as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

pub(super) fn pushed_prefix(view: &str) -> Vec<u8> {
    let mut prefix = (view.len() as u32).to_be_bytes().to_vec();
    prefix.extend_from_slice(view.as_bytes());
    prefix
}

/// One process materializes at a time; reading and pushing go on. The lock goes with the process that holds it.
pub(super) fn lock(folder: &Path) -> Result<File> {
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
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy {
            folder: folder.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
