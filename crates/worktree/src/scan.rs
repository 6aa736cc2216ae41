//! `Scan`: walks the disk in parallel and reports where it differs from the index. `add`, `status` and `checkout` act on it.
//! Each folder is compared by itself, so memory holds the folders at hand and an unchanged tree costs its walk.
//! Every folder that is not ignored is in the tree: by what it holds, or as an entry of its own if it holds nothing
//! that is kept. Invariant: no symbolic link is followed, and `.drumlin` and `.git` are never entered.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use drumlin_model::{EntryKind, RepoPath, path::OWN_FOLDER};
use rayon::Scope as Threads;

use crate::{
    Error, Result,
    ignores::Ignores,
    index::{Children, Index, Record},
    stat::{DiskEntry, DiskKind},
};

/// Threads that read folders: waiting for the disk, not for the processor, so a few more than a small machine has.
const THREADS: usize = 4;

/// One difference between the disk and the index, or something that cannot be kept.
#[derive(Debug)]
pub(crate) enum Found {
    /// On the disk, unknown to the index.
    New { path: RepoPath, disk: DiskEntry },
    /// Known, and perhaps changed: the stat differs or was never settled.
    Changed {
        path: RepoPath,
        disk: DiskEntry,
        record: Record,
    },
    /// Known, and gone from the disk.
    Missing { path: RepoPath, record: Record },
    /// A pipe, a socket or a device.
    Special { path: RepoPath },
    /// Something that stops an `add`: a name that cannot be kept, a folder that cannot be read.
    Bad(Error),
}

/// One comparison of a folder with its index.
pub(crate) struct Scan<'a, S> {
    folder: &'a Path,
    index: &'a Index,
    collapse: bool,
    sink: S,
    stopped: AtomicBool,
    unchanged: AtomicU64,
}

/// A folder to be compared.
struct Folder {
    /// None is the working copy's own.
    path: Option<RepoPath>,
    disk: PathBuf,
    rules: Rules,
    /// What the index has at the path of the folder itself.
    record: Option<Record>,
}

/// What of a folder counts.
#[derive(Clone)]
struct Rules {
    ignores: Ignores,
    /// Whether it lies in an ignored folder: then only what the index knows counts.
    ignored: bool,
}

/// Whether a name belongs to Drumlin or Git themselves, also on disks that take `.GIT` for `.git`.
pub(crate) fn is_own_name(name: &OsStr) -> bool {
    name.eq_ignore_ascii_case(OWN_FOLDER) || name.eq_ignore_ascii_case(".git")
}

impl<'a, S: Fn(Found) -> bool + Sync> Scan<'a, S> {
    /// `sink` is called from several threads; when it says false, the scan stops.
    pub fn new(folder: &'a Path, index: &'a Index, sink: S) -> Self {
        Scan {
            folder,
            index,
            collapse: false,
            sink,
            stopped: AtomicBool::new(false),
            unchanged: AtomicU64::new(0),
        }
    }

    /// Reports a folder of which nothing is known by its own name, and does not enter it.
    pub fn collapsing(self) -> Self {
        Scan { collapse: true, ..self }
    }

