//! `add`: keeps the content of what changed and stages it for the next commit.
//! One thread pool walks, another reads and gives content to one shared writer, and the caller's task stages in batches.
//! Invariant: a change is staged only after the content it names is durable, so a killed `add` is simply run again.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use drumlin_chunks::{ContentWriter, Progress, Unit};
use drumlin_model::{Entry, EntryKind, Location, Placed, RepoPath};
use drumlin_repo::Snapshot;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::{
    ChangeKind, Result, WorkingCopy,
    index::{Index, Record, Staged},
    read::{self, Reading},
    scan::{Found, Scan},
    stat::{DiskKind, Stat},
};

/// Differences that wait to be read: bounds what a fast walk puts into memory.
const FOUND_WAITING_MAX: usize = 4096;
/// Files that one reader takes at once.
const FILES_AT_ONCE: usize = 32;
/// Readers: they wait for the disk and compress, so as many as a small machine has processors and a little more.
const READERS: usize = 4;
/// Changes staged in one transaction: bounds memory, and what a killed `add` of millions of files does again.
const BATCH_LEN: usize = 1 << 16;
/// How often whoever watches is told, at least.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What an `add` came to. Counts are paths; bytes are of content that was read and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddSummary {
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    pub unchanged: u64,
    pub bytes: u64,
    /// Pipes, sockets and devices: they have no content to keep.
    pub special: Vec<RepoPath>,
    /// Files that changed each time they were read; add them again when they are at rest.
    pub unstable: Vec<RepoPath>,
}

/// What a reader made of one difference.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the large one")]
enum Outcome {
    Present {
        path: RepoPath,
        record: Option<Record>,
        reading: Reading,
    },
    Missing {
        path: RepoPath,
    },
    Special {
        path: RepoPath,
    },
}

/// Something on the disk, with what the index had at its path.
struct Seen {
    path: RepoPath,
    record: Option<Record>,
    kind: EntryKind,
    /// Where its content was put; none if it is the content that the index had.
    at: Option<Location>,
    stat: Stat,
}

/// A change of the index, decided.
struct Step {
    path: RepoPath,
    record: Option<Record>,
    staged: Staging,
}

enum Staging {
    Keep,
    Set(Staged),
    Clear,
}

impl WorkingCopy {
    /// Stages what differs from the index at and below each path (the folder itself means everything).
    #[tracing::instrument(level = "debug", skip_all, fields(paths = paths.len()))]
    pub async fn add(&self, paths: &[PathBuf], progress: &dyn Progress) -> Result<AddSummary> {
        let _lock = self.lock("add")?;
        self.refuse_half_done()?;
        self.repo().check_write().await?;
        let scopes = self.scopes(paths)?;
        let settled_before = self.disk_instant_ns()?;
        let base = self.repo().snapshot_of(self.head()?.base);
        let writer = self.repo().chunk_store().writer(self.repo().now());
        progress.start("add", Some(0), Unit::Bytes);
        let added = Adding {
            copy: self,
            base: &base,
            folders: HashMap::new(),
            settled_before,
            writer,
            counter: Arc::default(),
        }
        .run(scopes, progress)
        .await;
        progress.finish();
        added
    }
}

struct Adding<'a> {
    copy: &'a WorkingCopy,
    base: &'a Snapshot,
    /// Whether the base has anything below a folder.
    folders: HashMap<RepoPath, bool>,
    settled_before: i64,
    writer: ContentWriter,
    counter: Arc<Counter>,
}

/// Bytes of files: the walk counts what it finds, the readers what they read, and the caller's task tells whoever watches.
#[derive(Default)]
struct Counter {
    found: AtomicU64,
    read: AtomicU64,
}

impl Counter {
    fn find(&self, found: &Found) {
        if let Found::New { disk, .. } | Found::Changed { disk, .. } = found
            && disk.kind == DiskKind::File
        {
            self.found.fetch_add(disk.stat.size, Ordering::Relaxed);
        }
    }

    /// Tells what came since it was last told.
    fn tell(&self, progress: &dyn Progress) {
        progress.grow(self.found.swap(0, Ordering::Relaxed));
        progress.advance(self.read.swap(0, Ordering::Relaxed));
    }
}

impl Progress for Counter {
    fn start(&self, _task: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, by: u64) {
        self.read.fetch_add(by, Ordering::Relaxed);
    }
    fn finish(&self) {}
}

