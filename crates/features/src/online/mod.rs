//! The online store: the newest row of every key of the materialized views, in LMDB, readable by several processes.
//! `materialize` and `push` write, `get` reads, `verify` proves that both say what the as-of join says.
//! Invariant: the store is a view of the repository: each view's rows belong to one generation (one definition, one schema),
//! swapped as a whole; its watermark is a commit, written in the same transaction as the last row of that commit.
//! Never on a network disk: LMDB's locks are local to a machine.

pub mod get;
mod key;
pub mod materialize;
pub mod push;
mod row;
mod rows;
mod value;
pub mod verify;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use drumlin_model::CommitId;
use heed::{
    CommitOrAbort, Database, Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls,
    types::{Bytes, Str},
};
use serde::{Deserialize, Serialize};

use crate::{
    definition::FeatureType,
    error::{Error, Result},
};

pub use get::{Answer, Answers, Lookup, Want};
pub use materialize::{How, Materialized};
pub use push::Push;
pub use row::Rules;
pub use value::{OwnedValue, Value, exact_time};
pub use verify::{Mismatch, Verified};

/// The format of the whole store.
const FORMAT: u32 = 2;
/// Address space for the store, in bytes. The file is sparse: only what is written takes disk.
const MAP_SIZE: usize = 1 << 40;
/// Readers at once, over all processes; LMDB's own default of 126 runs out on a busy server.
const READERS_MAX: u32 = 1024;
/// Rows that one transaction deletes of a generation that nobody reads any more, to keep transactions small.
const SWEEP_ROWS_MAX: usize = 100_000;

const META_FORMAT: &str = "format";
const META_EPOCH: &str = "epoch";
const META_NEXT: &str = "next";
const META_VIEW: &str = "view/";
const META_DOOMED: &str = "doomed/";
const META_COUNT: &str = "count/";
const META_PUSHES: &str = "pushes";

/// An open online store. Cheap to clone; one process opens a folder once and shares it.
#[derive(Clone)]
pub struct OnlineStore {
    env: Env<WithoutTls>,
    folder: PathBuf,
    /// Key bytes (`key`) to versions (`row`).
    rows: Database<'static, Bytes, Bytes>,
    /// Rows that came by `push`, by view name and key values: a rebuild takes them over.
    pushed: Database<'static, Bytes, Bytes>,
    meta: Database<'static, Str, Bytes>,
}

/// What the store knows of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewState {
    pub view: String,
    /// The hash of the definition, and of its entities', that the rows were made by.
    pub definition: String,
    pub(crate) generation: u32,
    /// Join keys in order, and their types.
    pub keys: Vec<(String, FeatureType)>,
    /// Features in the order of the stored rows, and their types.
    pub features: Vec<(String, FeatureType)>,
    pub rules: Rules,
    pub watermark: Watermark,
    /// How far an append came that has not ended: rows of these files may be there beside those of the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partial: Option<Partial>,
}

/// A table's first files: how many, and the hash of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partial {
    pub files: u64,
    pub files_hash: String,
}

/// How far a view is materialized: a commit, never an event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    pub commit: CommitId,
    /// The source table's files at that commit: how many, and the hash of their names in the order of writing.
    pub files: u64,
    pub files_hash: String,
}

/// What LMDB's lock file and first pages take, and some.
const ROOM_LEN: usize = 256 << 10;

impl ViewState {
    /// Says which schema stored rows have.
    pub(crate) fn layout(&self) -> u32 {
        layout_of(&self.keys, &self.features)
    }
}