    /// Compares what is at and below each of `scopes` (none is everything); returns how many files did not change.
    /// Scopes must not lie within each other.
    pub fn run(&self, scopes: &[Option<RepoPath>]) -> Result<u64> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(THREADS)
            .build()
            .map_err(|error| Error::Io {
                verb: "start threads to walk",
                path: self.folder.to_owned(),
                source: io::Error::other(error),
            })?;
        threads.scope(|threads| scopes.iter().try_for_each(|scope| self.start(threads, scope.as_ref())))?;
        Ok(self.unchanged.load(Ordering::Relaxed))
    }

    fn start<'s>(&'s self, threads: &Threads<'s>, scope: Option<&RepoPath>) -> Result<()> {
        let ignores = Ignores::default().enter(self.folder)?;
        let Some(path) = scope else {
            let disk = self.folder.to_owned();
            self.spawn(
                threads,
                Folder {
                    path: None,
                    disk,
                    rules: Rules {
                        ignores,
                        ignored: false,
                    },
                    record: None,
                },
            );
            return Ok(());
        };
        let (mut ignores, mut ignored) = (ignores, false);
        let mut above: Vec<RepoPath> = path.ancestors().collect();
        above.reverse();
        let reader = self.index.read()?;
        for folder in &above {
            // An entry of its own is what an empty folder has; now it holds the scope.
            let record = reader.record(folder)?;
            let disk = self.folder.join(folder.as_str());
            match DiskEntry::at(&disk).map_err(Error::io("look at", &disk))? {
                Some(DiskEntry {
                    kind: DiskKind::Symlink,
                    ..
                }) => {
                    return Err(Error::BeyondSymlink {
                        path: path.clone(),
                        link: folder.clone(),
                    });
                }
                Some(_) => {}
                None => break,
            }
            if let Some(record) = record {
                self.report(Found::Missing {
                    path: folder.clone(),
                    record,
                });
            }
            ignored |= ignores.is_ignored(&disk, true);
            ignores = ignores.enter(&disk)?;
        }
        let disk_path = self.folder.join(path.as_str());
        let disk = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
        let known = Known {
            record: reader.record(path)?,
            below: reader.has_below(path)?,
        };
        let is_folder = disk.is_some_and(|disk| disk.kind == DiskKind::Folder);
        ignored |= ignores.is_ignored(&disk_path, is_folder);
        if known.nothing() && disk.is_none() {
            return Err(Error::NothingThere { path: path.clone() });
        }
        if known.nothing() && ignored {
            return Err(Error::Ignored { path: path.clone() });
        }
        let spot = Spot {
            path: path.clone(),
            disk_path,
            disk,
        };
        self.child(threads, Rules { ignores, ignored }, spot, known);
        Ok(())
    }

    fn spawn<'s>(&'s self, threads: &Threads<'s>, folder: Folder) {
        threads.spawn(move |threads| {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = self.compare(threads, folder) {
                self.report(Found::Bad(error));
            }
        });
    }

    fn report(&self, found: Found) {
        if !(self.sink)(found) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn compare<'s>(&'s self, threads: &Threads<'s>, folder: Folder) -> Result<()> {
        let mut children = self.index.read()?.children(folder.path.as_ref())?;
        let names = match fs::read_dir(&folder.disk) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.gone(&folder, children),
            Err(error) => return Err(Error::io("read", &folder.disk)(error)),
        };
        let ignores = folder.rules.ignores.enter(&folder.disk)?;
        let folder = Folder {
            rules: Rules {
                ignores,
                ignored: folder.rules.ignored,
            },
            ..folder
        };
        let mut kept = false;
        for name in names {
            let entry = name.map_err(Error::io("read", &folder.disk))?;
            if is_own_name(&entry.file_name()) {
                continue;
            }
            kept |= self.entry(threads, &folder, &entry, &mut children)?;
        }
        self.gone_children(&folder, children)?;
        self.own_entry(folder, kept)
    }

    /// Compares one name of a folder; says whether it is, or may be, in the tree.
    fn entry<'s>(
        &'s self,
        threads: &Threads<'s>,
        folder: &Folder,
        entry: &fs::DirEntry,
        children: &mut Children,
    ) -> Result<bool> {
        let disk_path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let rules = &folder.rules;
        let ignored = rules.ignored || rules.ignores.is_ignored(&disk_path, is_folder);
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            if !ignored {
                self.report(Found::Bad(Error::NameNotUtf8 { path: disk_path }));
            }
            return Ok(!ignored);
        };
        let known = Known {
            record: children.files.remove(name),
            below: children.folders.remove(name),
        };
        if ignored && known.nothing() {
            return Ok(false);
        }
        let path = match &folder.path {
            Some(folder) => folder.join(name),
            None => RepoPath::new(name),
        };
        let path = match path {
            Ok(path) => path,
            Err(source) => {
                self.report(Found::Bad(Error::Name {
                    path: disk_path,
                    source,
                }));
                return Ok(true);
            }
        };
        let disk = match entry.metadata() {
            Ok(metadata) => Some(DiskEntry::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("look at", disk_path)(error)),
        };
        let rules = Rules {
            ignores: rules.ignores.clone(),
            ignored,
        };
        self.child(threads, rules, Spot { path, disk_path, disk }, known);
        Ok(disk.is_some_and(|disk| disk.kind != DiskKind::Special))
    }

    /// Compares what is at one path; folders are left to another thread.
    fn child<'s>(&'s self, threads: &Threads<'s>, rules: Rules, spot: Spot, known: Known) {
        let Spot { path, disk_path, disk } = spot;
        let Some(disk) = disk else {
            return self.missing(&path, known);
        };
        if disk.kind == DiskKind::Folder {
            if self.collapse && known.nothing() {
                self.report(Found::New { path, disk });
                return;
            }
            return self.spawn(
                threads,
                Folder {
                    path: Some(path),
                    disk: disk_path,
                    rules,
                    record: known.record,
                },
            );
        }
        if disk.kind == DiskKind::Special {
            self.missing(&path, known);
            self.report(Found::Special { path });
            return;
        }
        let Known { record, below } = known;
        if below {
            self.missing(&path, Known { record: None, below });
        }
        match record {
            None => self.report(Found::New { path, disk }),
            Some(record) if record.stat == Some(disk.stat) && disk.is_of(&record.kind) => {
                self.unchanged.fetch_add(1, Ordering::Relaxed);
            }
            Some(record) => self.report(Found::Changed { path, disk, record }),
        }
    }

    /// Reports whether a folder has an entry of its own: it has one while it holds nothing else that is kept.
    fn own_entry(&self, folder: Folder, kept: bool) -> Result<()> {
        let Some(path) = folder.path else { return Ok(()) };
        let is_entry = !kept && !folder.rules.ignored;
        match folder.record {
            Some(record) if record.kind == EntryKind::Folder && !kept => {
                self.unchanged.fetch_add(1, Ordering::Relaxed);
            }
            // A file gave way to a folder: one report for the path, so that no order of two decides.
            Some(record) if is_entry => {
                match DiskEntry::at(&folder.disk).map_err(Error::io("look at", &folder.disk))? {
                    Some(disk) => self.report(Found::Changed { path, disk, record }),
                    None => self.report(Found::Missing { path, record }),
                }
            }
            Some(record) => self.report(Found::Missing { path, record }),
            None if is_entry => {
                if let Some(disk) = DiskEntry::at(&folder.disk).map_err(Error::io("look at", &folder.disk))? {
                    self.report(Found::New { path, disk });
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Everything that the index knows at and below a folder that went away while it was walked.
    fn gone(&self, folder: &Folder, children: Children) -> Result<()> {
        if let (Some(path), Some(record)) = (&folder.path, &folder.record) {
            self.report(Found::Missing {
                path: path.clone(),
                record: record.clone(),
            });
        }
        self.gone_children(folder, children)
    }

    /// What the index knows in a folder and the disk does not have.
    fn gone_children(&self, folder: &Folder, children: Children) -> Result<()> {
        let path = |name: &str| match &folder.path {
            Some(folder) => folder.join(name),
            None => RepoPath::new(name),
        };
        let damaged = |error: drumlin_model::PathError| Error::IndexDamaged {
            detail: error.to_string(),
        };
        for (name, record) in children.files {
            self.report(Found::Missing {
                path: path(&name).map_err(damaged)?,
                record,
            });
        }
        for name in children.folders {
            self.missing(
                &path(&name).map_err(damaged)?,
                Known {
                    record: None,
                    below: true,
                },
            );
        }
        Ok(())
    }

    fn missing(&self, path: &RepoPath, known: Known) {
        if let Some(record) = known.record {
            self.report(Found::Missing {
                path: path.clone(),
                record,
            });
        }
        if !known.below {
            return;
        }
        let all = self.index.read().and_then(|reader| {
            reader.records_within(Some(path), |below, record| {
                if below != *path {
                    self.report(Found::Missing { path: below, record });
                }
                !self.stopped.load(Ordering::Relaxed)
            })
        });
        if let Err(error) = all {
            self.report(Found::Bad(error));
        }
    }
}

/// A path, and what the disk has there.
struct Spot {
    path: RepoPath,
    disk_path: PathBuf,
    disk: Option<DiskEntry>,
}

/// What the index has at a path and below it.
struct Known {
    record: Option<Record>,
    below: bool,
}

impl Known {
    fn nothing(&self) -> bool {
        self.record.is_none() && !self.below
    }
}

impl DiskEntry {
    /// Whether this is the sort of thing that an entry of this kind is checked out as.
    pub(crate) fn is_of(&self, kind: &EntryKind) -> bool {
        match kind {
            EntryKind::File(_) | EntryKind::External(_) => self.kind == DiskKind::File,
            EntryKind::Symlink { .. } => self.kind == DiskKind::Symlink,
            EntryKind::Folder => self.kind == DiskKind::Folder,
        }
    }
}
