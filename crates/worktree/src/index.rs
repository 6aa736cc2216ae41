//! `Index`: what this working copy holds, what is staged, and where its head is; one LMDB environment in `.drumlin/work`.
//! `scan` compares the disk with it, `add` and `checkout` change it, each in one transaction at a time.
//! Invariant: a file that is not staged has in its record the content that the base commit has at that path.
//! LMDB maps a file into memory and locks it between processes: never put a working copy's `.drumlin` on a network disk.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use drumlin_model::{Entry, EntryKind, Location, Placed, RefName, RefTarget, RepoPath, path::PATH_LEN_MAX};
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls,
    types::{Bytes, Str},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Result, stat::Stat};

/// The address space set aside, in bytes: room for some 300 million files. The file itself grows with its content.
const MAP_SIZE: usize = 64 << 30;
/// Readers at once: the threads of a few processes.
const READERS_MAX: u32 = 510;

/// The newest format of the index that this program writes and reads.
const FORMAT: u64 = 1;

/// Written with the first head, so that an index that says where it stands says in which format.
const META_FORMAT: &str = "format";
const META_HEAD: &str = "head";
const META_PENDING: &str = "pending";
/// There while the checkout under way leaves local changes as they are.
const META_KEEPS: &str = "pending keeps";
/// There until the files of the first head have come.
const META_FRESH: &str = "fresh";

type Table = Database<'static, Str, Bytes>;

/// Where the working copy stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The branch that a commit goes to; none when a commit or tag is checked out by itself.
    pub branch: Option<RefName>,
    /// The commit that the files were taken from.
    pub base: RefTarget,
}

/// A checkout that has begun to change files: noted first, so that it can be run again after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub head: Head,
    /// Whether local changes in its way stay as they are; else there are none that it may not overwrite.
    pub keeps: bool,
}

/// What the index knows of one file of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What the disk said when the content was this; none if the file has to be read to know.
    pub stat: Option<Stat>,
    pub kind: EntryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// A change that the next commit makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    /// None removes the path.
    pub placed: Option<Placed>,
    pub kind: ChangeKind,
}

#[derive(Serialize, Deserialize)]
struct StoredStaged {
    entry: Option<Entry>,
    at: Location,
    kind: ChangeKind,
}

/// The direct children of a folder that the index knows.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub files: HashMap<String, Record>,
    /// The names below which there are records.
    pub folders: HashSet<String>,
}

/// Cheap to clone; clones are one environment.
#[derive(Clone)]
pub(crate) struct Index {
    opened: Arc<Opened>,
}

struct Opened {
    folder: PathBuf,
    /// None only while it is dropped.
    env: Option<Env<WithoutTls>>,
    tables: Tables,
}

/// The environments that this process has open. LMDB's own rule makes this a matter of the process: a file that is opened
/// twice in one loses its locks with the first that is closed.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Opened>>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy)]
struct Tables {
    /// Path to `Record`.
    files: Table,
    /// Path to `StoredStaged`.
    staged: Table,
    meta: Table,
}

/// One consistent view of the index.
pub(crate) struct Reader<'i> {
    txn: RoTxn<'i, WithoutTls>,
    tables: Tables,
}

/// Changes that become visible and durable together, at `commit`; dropped, they never happened.
pub(crate) struct Writer<'i> {
    txn: RwTxn<'i>,
    tables: Tables,
}

fn fail(verb: &'static str) -> impl Fn(heed::Error) -> Error {
    move |source| Error::Index { verb, source }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("the records of the index are plain data")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| Error::IndexDamaged {
        detail: error.to_string(),
    })
}

fn repo_path(text: &str) -> Result<RepoPath> {
    RepoPath::new(text).map_err(|error| Error::IndexDamaged {
        detail: error.to_string(),
    })
}

/// A run of keys. LMDB takes no empty key, so the whole has no bounds.
struct Keys {
    from: Bound<String>,
    end: Bound<String>,
}

impl Keys {
    /// Those below `folder`: `/` is followed by `0`, so this is one run. None is the whole.
    fn below(folder: Option<&RepoPath>) -> Keys {
        match folder {
            Some(folder) => Keys {
                from: Bound::Included(format!("{folder}/")),
                end: Bound::Excluded(format!("{folder}0")),
            },
            None => Keys {
                from: Bound::Unbounded,
                end: Bound::Unbounded,
            },
        }
    }