/// A tag of the schema that every stored value repeats.
pub(crate) fn layout_of(keys: &[(String, FeatureType)], features: &[(String, FeatureType)]) -> u32 {
    let text = serde_json::to_string(&(keys, features)).expect("names and types are plain values");
    let hash = blake3::hash(text.as_bytes());
    u32::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

impl OnlineStore {
    /// Opens the store in `folder`, making it when it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            doing: "create the folder of the online store",
            source,
        })?;
        if !folder.join("data.mdb").exists() {
            room(folder).map_err(|source| Error::Io {
                doing: "make the online store",
                source,
            })?;
        }
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(READERS_MAX).max_dbs(8);
        // SAFETY: the folder is ours alone (`.drumlin/online`), on a local disk, and LMDB's locks are on.
        let env = unsafe { options.open(folder) }.map_err(Error::lmdb("open the online store"))?;
        // A reader that died keeps its snapshot's pages from reuse until its slot is cleared.
        env.clear_stale_readers()
            .map_err(Error::lmdb("clear dead readers of the online store"))?;
        let (rows, pushed, meta) = match existing(&env)? {
            Some(databases) => databases,
            None => create(&env)?,
        };
        let store = OnlineStore {
            env,
            folder: folder.to_owned(),
            rows,
            pushed,
            meta,
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        let written = self.number(&self.read()?, META_FORMAT)?;
        match written {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(Error::OnlineFormat {
                folder: self.folder.clone(),
                found,
                newest: FORMAT,
            }),
            None => {
                let mut txn = self.write()?;
                self.set_number(&mut txn, META_FORMAT, FORMAT)?;
                txn.commit().map_err(Error::lmdb("open the online store"))
            }
        }
    }

    /// The views in the store, by name.
    pub fn views(&self) -> Result<Vec<ViewState>> {
        let txn = self.read()?;
        let mut views = Vec::new();
        for item in self
            .meta
            .prefix_iter(&txn, META_VIEW)
            .map_err(Error::lmdb("read the online store"))?
        {
            let (name, bytes) = item.map_err(Error::lmdb("read the online store"))?;
            views.push(parse_state(name, bytes)?);
        }
        Ok(views)
    }

    pub fn view(&self, name: &str) -> Result<ViewState> {
        let txn = self.read()?;
        self.state(&txn, name)?
            .ok_or_else(|| Error::NotMaterialized { view: name.to_owned() })
    }

    pub(crate) fn state(&self, txn: &RoTxn<'_, WithoutTls>, name: &str) -> Result<Option<ViewState>> {
        let bytes = self
            .meta
            .get(txn, &format!("{META_VIEW}{name}"))
            .map_err(Error::lmdb("read the online store"))?;
        bytes.map(|bytes| parse_state(name, bytes)).transpose()
    }

    /// Records a view's state; readers look again because the epoch moves with it.
    pub(crate) fn set_state(&self, txn: &mut RwTxn<'_>, state: &ViewState) -> Result<()> {
        let json = serde_json::to_vec(state).expect("a state has only string keys");
        let key = format!("{META_VIEW}{}", state.view);
        self.meta
            .put(txn, &key, &json)
            .map_err(Error::lmdb("write the online store"))?;
        let epoch = self.number(txn, META_EPOCH)?.unwrap_or(0);
        self.set_number(txn, META_EPOCH, epoch.wrapping_add(1))
    }

    pub(crate) fn forget_state(&self, txn: &mut RwTxn<'_>, name: &str) -> Result<()> {
        self.meta
            .delete(txn, &format!("{META_VIEW}{name}"))
            .map_err(Error::lmdb("write the online store"))?;
        let epoch = self.number(txn, META_EPOCH)?.unwrap_or(0);
        self.set_number(txn, META_EPOCH, epoch.wrapping_add(1))
    }

    /// How many keys a view has in the store.
    pub fn key_count(&self, state: &ViewState) -> Result<u64> {
        self.count(&self.read()?, state.generation)
    }

    pub(crate) fn count(&self, txn: &RoTxn<'_, WithoutTls>, generation: u32) -> Result<u64> {
        Ok(self.long(txn, &format!("{META_COUNT}{generation:010}"))?.unwrap_or(0))
    }

    pub(crate) fn add_to_count(&self, txn: &mut RwTxn<'_>, generation: u32, by: u64) -> Result<u64> {
        let count = self.count(txn, generation)? + by;
        self.set_long(txn, &format!("{META_COUNT}{generation:010}"), count)?;
        Ok(count)
    }

    /// The next number of a pushed row.
    pub(crate) fn next_push(&self, txn: &mut RwTxn<'_>) -> Result<u64> {
        let next = self.long(txn, META_PUSHES)?.unwrap_or(0) + 1;
        self.set_long(txn, META_PUSHES, next)?;
        Ok(next)
    }

    /// A new generation. It is doomed until its view's state names it, so that a killed build leaves nothing behind.
    pub(crate) fn new_generation(&self, txn: &mut RwTxn<'_>) -> Result<u32> {
        let generation = self.number(txn, META_NEXT)?.unwrap_or(1);
        self.set_number(
            txn,
            META_NEXT,
            generation
                .checked_add(1)
                .expect("four billion rebuilds outlive the disk"),
        )?;
        self.doom(txn, generation)?;
        Ok(generation)
    }

    pub(crate) fn doom(&self, txn: &mut RwTxn<'_>, generation: u32) -> Result<()> {
        let key = format!("{META_DOOMED}{generation:010}");
        self.meta
            .put(txn, &key, &[])
            .map_err(Error::lmdb("write the online store"))
    }

    pub(crate) fn spare(&self, txn: &mut RwTxn<'_>, generation: u32) -> Result<()> {
        let key = format!("{META_DOOMED}{generation:010}");
        self.meta
            .delete(txn, &key)
            .map(drop)
            .map_err(Error::lmdb("write the online store"))
    }

    /// Deletes the rows of generations that no view names: replaced ones, and those of builds that were killed.
    /// Only whoever holds the writer's place calls this: a build that is running has a doomed generation too.
    pub(crate) fn sweep(&self) -> Result<()> {
        loop {
            let mut txn = self.write()?;
            let doomed = self.first_doomed(&txn)?;
            let Some(generation) = doomed else { return Ok(()) };
            let first = generation.to_be_bytes();
            let keys: Vec<Vec<u8>> = self
                .rows
                .prefix_iter(&txn, &first)
                .map_err(Error::lmdb("sweep the online store"))?
                .take(SWEEP_ROWS_MAX)
                .map(|item| item.map(|(key, _)| key.to_vec()))
                .collect::<Result<_, _>>()
                .map_err(Error::lmdb("sweep the online store"))?;
            for key in &keys {
                self.rows
                    .delete(&mut txn, key)
                    .map_err(Error::lmdb("sweep the online store"))?;
            }
            if keys.len() < SWEEP_ROWS_MAX {
                self.spare(&mut txn, generation)?;
                let count = format!("{META_COUNT}{generation:010}");
                self.meta
                    .delete(&mut txn, &count)
                    .map_err(Error::lmdb("sweep the online store"))?;
            }
            txn.commit().map_err(Error::lmdb("sweep the online store"))?;
        }
    }

    fn first_doomed(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<Option<u32>> {
        let mut doomed = self
            .meta
            .prefix_iter(txn, META_DOOMED)
            .map_err(Error::lmdb("sweep the online store"))?;
        let first = doomed
            .next()
            .transpose()
            .map_err(Error::lmdb("sweep the online store"))?;
        Ok(first.and_then(|(key, _)| key[META_DOOMED.len()..].parse().ok()))
    }

    pub(crate) fn epoch(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<u32> {
        Ok(self.number(txn, META_EPOCH)?.unwrap_or(0))
    }

    fn number(&self, txn: &RoTxn<'_, WithoutTls>, key: &str) -> Result<Option<u32>> {
        let bytes = self.meta.get(txn, key).map_err(Error::lmdb("read the online store"))?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes))
    }

    fn set_number(&self, txn: &mut RwTxn<'_>, key: &str, value: u32) -> Result<()> {
        self.meta
            .put(txn, key, &value.to_le_bytes())
            .map_err(Error::lmdb("write the online store"))
    }

    fn long(&self, txn: &RoTxn<'_, WithoutTls>, key: &str) -> Result<Option<u64>> {
        let bytes = self.meta.get(txn, key).map_err(Error::lmdb("read the online store"))?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
    }

    fn set_long(&self, txn: &mut RwTxn<'_>, key: &str, value: u64) -> Result<()> {
        self.meta
            .put(txn, key, &value.to_le_bytes())
            .map_err(Error::lmdb("write the online store"))
    }

    pub(crate) fn read(&self) -> Result<RoTxn<'_, WithoutTls>> {
        self.env.read_txn().map_err(Error::lmdb("read the online store"))
    }

    pub(crate) fn write(&self) -> Result<RwTxn<'_>> {
        self.env.write_txn().map_err(Error::lmdb("write the online store"))
    }
}

