//! `Index`: which record is in which pack, by id, without reading pack data: footers of packs, and index objects that merge many.
//! `writer` asks it before it stores a chunk, `fetch` when a hint leads nowhere; `cache` keeps what was fetched.
//! Invariant: it is a view. What it says is verified by whoever follows it, and what it lacks costs a duplicate, not data.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use drumlin_model::PackId;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Mutex;

use crate::{
    bucket::Bucket,
    disk::cache::Cache,
    error::{Error, Result},
    format::{
        pack::{FOOTER_LEN_MAX, Footer},
        record::RecordAt,
        table::{self, ROWS_MAX, Table},
    },
    keys::{INDEX, PACKS, index_key, pack_key},
    task,
};

/// With more packs than this whose footers are in no index object, one is written: so a fresh clone reads about this many
/// footers at most.
pub(crate) const UNCOVERED_MAX: usize = 64;
/// How much of a pack's end is read at first: the table of a pack of chunks has 23 kB, one of small files up to 900 kB.
const FOOTER_LEN_FIRST: u64 = 64 << 10;
/// An index object is merged again only into one that is not many times smaller: each row is rewritten a few times, not always.
const ABSORB_FACTOR: usize = 4;

#[derive(Debug)]
pub(crate) struct Index {
    bucket: Bucket,
    cache: Cache,
    loaded: RwLock<Arc<Loaded>>,
    refreshing: Mutex<()>,
    compacting: Mutex<()>,
}

/// What is known at some moment. Replaced whole, so that a look-up holds no lock.
#[derive(Clone, Debug, Default)]
struct Loaded {
    objects: Vec<(String, Arc<Table>)>,
    footers: Vec<Arc<Table>>,
    /// Packs that a listing showed to be gone although an index object still knows them.
    gone: Arc<HashSet<PackId>>,
    /// Index objects that are not what was written.
    damaged: Arc<HashSet<String>>,
    /// Counts refreshes.
    generation: u64,
}

impl Loaded {
    fn find(&self, id: &[u8; 32], not_in: Option<&PackId>) -> Option<RecordAt> {
        let footers = self.footers.iter().rev();
        let tables = footers.chain(self.objects.iter().map(|(_, table)| table));
        tables
            .flat_map(|table| table.find(id))
            .find(|at| Some(&at.pack) != not_in && (self.gone.is_empty() || !self.gone.contains(&at.pack)))
    }
}