impl Adding<'_> {
    async fn run(mut self, scopes: Vec<Option<RepoPath>>, progress: &dyn Progress) -> Result<AddSummary> {
        let mut summary = AddSummary::default();
        let (found, waiting) = sync_channel(FOUND_WAITING_MAX);
        let (folder, index) = (self.copy.folder().to_owned(), self.copy.index().clone());
        let counter = self.counter.clone();
        let walk = tokio::task::spawn_blocking(move || {
            let note = |difference| {
                counter.find(&difference);
                found.send(difference).is_ok()
            };
            Scan::new(&folder, &index, note).run(&scopes)
        });
        let mut outcomes = self.readers(waiting);
        let mut steps = Vec::new();
        loop {
            self.counter.tell(progress);
            let read = match tokio::time::timeout(TELL_EVERY, outcomes.recv()).await {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(_) => continue,
            };
            for outcome in read? {
                steps.extend(self.decide(outcome, &mut summary).await?);
            }
            if steps.len() >= BATCH_LEN {
                self.stage(std::mem::take(&mut steps)).await?;
            }
        }
        summary.unchanged += walk.await.expect("the walk does not panic")?;
        self.stage(steps).await?;
        summary.special.sort();
        summary.unstable.sort();
        Ok(summary)
    }

    /// Starts the readers. They end when the walk has, or when nobody wants their outcomes any more.
    fn readers(&self, waiting: Receiver<Found>) -> mpsc::Receiver<Result<Vec<Outcome>>> {
        let waiting = Arc::new(Mutex::new(waiting));
        let (outcomes, received) = mpsc::channel(READERS);
        for _ in 0..READERS {
            let (waiting, outcomes) = (waiting.clone(), outcomes.clone());
            let (folder, writer) = (self.copy.folder().to_owned(), self.writer.clone());
            let counter = self.counter.clone();
            tokio::task::spawn_blocking(move || {
                while let Some(batch) = next_batch(&waiting) {
                    let read = batch
                        .into_iter()
                        .map(|found| outcome(&folder, found, &writer, &counter))
                        .collect();
                    if outcomes.blocking_send(read).is_err() {
                        return;
                    }
                }
            });
        }
        received
    }

    /// What the index is to hold after an outcome.
    async fn decide(&mut self, outcome: Outcome, summary: &mut AddSummary) -> Result<Option<Step>> {
        let seen = match outcome {
            Outcome::Special { path } => {
                summary.special.push(path);
                return Ok(None);
            }
            Outcome::Missing { path } => return self.missing(path, summary).await.map(Some),
            Outcome::Present { path, record, reading } => match reading {
                Reading::Known { kind, stat } => Seen {
                    path,
                    record,
                    kind,
                    at: None,
                    stat,
                },
                Reading::Kept { kind, at, stat } => Seen {
                    path,
                    record,
                    kind,
                    at: Some(at),
                    stat,
                },
                Reading::Gone if record.is_some() => return self.missing(path, summary).await.map(Some),
                Reading::Gone => return Ok(None),
                Reading::Unstable => {
                    summary.unstable.push(path);
                    return Ok(None);
                }
            },
        };
        let is_folder = seen.kind == EntryKind::Folder;
        if is_folder && seen.record.is_none() && self.was_never_brought(&seen.path).await? {
            return Ok(None);
        }
        let staged = if seen.record.as_ref().is_some_and(|record| record.kind == seen.kind) {
            summary.unchanged += 1;
            Staging::Keep
        } else {
            self.present(&seen, summary).await?
        };
        let record = Record {
            stat: seen.stat.settled(self.settled_before),
            kind: seen.kind,
        };
        Ok(Some(Step {
            path: seen.path,
            record: Some(record),
            staged,
        }))
    }

    /// Stages an entry that is not what the index had.
    async fn present(&mut self, seen: &Seen, summary: &mut AddSummary) -> Result<Staging> {
        let Seen { path, at, .. } = seen;
        let entry = Entry::new(seen.kind.clone(), seen.stat.modified());
        let staged = self.copy.index().read()?.staged(path)?;
        // A known file that is not staged is in the base with other content; only where that is may be worth asking.
        let certain = seen.record.is_some() && staged.is_none();
        let ask = if certain {
            at.is_none()
        } else {
            self.may_have(path).await?
        };
        let base = if ask { self.base.entry(path).await? } else { None };
        if at.is_some() {
            summary.bytes += entry.size();
        }
        if base.as_ref().is_some_and(|base| base.entry.same_content(&entry)) {
            summary.unchanged += 1;
            return Ok(Staging::Clear);
        }
        let change = if certain || base.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        match change {
            ChangeKind::Added => summary.added += 1,
            _ => summary.modified += 1,
        }
        // Only the executable bit changed: the content is where it was.
        let at = at
            .or_else(|| Some(staged.as_ref()?.placed.as_ref()?.at))
            .or_else(|| base.map(|base| base.at));
        let placed = Placed {
            entry,
            at: at.unwrap_or_default(),
        };
        Ok(Staging::Set(Staged {
            placed: Some(placed),
            kind: change,
        }))
    }

    async fn missing(&mut self, path: RepoPath, summary: &mut AddSummary) -> Result<Step> {
        let staged = self.copy.index().read()?.staged(&path)?;
        summary.deleted += 1;
        let in_base = staged.is_none_or(|staged| staged.kind == ChangeKind::Modified);
        let staged = match in_base {
            true => Staging::Set(Staged {
                placed: None,
                kind: ChangeKind::Deleted,
            }),
            false => Staging::Clear,
        };
        Ok(Step {
            path,
            record: None,
            staged,
        })
    }

    /// Whether the base may have something at `path`: a folder that it does not have holds nothing.
    async fn may_have(&mut self, path: &RepoPath) -> Result<bool> {
        let Some(folder) = path.parent() else { return Ok(true) };
        if let Some(known) = self.folders.get(&folder) {
            return Ok(*known);
        }
        let has = self.base.folder_exists(&folder).await?;
        self.folders.insert(folder, has);
        Ok(has)
    }

    /// Whether a folder that is empty here has files in the base that were never brought here.
    async fn was_never_brought(&mut self, folder: &RepoPath) -> Result<bool> {
        let mut below = self.base.list(Some(folder), None);
        while let Some(entry) = below.next().await {
            let (path, _) = entry?;
            let reader = self.copy.index().read()?;
            if path != *folder && reader.record(&path)?.is_none() && reader.staged(&path)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the content durable, then the changes that name it.
    async fn stage(&self, mut steps: Vec<Step>) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        self.writer.flush().await?;
        let index: Index = self.copy.index().clone();
        let written = tokio::task::spawn_blocking(move || -> Result<()> {
            // In the order of the keys, so that each page of the index is visited once.
            steps.sort_by(|a, b| a.path.cmp(&b.path));
            let mut writer = index.write()?;
            for Step { path, record, staged } in steps {
                writer.set_record(&path, record.as_ref())?;
                match staged {
                    Staging::Keep => {}
                    Staging::Set(staged) => writer.set_staged(&path, Some(staged))?,
                    Staging::Clear => writer.set_staged(&path, None)?,
                }
            }
            writer.commit()
        });
        written.await.expect("staging does not panic")
    }
}

fn next_batch(waiting: &Mutex<Receiver<Found>>) -> Option<Vec<Found>> {
    let waiting = waiting.lock().expect("readers do not panic while they take work");
    let mut batch = vec![waiting.recv().ok()?];
    while batch.len() < FILES_AT_ONCE
        && let Ok(found) = waiting.try_recv()
    {
        batch.push(found);
    }
    Some(batch)
}

fn outcome(folder: &Path, found: Found, writer: &ContentWriter, counter: &Counter) -> Result<Outcome> {
    let (path, disk, record) = match found {
        Found::New { path, disk } => (path, disk, None),
        Found::Changed { path, disk, record } => (path, disk, Some(record)),
        Found::Missing { path, .. } => return Ok(Outcome::Missing { path }),
        Found::Special { path } => return Ok(Outcome::Special { path }),
        Found::Bad(error) => return Err(error),
    };
    let reading = read::keep(
        &folder.join(path.as_str()),
        disk,
        record.as_ref().map(|record| &record.kind),
        writer,
        counter,
    )?;
    if let Reading::Known {
        kind: EntryKind::File(file),
        ..
    } = &reading
    {
        counter.advance(file.size);
    }
    Ok(Outcome::Present { path, record, reading })
}
