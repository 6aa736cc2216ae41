//! `Lmdb`: an online store in a folder, read and written by several processes of one machine. The default.
//! Neighbours: `store` says what it promises; nothing above this file knows LMDB. Invariant: a reader never waits, not for
//! writers either, and what it sees stays as it was until it is done. Never on a network disk: LMDB's locks are local to a machine.

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    ops::Bound,
    path::{Path, PathBuf},
};

use drumlin_model::ErrorKind;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, RoTxn, WithoutTls, types::Bytes};

use crate::{
    error::{Error, Result},
    store::{Batch, Change, Lease, LeaseSort, OnlineStore, Scan, Values, check_key},
};

/// Address space for the store, in bytes. The file is sparse: only what is written takes disk.
const MAP_SIZE: usize = 1 << 40;
/// Readers at once, over all processes; LMDB's own default of 126 runs out on a busy server.
const READERS_MAX: u32 = 1024;
/// What LMDB's lock file and first pages take, and some, in bytes.
const ROOM_LEN: usize = 256 << 10;
/// The file that LMDB keeps everything in.
const DATA_FILE: &str = "data.mdb";
/// The file whose lock is the lease: it goes with the process that holds it.
const LEASE_FILE: &str = "materialize.lock";

/// The store; a clone is another handle of the same one. A process opens a folder once, and shares it.
#[derive(Clone, Debug)]
pub struct Lmdb {
    env: Env<WithoutTls>,
    folder: PathBuf,
    values: Database<'static, Bytes, Bytes>,
}

impl Lmdb {
    /// Opens the store in `folder`, making it when it is not there. An error when this process has it open already.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(failed("create the folder of the online store"))?;
        if !folder.join(DATA_FILE).exists() {
            room(folder).map_err(failed("make the online store"))?;
        }
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(READERS_MAX);
        // SAFETY: the folder is ours alone (`.drumlin/online`), on a local disk, and LMDB's locks are on.
        let env = unsafe { options.open(folder) }.map_err(lmdb("open the online store"))?;
        // A reader that died keeps its snapshot's pages from reuse until its slot is cleared.
        env.clear_stale_readers()
            .map_err(lmdb("clear dead readers of the online store"))?;
        let txn = env.read_txn().map_err(lmdb("open the online store"))?;
        let values = env
            .open_databases_and_commit::<_, _, (), heed::Error>(txn, |opener, txn| {
                let opened = opener.open_database::<Bytes, Bytes>(txn, None)?;
                Ok(CommitOrAbort::Commit(
                    opened.expect("the database without a name is always there"),
                ))
            })
            .map_err(lmdb("open the online store"))?
            .commit()
            .expect("the closure above never aborts");
        Ok(Self {
            env,
            folder: folder.to_owned(),
            values,
        })
    }

    fn values_of<'t>(&self, txn: &'t RoTxn<'_, WithoutTls>, keys: &[&[u8]]) -> Result<Vec<Option<&'t [u8]>>> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            check_key(key)?;
            found.push(self.values.get(txn, key).map_err(lmdb("read the online store"))?);
        }
        Ok(found)
    }
}

impl OnlineStore for Lmdb {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn read(&self, keys: &[&[u8]], see: &mut dyn FnMut(&Values<'_>)) -> Result<()> {
        let txn = self.env.read_txn().map_err(lmdb("read the online store"))?;
        see(&self.values_of(&txn, keys)?);
        Ok(())
    }

    fn scan(&self, scan: Scan<'_>, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let txn = self.env.read_txn().map_err(lmdb("read the online store"))?;
        let from = match scan.after {
            Some(after) if after >= scan.prefix => Bound::Excluded(after),
            // LMDB has no key without bytes, and takes none as a bound.
            _ if scan.prefix.is_empty() => Bound::Unbounded,
            _ => Bound::Included(scan.prefix),
        };
        let range = (from, Bound::Unbounded);
        let items = self.values.range(&txn, &range).map_err(lmdb("read the online store"))?;
        for item in items.take(scan.limit) {
            let (key, value) = item.map_err(lmdb("read the online store"))?;
            if !key.starts_with(scan.prefix) {
                break;
            }
            see(key, value);
        }
        Ok(())
    }

    fn update(&self, keys: &[&[u8]], change: &mut Change<'_>) -> Result<()> {
        let mut txn = self.env.write_txn().map_err(lmdb("write the online store"))?;
        let mut batch = Batch::default();
        change(&self.values_of(&txn, keys)?, &mut batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.values.put(&mut txn, key, value),
                None => self.values.delete(&mut txn, key).map(drop),
            }
            .map_err(lmdb("write the online store"))?;
        }
        txn.commit().map_err(lmdb("write the online store"))
    }

    fn lease(&self, sort: LeaseSort) -> Result<Lease> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join(LEASE_FILE))
            .map_err(failed("lock the online store"))?;
        let locked = match sort {
            LeaseSort::Exclusive => file.try_lock(),
            LeaseSort::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Lease::new(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy { store: self.name() }),
            Err(TryLockError::Error(source)) => Err(failed("lock the online store")(source)),
        }
    }

    /// Every commit syncs already.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Whether a store can begin: LMDB's files are mapped, and a full disk that is met through a map ends the program.
fn room(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; ROOM_LEN])?;
    file.sync_all()
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::store(doing, ErrorKind::of_io(&source), source)
}

fn lmdb(doing: &'static str) -> impl FnOnce(heed::Error) -> Error {
    move |source| Error::store(doing, kind(&source), source)
}

fn kind(error: &heed::Error) -> ErrorKind {
    use heed::MdbError as Mdb;
    match error {
        heed::Error::Io(source) => ErrorKind::of_io(source),
        heed::Error::Mdb(Mdb::MapFull | Mdb::ReadersFull) => ErrorKind::Unavailable,
        heed::Error::Mdb(Mdb::Corrupted | Mdb::Invalid | Mdb::PageNotFound) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}