impl Index {
    pub(crate) fn new(bucket: Bucket, cache: Option<PathBuf>) -> Self {
        let (loaded, refreshing, compacting) = Default::default();
        Self {
            bucket,
            cache: Cache::new(cache),
            loaded,
            refreshing,
            compacting,
        }
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut Loaded)) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut loaded));
    }

    /// Looks into what is loaded; asks nobody.
    pub(crate) fn find(&self, id: &[u8; 32]) -> Option<RecordAt> {
        self.loaded().find(id, None)
    }

    /// Looks for a record in any pack but one; asks the bucket when nothing loaded has it.
    pub(crate) async fn locate(&self, id: &[u8; 32], not_in: Option<&PackId>) -> Result<Option<RecordAt>> {
        let loaded = self.loaded();
        if let Some(at) = loaded.find(id, not_in) {
            return Ok(Some(at));
        }
        self.refresh_since(loaded.generation).await?;
        let loaded = self.loaded();
        let found = loaded.find(id, not_in);
        if found.is_some() || !self.drop_damaged(&loaded).await? {
            return Ok(found);
        }
        self.refresh_since(loaded.generation).await?;
        Ok(self.loaded().find(id, not_in))
    }

    /// Verifies each index object once, before content is said to be nowhere. Returns whether any was damaged; a damaged one is not used
    /// any more.
    async fn drop_damaged(&self, loaded: &Arc<Loaded>) -> Result<bool> {
        let loaded = loaded.clone();
        let damaged: HashSet<String> = task::blocking("verify the index", move || {
            let objects = loaded.objects.iter().filter(|(name, table)| !table.is_whole(name));
            Ok(objects.map(|(name, _)| name.clone()).collect())
        })
        .await?;
        let some = !damaged.is_empty();
        self.update(|loaded| {
            loaded.objects.retain(|(name, _)| !damaged.contains(name));
            Arc::make_mut(&mut loaded.damaged).extend(damaged);
        });
        Ok(some)
    }

    /// Where a pack's own table says that a record is.
    pub(crate) async fn in_pack(&self, pack: &PackId, id: &[u8; 32]) -> Option<RecordAt> {
        let info = self.bucket.head(&pack_key(pack)).await.ok()??;
        let table = self.footer(*pack, info.size).await.ok()??;
        table.find(id).next()
    }

    /// Learns of a pack that was just written here.
    pub(crate) async fn register(&self, footer: Footer) {
        self.cache.put_footer(&footer).await;
        let table = Arc::new(Table::of_footer(footer));
        self.update(|loaded| loaded.footers.push(table));
    }

    /// Lists packs and index objects, and fetches what is not known yet.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.refresh_since(self.loaded().generation).await
    }

    /// Does nothing if someone else refreshed since.
    async fn refresh_since(&self, generation: u64) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        if self.loaded().generation != generation {
            return Ok(());
        }
        let known = self.loaded();
        // In this order: every pack that an index object of the first listing knows was there before the second.
        let objects = listing(&self.bucket, INDEX).await?;
        let packs = listing(&self.bucket, PACKS).await?;
        let fresh = objects
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !known.damaged.contains(*name) && !known.objects.iter().any(|(known, _)| known == *name));
        let fresh: Vec<String> = fresh.cloned().collect();
        let objects: Vec<(String, Arc<Table>)> = futures::stream::iter(fresh)
            .map(|name| self.object(name))
            .buffer_unordered(self.bucket.limits().tables)
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .try_collect()
            .await?;
        let packs: HashMap<PackId, u64> = packs
            .iter()
            .filter_map(|(name, size)| Some((name.parse().ok()?, *size)))
            .collect();
        let tables = known
            .objects
            .iter()
            .chain(&objects)
            .map(|(_, table)| table)
            .chain(&known.footers);
        let covered = table::covered(tables.map(Arc::as_ref));
        let missing: Vec<(PackId, u64)> = packs
            .iter()
            .filter(|(pack, _)| !covered.contains(pack))
            .map(|(pack, size)| (*pack, *size))
            .collect();
        let footers: Vec<Arc<Table>> = futures::stream::iter(missing)
            .map(|(pack, size)| self.footer(pack, size))
            .buffer_unordered(self.bucket.limits().tables)
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .try_collect()
            .await?;
        let gone: HashSet<PackId> = covered
            .iter()
            .filter(|pack| !packs.contains_key(pack))
            .copied()
            .collect();
        self.update(|loaded| {
            loaded.objects.extend(objects);
            // What this process wrote meanwhile was registered without us.
            let registered = table::covered(loaded.footers.iter().map(Arc::as_ref));
            loaded.footers.extend(
                footers
                    .into_iter()
                    .filter(|table| !registered.contains(&table.packs()[0])),
            );
            loaded.gone = Arc::new(gone);
            drop_covered(loaded);
            loaded.generation += 1;
        });
        Ok(())
    }

    /// An index object, from a local file where there is one. One that is damaged or gone is left out: its packs have footers.
    async fn object(&self, name: String) -> Result<Option<(String, Arc<Table>)>> {
        let key = index_key(&name);
        if let Some(file) = self.bucket.local_file(&key).or_else(|| self.cache.object(&name))
            && let Ok(table) = Table::map_object(&name, &file)
        {
            return Ok(Some((name, Arc::new(table))));
        }
        let bytes = match self.bucket.get_at_most(&key, table::OBJECT_LEN_MAX).await {
            Err(Error::NoObject { .. } | Error::Corrupt { .. }) => return Ok(None),
            other => other?,
        };
        let verified = {
            let (name, bytes) = (name.clone(), bytes.clone());
            task::blocking("verify an index object", move || table::verify_object(&name, &bytes)).await
        };
        if verified.is_err() {
            return Ok(None);
        }
        let table = match self.cache.put_object(&name, bytes.clone()).await {
            Some(file) => Table::map_object(&name, &file),
            None => Table::of_object(&name, bytes),
        };
        Ok(table.ok().map(|table| (name, Arc::new(table))))
    }

    /// The table of a pack of `size` bytes. A damaged one is left out: `check_pack` tells of it.
    async fn footer(&self, pack: PackId, size: u64) -> Result<Option<Arc<Table>>> {
        if let Some(footer) = self.cache.footer(pack).await {
            return Ok(Some(Arc::new(Table::of_footer(footer))));
        }
        let footer = match read_footer(&self.bucket, pack, size).await {
            Ok(footer) => footer,
            Err(error @ Error::Store { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        self.cache.put_footer(&footer).await;
        Ok(Some(Arc::new(Table::of_footer(footer))))
    }

    /// Merges footers into index objects when too many are in none. Somebody else at it already will do.
    pub(crate) async fn compact_if_due(&self) -> Result<()> {
        let Ok(_one_at_a_time) = self.compacting.try_lock() else {
            return Ok(());
        };
        while self.loaded().footers.len() > UNCOVERED_MAX {
            self.compact().await?;
        }
        Ok(())
    }

    /// Writes one index object of footers, and of smaller index objects as far as they fit; then removes those, and damaged ones.
    async fn compact(&self) -> Result<()> {
        let known = self.loaded();
        let (footers, absorbed) = choose(&known);
        let merged = absorbed.iter().map(|(name, _)| name);
        let old: Vec<String> = merged.chain(known.damaged.iter()).cloned().collect();
        let gone = known.gone.clone();
        let (name, bytes) = task::blocking("merge the index", move || {
            // A damaged object is removed like the others, and not merged: its packs have footers.
            let whole = absorbed.iter().filter(|(name, table)| table.is_whole(name));
            let tables: Vec<&Table> = footers
                .iter()
                .chain(whole.map(|(_, table)| table))
                .map(Arc::as_ref)
                .collect();
            Ok(table::merge(&tables, |pack| !gone.contains(pack)))
        })
        .await?;
        let key = index_key(&name);
        self.bucket.put_new(&key, bytes.clone()).await?;
        let file = match self.bucket.local_file(&key) {
            Some(file) => Some(file),
            None => self.cache.put_object(&name, bytes.clone()).await,
        };
        let table = match file {
            Some(file) => Table::map_object(&name, &file)?,
            None => Table::of_object(&name, bytes)?,
        };
        self.update(|loaded| {
            loaded.objects.retain(|(name, _)| !old.contains(name));
            loaded.objects.push((name.clone(), Arc::new(table)));
            drop_covered(loaded);
        });
        for old in old.iter().filter(|old| **old != name) {
            self.bucket.delete(&index_key(old)).await?;
            self.cache.forget_object(old).await;
        }
        Ok(())
    }
}

/// Which tables to merge next: footers up to the most rows, then the smallest objects that still fit.
fn choose(known: &Loaded) -> (Vec<Arc<Table>>, Vec<(String, Arc<Table>)>) {
    let mut rows = 0;
    let mut footers = Vec::new();
    for footer in &known.footers {
        if !footers.is_empty() && rows + footer.count() > ROWS_MAX {
            break;
        }
        rows += footer.count();
        footers.push(footer.clone());
    }
    let mut objects = known.objects.clone();
    objects.sort_by_key(|(_, table)| table.count());
    let mut absorbed = Vec::new();
    for (name, table) in objects {
        if rows + table.count() > ROWS_MAX || table.count() > rows * ABSORB_FACTOR {
            break;
        }
        rows += table.count();
        absorbed.push((name, table));
    }
    (footers, absorbed)
}

fn drop_covered(loaded: &mut Loaded) {
    let covered = table::covered(loaded.objects.iter().map(|(_, table)| table.as_ref()));
    let gone = loaded.gone.clone();
    loaded.footers.retain(|table| {
        table
            .packs()
            .iter()
            .all(|pack| !covered.contains(pack) && !gone.contains(pack))
    });
}

/// The objects in a folder of keys: names and sizes.
pub(crate) async fn listing(bucket: &Bucket, folder: &str) -> Result<Vec<(String, u64)>> {
    let objects = bucket.list(folder.trim_end_matches('/'));
    objects
        .map_ok(|info| (info.key.trim_start_matches(folder).to_string(), info.size))
        .try_collect()
        .await
}

/// The footer of a pack of `size` bytes, in one read where the table is short.
pub(crate) async fn read_footer(bucket: &Bucket, pack: PackId, size: u64) -> Result<Footer> {
    let key = pack_key(&pack);
    let tail = |len: u64| size.saturating_sub(len)..size;
    if size == 0 {
        return Footer::from_tail(pack, &Bytes::new());
    }
    let first = bucket.get_range(&key, tail(FOOTER_LEN_FIRST)).await?;
    match Footer::len_by_trailer(&first) {
        Some(len) if len > first.len() as u64 && len <= size.min(FOOTER_LEN_MAX) => {
            Footer::from_tail(pack, &bucket.get_range(&key, tail(len)).await?)
        }
        _ => Footer::from_tail(pack, &first),
    }
}
