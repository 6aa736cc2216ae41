//! `restore`: puts files back to what is staged or committed, or takes back what is staged. The way to bring a table or a
//! training set to the disk: by its name.
//! Invariant: only what is named is touched; work that is overwritten is what the user asked to lose.

use std::{collections::BTreeMap, path::PathBuf};

use drumlin_chunks::{Progress, Unit};
use drumlin_model::{EntryKind, Placed, RefExpr, RepoPath};
use drumlin_repo::Snapshot;
use futures::StreamExt;

use crate::{
    ChangeKind, Error, Result, WorkingCopy,
    bring::{Bringer, Written, total_size},
    index::{Record, Staged},
    plan::{Standing, standing},
    read::is_entry,
    scan::is_own_name,
    sets::Sets,
    stat::{DiskEntry, DiskKind},
};

/// What a restore came to, in paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    pub written: u64,
    pub removed: u64,
    pub unstaged: u64,
}

type Entries = BTreeMap<RepoPath, Placed>;

impl WorkingCopy {
    /// Without `staged`: makes the files at and below `paths` what is staged or committed (or what `source` has).
    /// With it: makes what is staged there nothing (or what `source` has), and leaves the files alone.
    #[tracing::instrument(level = "debug", skip_all, fields(paths = paths.len(), staged))]
    pub async fn restore(
        &self,
        paths: &[PathBuf],
        source: Option<&RefExpr>,
        staged: bool,
        progress: &dyn Progress,
    ) -> Result<RestoreSummary> {
        let _lock = self.lock("restore")?;
        self.refuse_half_done()?;
        let scopes = self.scopes(paths)?;
        let base = self.repo().snapshot_of(self.head()?.base);
        let from = match source {
            Some(source) => Some(self.repo().snapshot(source).await?),
            None => {
                self.refuse_newer_format().await?;
                None
            }
        };
        let mut summary = RestoreSummary::default();
        for scope in &scopes {
            let scope = scope.as_ref();
            if staged {
                self.restore_staged(scope, &base, from.as_ref(), &mut summary).await?;
            } else {
                self.restore_files(scope, &base, from.as_ref(), progress, &mut summary)
                    .await?;
            }
        }
        Ok(summary)
    }

    async fn restore_staged(
        &self,
        scope: Option<&RepoPath>,
        base: &Snapshot,
        from: Option<&Snapshot>,
        summary: &mut RestoreSummary,
    ) -> Result<()> {
        let mut next = BTreeMap::new();
        for path in self.index().read()?.staged_within(scope)?.into_keys() {
            next.insert(path.clone(), (None, base.entry(&path).await?));
        }
        if let Some(from) = from {
            let mut differing = self.repo().diff(base.tree(), from.tree()).await?;
            while let Some(diff) = differing.next().await {
                let diff = diff?;
                if scope.is_none_or(|scope| diff.path.is_within(scope)) {
                    let kind = match (&diff.before, &diff.after) {
                        (None, _) => ChangeKind::Added,
                        (Some(_), Some(_)) => ChangeKind::Modified,
                        (Some(_), None) => ChangeKind::Deleted,
                    };
                    next.insert(
                        diff.path,
                        (
                            Some(Staged {
                                placed: diff.after.clone(),
                                kind,
                            }),
                            diff.after,
                        ),
                    );
                }
            }
        }
        if next.is_empty() {
            self.expect_something(scope, &[base]).await?;
        }
        let before = self.index().read()?;
        let mut writer = self.index().write()?;
        for (path, (staged, entry)) in next {
            let known = before.record(&path)?;
            let was_deleted = before.staged(&path)?.is_some_and(|staged| staged.placed.is_none());
            summary.unstaged += 1;
            writer.set_staged(&path, staged)?;
            match entry {
                Some(entry) if known.is_some() || was_deleted => {
                    let stat = known
                        .filter(|known| known.kind == entry.entry.kind)
                        .and_then(|known| known.stat);
                    writer.set_record(
                        &path,
                        Some(&Record {
                            stat,
                            kind: entry.entry.kind,
                        }),
                    )?;
                }
                Some(_) => {}
                None => writer.set_record(&path, None)?,
            }
        }
        drop(before);
        writer.commit()
    }

    async fn restore_files(
        &self,
        scope: Option<&RepoPath>,
        base: &Snapshot,
        from: Option<&Snapshot>,
        progress: &dyn Progress,
        summary: &mut RestoreSummary,
    ) -> Result<()> {
        let mut entries = self.entries_within(scope, from.unwrap_or(base), from.is_none()).await?;
        let known = self.records_within(scope)?;
        if entries.is_empty() && known.is_empty() {
            self.expect_something(scope, &[base]).await?;
        }
        if scope.is_none() {
            self.without_sets(&mut entries, from.unwrap_or(base)).await?;
        }
        let removals: Vec<RepoPath> = known
            .keys()
            .filter(|path| !entries.contains_key(*path))
            .cloned()
            .collect();
        let writes = self.needed(entries, &removals)?;
        summary.removed += removals.len() as u64;
        summary.written += writes.len() as u64;
        let bytes = total_size(&writes);
        progress.start("restore", Some(bytes), Unit::Bytes);
        let files = Bringer::new(self)?;
        files.remove(removals).await?;
        let mut written = Vec::new();
        files
            .write(writes, progress, |batch| {
                written.extend(batch);
                Ok(())
            })
            .await?;
        progress.finish();
        self.note_restored(written, known, base).await
    }