type Databases = (
    Database<'static, Bytes, Bytes>,
    Database<'static, Bytes, Bytes>,
    Database<'static, Str, Bytes>,
);

/// The databases of a store that was made before: a reader does not wait for whoever writes.
fn existing(env: &Env<WithoutTls>) -> Result<Option<Databases>> {
    let failed = || Error::lmdb("open the online store");
    let txn = env.read_txn().map_err(failed())?;
    let opened = env.open_databases_and_commit::<_, _, (), heed::Error>(txn, |opener, txn| {
        let rows = opener.open_database::<Bytes, Bytes>(txn, Some("rows"))?;
        let pushed = opener.open_database::<Bytes, Bytes>(txn, Some("pushed"))?;
        let meta = opener.open_database::<Str, Bytes>(txn, Some("meta"))?;
        Ok(match (rows, pushed, meta) {
            (Some(rows), Some(pushed), Some(meta)) => CommitOrAbort::Commit((rows, pushed, meta)),
            _ => CommitOrAbort::Abort(()),
        })
    });
    Ok(opened.map_err(failed())?.commit())
}

fn create(env: &Env<WithoutTls>) -> Result<Databases> {
    let txn = env.write_txn().map_err(Error::lmdb("open the online store"))?;
    let created = env
        .create_databases_and_commit::<_, _, (), heed::Error>(txn, |opener, txn| {
            let rows = opener.create_database::<Bytes, Bytes>(txn, Some("rows"))?;
            let pushed = opener.create_database::<Bytes, Bytes>(txn, Some("pushed"))?;
            let meta = opener.create_database::<Str, Bytes>(txn, Some("meta"))?;
            Ok(CommitOrAbort::Commit((rows, pushed, meta)))
        })
        .map_err(Error::lmdb("open the online store"))?;
    Ok(created.commit().expect("the closure above never aborts"))
}

fn parse_state(name: &str, bytes: &[u8]) -> Result<ViewState> {
    serde_json::from_slice(bytes).map_err(|_| Error::OnlineDamaged { view: name.to_owned() })
}

/// Whether a store can begin: LMDB's files are mapped, and a full disk that is met through a map ends the program.
fn room(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; ROOM_LEN])?;
    file.sync_all()
}
