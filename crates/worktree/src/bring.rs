//! `Bringer`: writes entries of the repository as files, and removes files, with no half-written one ever visible.
//! A file is written in `.drumlin/files` and renamed to its place. Files are not synced one by one: after a loss of
//! power the index shows what is missing or torn as modified, and `restore` brings it back from the repository.
//! Invariant: nothing is written or removed through a symbolic link.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use drumlin_chunks::{ChunkStore, Progress};
use drumlin_model::{EntryKind, File as Content, Location, Placed, RepoPath};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    Error, Result, WorkingCopy,
    index::Record,
    stat::{DiskEntry, DiskKind, Stat},
};

/// Files of up to this size, in bytes, are read many at a time: each is one record of a pack.
const SMALL_FILE_LEN_MAX: u64 = drumlin_chunks::CHUNK_LEN_MAX as u64;
/// Small files that are asked for in one plan of requests.
const SMALL_FILES_AT_ONCE: usize = 16 << 10;
/// Small files that one thread writes at a time.
const WRITES_AT_ONCE: usize = 64;
/// Threads that write.
const WRITERS: usize = 4;
/// How much of a large file is gathered before it is written, in bytes.
const PART_LEN: usize = 4 << 20;

/// A file as it was written: what the index is to say of it, once its stat is settled.
pub(crate) struct Written {
    pub path: RepoPath,
    pub kind: EntryKind,
    /// None where somebody else may have written there since.
    pub stat: Option<Stat>,
}

impl Written {
    fn size(&self) -> u64 {
        match &self.kind {
            EntryKind::File(file) => file.size,
            _ => 0,
        }
    }