    /// The entries that the files at and below a path are to show.
    async fn entries_within(&self, scope: Option<&RepoPath>, tree: &Snapshot, with_staged: bool) -> Result<Entries> {
        let mut entries = Entries::new();
        if let Some(path) = scope
            && let Some(placed) = tree.entry(path).await?
        {
            entries.insert(path.clone(), placed);
        }
        let mut below = tree.list(scope, None);
        while let Some(entry) = below.next().await {
            let (path, placed) = entry?;
            entries.insert(path, placed);
        }
        if with_staged {
            for (path, staged) in self.index().read()?.staged_within(scope)? {
                match staged.placed {
                    Some(placed) => drop(entries.insert(path, placed)),
                    None => drop(entries.remove(&path)),
                }
            }
        }
        entries.retain(|path, placed| {
            !matches!(placed.entry.kind, EntryKind::External(_))
                && !path.as_str().split('/').any(|name| is_own_name(name.as_ref()))
        });
        Ok(entries)
    }

    fn records_within(&self, scope: Option<&RepoPath>) -> Result<BTreeMap<RepoPath, Record>> {
        let mut records = BTreeMap::new();
        self.index().read()?.records_within(scope, |path, record| {
            records.insert(path, record);
            true
        })?;
        Ok(records)
    }

    /// Leaves out the tables and training sets that are not here yet: nobody named them.
    async fn without_sets(&self, entries: &mut Entries, tree: &Snapshot) -> Result<()> {
        let mut sets = Sets::new(tree);
        let mut left_out = Vec::new();
        for path in entries.keys() {
            if let Some(set) = sets.around(path).await?
                && !self.index().read()?.has_below(&set)?
            {
                left_out.push(path.clone());
            }
        }
        for path in &left_out {
            entries.remove(path);
        }
        Ok(())
    }

    /// The entries that the disk does not show yet. What is in the way and not to be removed is an error.
    fn needed(&self, entries: Entries, removals: &[RepoPath]) -> Result<Vec<(RepoPath, Placed)>> {
        let (mut needed, mut in_the_way) = (Vec::new(), Vec::new());
        for (path, placed) in entries {
            let disk_path = self.disk_path(&path);
            match standing(self.folder(), &path)? {
                Standing::Nothing => needed.push((path, placed)),
                Standing::Entry(disk) if self.is_shown(&path, &disk, &placed.entry.kind)? => {}
                Standing::Entry(DiskEntry {
                    kind: DiskKind::Folder, ..
                }) if holds_more(&disk_path, &path, removals)? => {
                    in_the_way.push(path);
                }
                Standing::Entry(_) => needed.push((path, placed)),
                Standing::Blocked(above) if removals.binary_search(&above).is_ok() => needed.push((path, placed)),
                Standing::Blocked(above) => in_the_way.push(above),
            }
        }
        in_the_way.dedup();
        if !in_the_way.is_empty() {
            return Err(Error::WouldOverwrite { paths: in_the_way });
        }
        Ok(needed)
    }

    fn is_shown(&self, path: &RepoPath, disk: &DiskEntry, kind: &EntryKind) -> Result<bool> {
        let record = self.index().read()?.record(path)?;
        Ok(match record {
            Some(record) if record.stat == Some(disk.stat) && disk.is_of(&record.kind) => record.kind == *kind,
            // Not in the index yet: it is written again, so that it is.
            None => false,
            _ => is_entry(&self.disk_path(path), disk, kind)?,
        })
    }

    /// The index goes on saying what is staged or committed; where the files now show that, their stat says so.
    async fn note_restored(
        &self,
        written: Vec<Written>,
        known: BTreeMap<RepoPath, Record>,
        base: &Snapshot,
    ) -> Result<()> {
        let mut records = Vec::new();
        for (path, record) in self.settle(written)? {
            let expected = match known.get(&path) {
                Some(known) => Some(known.kind.clone()),
                // Of what is staged as deleted there is no record: the file shows as one that is not kept.
                None => match self.index().read()?.staged(&path)? {
                    Some(staged) => staged.placed.map(|placed| placed.entry.kind),
                    None => base.entry(&path).await?.map(|placed| placed.entry.kind),
                },
            };
            let Some(kind) = expected else { continue };
            let stat = record
                .filter(|record| record.kind == kind)
                .and_then(|record| record.stat);
            records.push((path, Record { stat, kind }));
        }
        let mut writer = self.index().write()?;
        for (path, record) in records {
            writer.set_record(&path, Some(&record))?;
        }
        writer.commit()
    }

    /// Complains of a path that nothing stands for.
    async fn expect_something(&self, scope: Option<&RepoPath>, trees: &[&Snapshot]) -> Result<()> {
        let Some(path) = scope else { return Ok(()) };
        for tree in trees {
            if tree.entry(path).await?.is_some() || tree.folder_exists(path).await? {
                return Ok(());
            }
        }
        let reader = self.index().read()?;
        if reader.record(path)?.is_some() || reader.has_below(path)? {
            return Ok(());
        }
        Err(Error::NothingThere { path: path.clone() })
    }
}

/// Whether a folder holds a file that is not among `removals`.
fn holds_more(disk_path: &std::path::Path, folder: &RepoPath, removals: &[RepoPath]) -> Result<bool> {
    for name in std::fs::read_dir(disk_path).map_err(Error::io("read", disk_path))? {
        let name = name.map_err(Error::io("read", disk_path))?;
        let Some(below) = name.file_name().to_str().and_then(|name| folder.join(name).ok()) else {
            return Ok(true);
        };
        let is_folder = name.file_type().is_ok_and(|kind| kind.is_dir());
        let more = match is_folder {
            true => holds_more(&name.path(), &below, removals)?,
            false => removals.binary_search(&below).is_err(),
        };
        if more {
            return Ok(true);
        }
    }
    Ok(false)
}