    fn range(&self) -> (Bound<&str>, Bound<&str>) {
        (
            self.from.as_ref().map(String::as_str),
            self.end.as_ref().map(String::as_str),
        )
    }
}

impl Index {
    pub fn open(folder: &Path) -> Result<Index> {
        let io = |source| Error::Io {
            verb: "find",
            path: folder.to_owned(),
            source,
        };
        let folder = folder.canonicalize().map_err(io)?;
        loop {
            let mut open = lock_open();
            match open.get(&folder).map(Weak::upgrade) {
                Some(Some(opened)) => return Ok(Index { opened }),
                // It is being closed by another thread, which waits for the lock that is held here.
                Some(None) => drop(open),
                None => {
                    let opened = Arc::new(Opened::open(folder.clone())?);
                    open.insert(folder, Arc::downgrade(&opened));
                    return Ok(Index { opened });
                }
            }
            std::thread::yield_now();
        }
    }

    pub fn read(&self) -> Result<Reader<'_>> {
        Ok(Reader {
            txn: self.env().read_txn().map_err(fail("read"))?,
            tables: self.opened.tables,
        })
    }

    /// The one writer. Blocks while another transaction writes; whoever holds the work lock is alone.
    pub fn write(&self) -> Result<Writer<'_>> {
        Ok(Writer {
            txn: self.env().write_txn().map_err(fail("change"))?,
            tables: self.opened.tables,
        })
    }

    fn env(&self) -> &Env<WithoutTls> {
        self.opened.env.as_ref().expect("it is there until it is dropped")
    }
}