    /// The record of a file that was seen to be whole at `instant_ns`.
    pub fn record(&self, instant_ns: i64) -> Record {
        Record {
            stat: self.stat.and_then(|stat| stat.settled(instant_ns)),
            kind: self.kind.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Bringer {
    disk: Arc<Disk>,
    store: ChunkStore,
}

/// The disk side: shared by the threads that write.
struct Disk {
    folder: PathBuf,
    scratch: PathBuf,
    /// Numbers the files in `scratch`.
    next: AtomicU64,
    /// Folders that were seen to be real ones.
    real: Mutex<HashSet<RepoPath>>,
}

impl Bringer {
    /// Whoever holds the work lock may have one; it clears away what a killed one left.
    pub fn new(copy: &WorkingCopy) -> Result<Bringer> {
        let scratch = copy.layout().files();
        fs::create_dir_all(&scratch).map_err(Error::io("create", &scratch))?;
        for left in fs::read_dir(&scratch).map_err(Error::io("read", &scratch))? {
            let left = left.map_err(Error::io("read", &scratch))?.path();
            fs::remove_file(&left).map_err(Error::io("remove", left))?;
        }
        let disk = Disk {
            folder: copy.folder().to_owned(),
            scratch,
            next: AtomicU64::new(0),
            real: Mutex::default(),
        };
        Ok(Bringer {
            disk: Arc::new(disk),
            store: copy.repo().chunk_store().clone(),
        })
    }

    /// Removes files, links and empty folders, and the folders above that are left empty.
    /// What is not there, or only behind a link, is left alone.
    pub async fn remove(&self, mut paths: Vec<RepoPath>) -> Result<()> {
        let disk = self.disk.clone();
        paths.sort_by(|a, b| b.cmp(a));
        blocking(move || {
            let (mut emptied, mut real) = (BTreeSet::new(), HashSet::new());
            for path in &paths {
                if disk.remove(path, &mut real)? {
                    emptied.extend(path.parent());
                }
            }
            // From the last to the first: what is in a folder comes after it.
            while let Some(folder) = emptied.pop_last() {
                if remove_if_empty(&disk.disk_path(&folder))? {
                    emptied.extend(folder.parent());
                }
            }
            Ok(())
        })
        .await
    }

    /// Writes entries and reports each batch of them to `done`, in no order.
    pub async fn write(
        &self,
        entries: Vec<(RepoPath, Placed)>,
        progress: &dyn Progress,
        mut done: impl FnMut(Vec<Written>) -> Result<()> + Send,
    ) -> Result<()> {
        let (mut small, mut large, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for (path, Placed { entry, at }) in entries {
            match entry.kind {
                EntryKind::File(file) if file.size == 0 => bare.push((path, EntryKind::File(file))),
                EntryKind::File(file) if file.size <= SMALL_FILE_LEN_MAX && at != Location::Blob => {
                    small.push((path, file, at));
                }
                EntryKind::File(file) => large.push((path, file, at)),
                kind => bare.push((path, kind)),
            }
        }
        let disk = self.disk.clone();
        done(blocking(move || bare.into_iter().map(|(path, kind)| disk.bare(path, kind)).collect()).await?)?;
        let mut small = small.into_iter().peekable();
        while small.peek().is_some() {
            self.small(small.by_ref().take(SMALL_FILES_AT_ONCE).collect(), progress, &mut done)
                .await?;
        }
        let mut writing = stream::iter(
            large
                .into_iter()
                .map(|(path, file, at)| self.large(path, file, at, progress)),
        )
        .buffer_unordered(2);
        while let Some(written) = writing.next().await {
            done(vec![written?])?;
        }
        Ok(())
    }

    async fn small(
        &self,
        files: Vec<(RepoPath, Content, Location)>,
        progress: &dyn Progress,
        done: &mut (impl FnMut(Vec<Written>) -> Result<()> + Send),
    ) -> Result<()> {
        let wanted = files.iter().map(|(_, file, at)| (file.clone(), *at)).collect();
        let files = Arc::new(files);
        let batches = self
            .store
            .read_many(wanted)
            .map_err(Error::from)
            .try_chunks(WRITES_AT_ONCE);
        let mut writing = batches
            .map_err(|error| error.1)
            .map_ok(|batch| {
                let (disk, files) = (self.disk.clone(), files.clone());
                blocking(move || {
                    batch
                        .into_iter()
                        .map(|(at, bytes)| disk.whole(&files[at], &bytes))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .try_buffer_unordered(WRITERS);
        while let Some(written) = writing.try_next().await? {
            progress.advance(written.iter().map(Written::size).sum());
            done(written)?;
        }
        Ok(())
    }

    async fn large(&self, path: RepoPath, file: Content, at: Location, progress: &dyn Progress) -> Result<Written> {
        let disk = self.disk.clone();
        let executable = file.executable;
        let (beside, mut writer) = blocking(move || disk.create(executable)).await?;
        let mut parts = self.store.stream(&file, &at);
        let mut gathered = BytesMut::new();
        while let Some(part) = parts.try_next().await? {
            gathered.extend_from_slice(&part);
            if gathered.len() >= PART_LEN {
                writer = put(writer, &beside, gathered.split().freeze(), progress).await?;
            }
        }
        drop(put(writer, &beside, gathered.freeze(), progress).await?);
        let disk = self.disk.clone();
        blocking(move || disk.arrive(&beside, path, EntryKind::File(file))).await
    }
}

/// Of entries that are to be written, in bytes. A tree of a stranger may say anything.
pub(crate) fn total_size(entries: &[(RepoPath, Placed)]) -> u64 {
    let sizes = entries.iter().map(|(_, placed)| placed.entry.size());
    sizes.fold(0, u64::saturating_add)
}

async fn put(mut file: File, path: &Path, bytes: Bytes, progress: &dyn Progress) -> Result<File> {
    let path = path.to_owned();
    let len = bytes.len() as u64;
    let file = blocking(move || {
        file.write_all(&bytes).map_err(Error::io("write", path))?;
        Ok(file)
    });
    let file = file.await?;
    progress.advance(len);
    Ok(file)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("writing files does not panic")
}

impl Disk {
    fn disk_path(&self, path: &RepoPath) -> PathBuf {
        self.folder.join(path.as_str())
    }

    fn beside(&self) -> PathBuf {
        self.scratch.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn create(&self, executable: bool) -> Result<(PathBuf, File)> {
        let beside = self.beside();
        // The umask of the process takes its part away, as for any program.
        let mode = if executable { 0o777 } else { 0o666 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside);
        Ok((beside.clone(), file.map_err(Error::io("create", beside))?))
    }

    fn whole(&self, (path, file, _): &(RepoPath, Content, Location), bytes: &[u8]) -> Result<Written> {
        let (beside, mut writer) = self.create(file.executable)?;
        writer.write_all(bytes).map_err(Error::io("write", &beside))?;
        drop(writer);
        self.arrive(&beside, path.clone(), EntryKind::File(file.clone()))
    }

    /// What needs no content: empty files, links, empty folders.
    fn bare(&self, path: RepoPath, kind: EntryKind) -> Result<Written> {
        match &kind {
            EntryKind::Folder => {
                if let Some(parent) = path.parent() {
                    self.make_folders(&parent, &path)?;
                }
                let disk_path = self.disk_path(&path);
                // A file or a link gives way, as it does to a file that is renamed over it.
                let there = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
                if there.is_some_and(|there| matches!(there.kind, DiskKind::File | DiskKind::Symlink)) {
                    fs::remove_file(&disk_path).map_err(Error::io("remove", &disk_path))?;
                }
                self.make_folders(&path, &path)?;
                let stat = Some(stat_of(&disk_path)?);
                Ok(Written { path, kind, stat })
            }
            EntryKind::Symlink { target } => {
                let beside = self.beside();
                symlink(target, &beside).map_err(Error::io("create", &beside))?;
                self.arrive(&beside, path, kind)
            }
            EntryKind::File(file) => {
                let (beside, _) = self.create(file.executable)?;
                self.arrive(&beside, path, kind)
            }
            EntryKind::External(_) => Err(Error::NothingThere { path }),
        }
    }

    /// Renames a whole file to its place.
    fn arrive(&self, beside: &Path, path: RepoPath, kind: EntryKind) -> Result<Written> {
        if let Some(parent) = path.parent() {
            self.make_folders(&parent, &path)?;
        }
        let disk_path = self.disk_path(&path);
        let ours = stat_of(beside)?;
        let renamed = fs::rename(beside, &disk_path).or_else(|error| match error.kind() {
            // Empty folders may be left where the file goes.
            io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
                remove_empty(&disk_path)?;
                fs::rename(beside, &disk_path)
            }
            io::ErrorKind::CrossesDevices => across(beside, &disk_path),
            _ => Err(error),
        });
        if let Err(error) = renamed {
            // The first error is the one to tell; what is left in scratch is cleared next time.
            let _ = fs::remove_file(beside);
            return Err(Error::io("write", disk_path)(error));
        }
        // The rename itself is the last change; an editor that saved since is told by what it wrote.
        let stat = stat_of(&disk_path)?;
        let stat = stat.is_written_as(&ours).then_some(stat);
        Ok(Written { path, kind, stat })
    }

    /// Makes `folder` and those above it, for `path`; none of them may be a link.
    fn make_folders(&self, folder: &RepoPath, path: &RepoPath) -> Result<()> {
        if self
            .real
            .lock()
            .expect("threads do not panic while they look")
            .contains(folder)
        {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folders(&parent, path)?;
        }
        let disk_path = self.disk_path(folder);
        match fs::create_dir(&disk_path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
                match there.map(|there| there.kind) {
                    Some(DiskKind::Folder) => {}
                    Some(DiskKind::Symlink) => {
                        return Err(Error::BeyondSymlink {
                            path: path.clone(),
                            link: folder.clone(),
                        });
                    }
                    _ => return Err(Error::io("create the folder", disk_path)(error)),
                }
            }
            Err(error) => return Err(Error::io("create the folder", disk_path)(error)),
        }
        self.real
            .lock()
            .expect("threads do not panic while they look")
            .insert(folder.clone());
        Ok(())
    }

    /// Removes what is at a path, unless it is a folder that holds something; says whether it is gone.
    /// `real` are folders that were seen to be no links.
    fn remove(&self, path: &RepoPath, real: &mut HashSet<RepoPath>) -> Result<bool> {
        for above in path.ancestors() {
            if real.contains(&above) {
                break;
            }
            let disk_path = self.disk_path(&above);
            let there = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
            if there.is_none_or(|there| there.kind != DiskKind::Folder) {
                return Ok(false);
            }
        }
        real.extend(path.ancestors());
        let disk_path = self.disk_path(path);
        match DiskEntry::at(&disk_path)
            .map_err(Error::io("look at", &disk_path))?
            .map(|there| there.kind)
        {
            None | Some(DiskKind::Special) => Ok(false),
            Some(DiskKind::Folder) => remove_if_empty(&disk_path),
            Some(_) => fs::remove_file(&disk_path)
                .map_err(Error::io("remove", &disk_path))
                .map(|()| true),
        }
    }
}

/// Removes a folder unless something is in it; says whether it is gone.
fn remove_if_empty(folder: &Path) -> Result<bool> {
    match fs::remove_dir(folder) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::io("remove", folder)(error)),
    }
}

/// Removes a folder that holds nothing but folders that hold nothing.
fn remove_empty(folder: &Path) -> io::Result<()> {
    let names: BTreeSet<PathBuf> = fs::read_dir(folder)?
        .map(|name| Ok(name?.path()))
        .collect::<io::Result<_>>()?;
    for below in names {
        remove_empty(&below)?;
    }
    fs::remove_dir(folder)
}

fn stat_of(path: &Path) -> Result<Stat> {
    let metadata = path.symlink_metadata().map_err(Error::io("look at", path))?;
    Ok(Stat::of(&metadata))
}

/// Moves a file to a part of the working copy that is another file system: copied beside its place, then renamed.
fn across(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = to.with_file_name(format!(".drumlin-{}-{name}", std::process::id()));
    if from.symlink_metadata()?.is_symlink() {
        symlink(fs::read_link(from)?, &beside)?;
    } else {
        fs::copy(from, &beside)?;
    }
    fs::rename(&beside, to)?;
    fs::remove_file(from)
}