fn lock_open() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Opened>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opened {
    fn open(folder: PathBuf) -> Result<Opened> {
        use std::io::ErrorKind as Io;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(READERS_MAX).max_dbs(3);
        // SAFETY: the file is changed through LMDB alone, whose lock file beside it covers every process.
        #[expect(unsafe_code, reason = "a memory map cannot be opened otherwise")]
        let env = match unsafe { options.open(&folder) } {
            // Where nothing can be written, a status can still be read.
            Err(heed::Error::Io(error)) if matches!(error.kind(), Io::ReadOnlyFilesystem | Io::PermissionDenied) => unsafe {
                options.flags(EnvFlags::READ_ONLY).open(&folder)
            },
            opened => opened,
        };
        let env = env.map_err(fail("open"))?;
        // A process that was killed leaves its reader's slot behind, and with it pages that are never reused.
        env.clear_stale_readers().map_err(fail("open"))?;
        if env.max_key_size() < PATH_LEN_MAX {
            return Err(Error::IndexDamaged {
                detail: format!("its keys hold {} bytes only", env.max_key_size()),
            });
        }
        let tables = Tables::open(&env)?;
        tables.check_format(&env, &folder)?;
        Ok(Opened {
            folder,
            env: Some(env),
            tables,
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut open = lock_open();
        open.remove(&self.folder);
        drop(self.env.take());
    }
}

impl Tables {
    fn open(env: &Env<WithoutTls>) -> Result<Tables> {
        let txn = env.read_txn().map_err(fail("open"))?;
        let opened = env.open_databases_and_commit(txn, |opener, txn| {
            let table = |name| opener.open_database::<Str, Bytes>(txn, Some(name));
            Ok(CommitOrAbort::<_, ()>::Commit((
                table("files")?,
                table("staged")?,
                table("meta")?,
            )))
        });
        if let Some((Some(files), Some(staged), Some(meta))) = opened.map_err(fail("open"))?.commit() {
            return Ok(Tables { files, staged, meta });
        }
        let txn = env.write_txn().map_err(fail("create"))?;
        let created = env.create_databases_and_commit(txn, |opener, txn| {
            let mut table = |name| opener.create_database::<Str, Bytes>(txn, Some(name));
            Ok(CommitOrAbort::<_, ()>::Commit((
                table("files")?,
                table("staged")?,
                table("meta")?,
            )))
        });
        let (files, staged, meta) = created
            .map_err(fail("create"))?
            .commit()
            .expect("the closure above always commits");
        Ok(Tables { files, staged, meta })
    }
}

impl Tables {
    /// Refuses an index of a newer format: what its records mean is not known here.
    fn check_format(&self, env: &Env<WithoutTls>, folder: &Path) -> Result<()> {
        let txn = env.read_txn().map_err(fail("open"))?;
        let format = self.meta.get(&txn, META_FORMAT).map_err(fail("open"))?;
        match format.map(decode::<u64>).transpose()? {
            Some(found) if found > FORMAT => Err(Error::TooNew {
                folder: folder.to_owned(),
                found,
                newest: FORMAT,
            }),
            None if self.meta.get(&txn, META_HEAD).map_err(fail("open"))?.is_some() => Err(Error::IndexDamaged {
                detail: "it has no format".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Reader<'_> {
    pub fn head(&self) -> Result<Head> {
        let head = self.tables.meta.get(&self.txn, META_HEAD).map_err(fail("read"))?;
        decode(head.ok_or_else(|| Error::IndexDamaged {
            detail: "it has no head".to_owned(),
        })?)
    }

    pub fn pending(&self) -> Result<Option<Pending>> {
        let head = self.tables.meta.get(&self.txn, META_PENDING).map_err(fail("read"))?;
        let Some(head) = head else { return Ok(None) };
        Ok(Some(Pending {
            head: decode(head)?,
            keeps: self.is_marked(META_KEEPS)?,
        }))
    }

    /// Whether the files of the first head have not all come yet, so that no record does not mean deleted.
    pub fn is_fresh(&self) -> Result<bool> {
        self.is_marked(META_FRESH)
    }

    fn is_marked(&self, mark: &str) -> Result<bool> {
        Ok(self.tables.meta.get(&self.txn, mark).map_err(fail("read"))?.is_some())
    }

    pub fn record(&self, path: &RepoPath) -> Result<Option<Record>> {
        self.tables
            .files
            .get(&self.txn, path.as_str())
            .map_err(fail("read"))?
            .map(decode)
            .transpose()
    }

    pub fn staged(&self, path: &RepoPath) -> Result<Option<Staged>> {
        self.tables
            .staged
            .get(&self.txn, path.as_str())
            .map_err(fail("read"))?
            .map(decode_staged)
            .transpose()
    }

    /// Whether any record stands below `folder`.
    pub fn has_below(&self, folder: &RepoPath) -> Result<bool> {
        let keys = Keys::below(Some(folder));
        let first = self
            .tables
            .files
            .range(&self.txn, &keys.range())
            .map_err(fail("read"))?
            .next();
        Ok(first.transpose().map_err(fail("read"))?.is_some())
    }

    /// The direct children of a folder, in one pass that leaps over what lies deeper.
    pub fn children(&self, folder: Option<&RepoPath>) -> Result<Children> {
        let prefix_len = folder.map_or(0, |folder| folder.as_str().len() + 1);
        let mut keys = Keys::below(folder);
        let mut children = Children::default();
        'leap: loop {
            for item in self
                .tables
                .files
                .range(&self.txn, &keys.range())
                .map_err(fail("read"))?
            {
                let (path, bytes) = item.map_err(fail("read"))?;
                let rest = &path[prefix_len..];
                let Some((name, _)) = rest.split_once('/') else {
                    children.files.insert(rest.to_owned(), decode(bytes)?);
                    continue;
                };
                children.folders.insert(name.to_owned());
                keys.from = Bound::Included(format!("{}{name}0", &path[..prefix_len]));
                continue 'leap;
            }
            return Ok(children);
        }
    }

    /// The records at and below `scope` (none is everything), in order of their paths; stops when `visit` says false.
    pub fn records_within(
        &self,
        scope: Option<&RepoPath>,
        mut visit: impl FnMut(RepoPath, Record) -> bool,
    ) -> Result<()> {
        if let Some(path) = scope
            && let Some(record) = self.record(path)?
            && !visit(path.clone(), record)
        {
            return Ok(());
        }
        for item in self
            .tables
            .files
            .range(&self.txn, &Keys::below(scope).range())
            .map_err(fail("read"))?
        {
            let (path, bytes) = item.map_err(fail("read"))?;
            if !visit(repo_path(path)?, decode(bytes)?) {
                break;
            }
        }
        Ok(())
    }

    /// What is staged at and below `scope` (none is everything), in order of the paths.
    pub fn staged_within(&self, scope: Option<&RepoPath>) -> Result<BTreeMap<RepoPath, Staged>> {
        let mut staged = BTreeMap::new();
        if let Some(path) = scope
            && let Some(change) = self.staged(path)?
        {
            staged.insert(path.clone(), change);
        }
        for item in self
            .tables
            .staged
            .range(&self.txn, &Keys::below(scope).range())
            .map_err(fail("read"))?
        {
            let (path, bytes) = item.map_err(fail("read"))?;
            staged.insert(repo_path(path)?, decode_staged(bytes)?);
        }
        Ok(staged)
    }
}

impl Reader<'_> {
    /// The first staged changes from `start` on, at most `len`.
    pub fn staged_page(&self, start: Bound<&str>, len: usize) -> Result<Vec<(RepoPath, Staged)>> {
        let from = (start, Bound::Unbounded);
        let staged = self.tables.staged.range(&self.txn, &from).map_err(fail("read"))?;
        let read = staged.take(len).map(|item| {
            let (path, bytes) = item.map_err(fail("read"))?;
            Ok((repo_path(path)?, decode_staged(bytes)?))
        });
        read.collect()
    }
}

fn decode_staged(bytes: &[u8]) -> Result<Staged> {
    let StoredStaged { entry, at, kind } = decode(bytes)?;
    Ok(Staged {
        placed: entry.map(|entry| Placed { entry, at }),
        kind,
    })
}

impl Writer<'_> {
    pub fn set_head(&mut self, head: &Head) -> Result<()> {
        self.tables
            .meta
            .put(&mut self.txn, META_FORMAT, &encode(&FORMAT))
            .map_err(fail("change"))?;
        self.tables
            .meta
            .put(&mut self.txn, META_HEAD, &encode(head))
            .map_err(fail("change"))
    }

    pub fn set_pending(&mut self, pending: Option<&Pending>) -> Result<()> {
        self.mark(META_KEEPS, pending.is_some_and(|pending| pending.keeps))?;
        match pending {
            Some(pending) => self
                .tables
                .meta
                .put(&mut self.txn, META_PENDING, &encode(&pending.head))
                .map_err(fail("change")),
            None => self
                .tables
                .meta
                .delete(&mut self.txn, META_PENDING)
                .map(drop)
                .map_err(fail("change")),
        }
    }

    pub fn set_fresh(&mut self, is_fresh: bool) -> Result<()> {
        self.mark(META_FRESH, is_fresh)
    }

    fn mark(&mut self, mark: &str, is_set: bool) -> Result<()> {
        let marked = match is_set {
            true => self.tables.meta.put(&mut self.txn, mark, &[]),
            false => self.tables.meta.delete(&mut self.txn, mark).map(drop),
        };
        marked.map_err(fail("change"))
    }

    /// What is known of a file of the disk from now on; none forgets it.
    pub fn set_record(&mut self, path: &RepoPath, record: Option<&Record>) -> Result<()> {
        match record {
            Some(record) => self
                .tables
                .files
                .put(&mut self.txn, path.as_str(), &encode(record))
                .map_err(fail("change")),
            None => self
                .tables
                .files
                .delete(&mut self.txn, path.as_str())
                .map(drop)
                .map_err(fail("change")),
        }
    }

    /// What the next commit does at a path; none leaves it as it is.
    pub fn set_staged(&mut self, path: &RepoPath, staged: Option<Staged>) -> Result<()> {
        let Some(Staged { placed, kind }) = staged else {
            return self
                .tables
                .staged
                .delete(&mut self.txn, path.as_str())
                .map(drop)
                .map_err(fail("change"));
        };
        let (entry, at) = placed.map_or((None, Location::Unknown), |placed| (Some(placed.entry), placed.at));
        let stored = encode(&StoredStaged { entry, at, kind });
        self.tables
            .staged
            .put(&mut self.txn, path.as_str(), &stored)
            .map_err(fail("change"))
    }

    /// Costs the staged changes alone, however many files the index knows.
    pub fn clear_staged(&mut self) -> Result<()> {
        self.tables.staged.clear(&mut self.txn).map_err(fail("change"))
    }

    pub fn commit(self) -> Result<()> {
        self.txn.commit().map_err(fail("change"))
    }
}
