//! `Plan`: what has to happen to the files so that the working copy shows another commit. `checkout` and `follow` make one,
//! look at its conflicts, and hand it to `bring`.
//! Invariant: making a plan changes nothing, and carrying it out destroys nothing that the plan did not name.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry::Vacant},
    fs,
    path::Path,
};

use drumlin_model::{EntryKind, Placed, RepoPath, TreeId};
use drumlin_repo::{PathDiff, Snapshot};
use futures::{StreamExt, TryStreamExt};

use crate::{
    Error, Result, WorkingCopy,
    index::{ChangeKind, Head, Index, Record, Staged},
    read::is_entry,
    scan::{Found, Scan, is_own_name},
    sets::Sets,
    stat::{DiskEntry, DiskKind},
};

/// What to do about files and staged changes that the user made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnLocalChange {
    /// Report them, so that nothing is done at all.
    Refuse,
    /// Overwrite them, and drop what is staged.
    Overwrite,
    /// Leave the files as they are; they show as modified then.
    Keep,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Files, links and empty folders to write.
    pub writes: Vec<(RepoPath, Placed)>,
    /// Files, links and empty folders to remove from the disk and the index.
    pub removals: BTreeSet<RepoPath>,
    /// What the index is to say where the disk needs no change; none forgets the path.
    pub records: Vec<(RepoPath, Option<Record>)>,
    /// What is to be staged otherwise from now on; none where the target has the change already, or overwrites it.
    pub staged: Vec<(RepoPath, Option<Staged>)>,
    /// Local changes in the way, or those that were kept.
    pub conflicts: BTreeSet<RepoPath>,
    /// Tables and training sets that stay in the repository.
    pub sets: BTreeSet<RepoPath>,
    /// Whether local changes stay as they are.
    pub keeps: bool,
}

/// What the target has at paths where it may differ from what is here.
pub(crate) type Changes = BTreeMap<RepoPath, Option<Placed>>;

pub(crate) struct Planner<'a> {
    copy: &'a WorkingCopy,
    target: &'a Snapshot,
    policy: OnLocalChange,
    /// The tree that an interrupted checkout was bringing.
    interrupted: Option<TreeId>,
    /// What that tree has where the target differs: on the disk it is nobody's work either.
    brought: BTreeMap<RepoPath, EntryKind>,
    sets: Sets<'a>,
    /// Before any file was read for this plan.
    instant_ns: i64,
    plan: Plan,
}

/// What is really at a path, as opposed to behind a link above it.
pub(crate) enum Standing {
    Nothing,
    Entry(DiskEntry),
    /// Something that is not a folder stands above the path.
    Blocked(RepoPath),
}

/// What a plan finds at a path.
enum Look {
    /// What the disk has there; none if nothing.
    Seen(Option<DiskEntry>),
    /// Something of the user stands above it, which the plan has noted.
    InTheWay,
}

impl<'a> Planner<'a> {
    pub fn new(copy: &'a WorkingCopy, target: &'a Snapshot, policy: OnLocalChange) -> Result<Self> {
        let interrupted = copy.index().read()?.pending()?.map(|pending| pending.head.base.tree);
        let (brought, sets, plan) = (BTreeMap::new(), Sets::new(target), Plan::default());
        Ok(Planner {
            copy,
            target,
            policy,
            interrupted,
            brought,
            sets,
            instant_ns: 0,
            plan,
        })
    }

    /// Plans the way from the present head to the target.
    pub async fn plan(mut self, head: &Head) -> Result<Plan> {
        let mut changes = Changes::new();
        if self.copy.index().read()?.is_fresh()? {
            changes = self.everything().await?;
        }
        self.differing(head.base.tree, |diff| drop(changes.insert(diff.path, diff.after)))
            .await?;
        if let Some(interrupted) = self.interrupted {
            let mut brought = BTreeMap::new();
            let note = |diff: PathDiff| {
                brought.extend(diff.before.map(|before| (diff.path.clone(), before.entry.kind)));
                changes.insert(diff.path, diff.after);
            };
            self.differing(interrupted, note).await?;
            self.brought = brought;
        }
        if self.policy == OnLocalChange::Overwrite {
            self.local_changes(&mut changes).await?;
        }
        self.decide_all(changes).await
    }

    /// All that the target has, for a working copy that its files have not come to yet.
    async fn everything(&self) -> Result<Changes> {
        let all = self.target.list(None, None);
        Ok(all.map_ok(|(path, placed)| (path, Some(placed))).try_collect().await?)
    }

    async fn differing(&self, from: TreeId, mut note: impl FnMut(PathDiff) + Send) -> Result<()> {
        let mut differing = self.copy.repo().diff(from, self.target.tree()).await?;
        while let Some(diff) = differing.next().await {
            let diff = diff?;
            // The same content, written at another time, is no difference to a folder.
            if !same(diff.before.as_ref(), diff.after.as_ref()) {
                note(diff);
            }
        }
        Ok(())
    }

    /// Everything that the user changed since, with what the target has there.
    async fn local_changes(&self, changes: &mut Changes) -> Result<()> {
        let (folder, index) = (self.copy.folder().to_owned(), self.copy.index().clone());
        let found = tokio::task::spawn_blocking(move || local_paths(&folder, &index)).await;
        let mut paths = found.expect("the scan does not panic")?;
        paths.extend(self.copy.index().read()?.staged_within(None)?.into_keys());
        for path in paths {
            if let Vacant(slot) = changes.entry(path) {
                let after = self.target.entry(slot.key()).await?;
                slot.insert(after);
            }
        }
        Ok(())
    }

    async fn decide_all(mut self, changes: Changes) -> Result<Plan> {
        self.instant_ns = self.copy.disk_instant_ns()?;
        self.plan.keeps = self.policy == OnLocalChange::Keep;
        let staged = self.copy.index().read()?.staged_within(None)?;
        for (path, after) in &changes {
            if self.is_wanted(path, after.as_ref()).await? {
                self.decide(path, after.as_ref(), staged.get(path), &changes)?;
            }
        }
        if self.policy == OnLocalChange::Overwrite {
            self.plan.staged = staged.into_keys().map(|path| (path, None)).collect();
        } else {
            self.clashes(&staged, &changes);
        }
        Ok(self.plan)
    }

    /// Whether the target's entry belongs on this disk: not inside `.git`, and of a set only once it is here.
    async fn is_wanted(&mut self, path: &RepoPath, after: Option<&Placed>) -> Result<bool> {
        if path.as_str().split('/').any(|name| is_own_name(name.as_ref())) {
            return Ok(false);
        }
        let reader_knows = |path: &RepoPath| -> Result<bool> {
            let reader = self.copy.index().read()?;
            Ok(reader.record(path)?.is_some() || reader.staged(path)?.is_some())
        };
        let Some(after) = after else { return Ok(true) };
        if reader_knows(path)? {
            return Ok(true);
        }
        if matches!(after.entry.kind, EntryKind::External(_)) {
            return Ok(false);
        }
        match self.sets.around(path).await? {
            Some(set) if !self.copy.index().read()?.has_below(&set)? => {
                self.plan.sets.insert(set);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn decide(
        &mut self,
        path: &RepoPath,
        after: Option<&Placed>,
        staged: Option<&Staged>,
        changes: &Changes,
    ) -> Result<()> {
        let record = self.copy.index().read()?.record(path)?;
        if self.keeps_staged(path, after, staged) {
            return Ok(());
        }
        let disk_path = self.copy.disk_path(path);
        let disk = match self.look(path, after)? {
            Look::Seen(disk) => disk,
            Look::InTheWay => return Ok(()),
        };
        let needs_the_place = after.is_some_and(|after| after.entry.kind != EntryKind::Folder);
        let is_folder = disk.is_some_and(|disk| disk.kind == DiskKind::Folder);
        if needs_the_place && is_folder && !self.will_be_empty(path, changes)? {
            // Whole folders of files that nobody keeps are not overwritten even when forced.
            self.in_the_way(path.clone(), path, after);
            return Ok(());
        }
        let was_brought = match &disk {
            Some(disk) => self.was_brought(path, disk)?,
            None => false,
        };
        let is_ours = record.is_some() || was_brought;
        let clean = match (&disk, &record) {
            (None, _) => true,
            // Of a folder nothing is lost: it goes only once it is empty.
            (Some(_), _) if is_folder => true,
            (Some(disk), Some(record)) if record.stat == Some(disk.stat) && disk.is_of(&record.kind) => true,
            (Some(disk), _) if needs_the_place && self.is_target(&disk_path, disk, after)? => {
                let record = after.map(|after| Record {
                    stat: disk.stat.settled(self.instant_ns),
                    kind: after.entry.kind.clone(),
                });
                self.plan.records.push((path.clone(), record));
                return Ok(());
            }
            (Some(disk), Some(record)) => was_brought || is_entry(&disk_path, disk, &record.kind)?,
            (Some(_), None) => was_brought || after.is_none(),
        };
        if !clean && self.policy != OnLocalChange::Overwrite {
            self.in_the_way(path.clone(), path, after);
            return Ok(());
        }
        self.act(path, after, disk, record, is_ours);
        Ok(())
    }

    /// Whether a staged change stands in the way of the target's own and stays; else it is settled by the target.
    fn keeps_staged(&mut self, path: &RepoPath, after: Option<&Placed>, staged: Option<&Staged>) -> bool {
        let Some(staged) = staged else { return false };
        if same(staged.placed.as_ref(), after) || self.policy == OnLocalChange::Overwrite {
            self.plan.staged.push((path.clone(), None));
            return false;
        }
        let kind = match (&staged.placed, after) {
            (None, _) => ChangeKind::Deleted,
            (Some(_), Some(_)) => ChangeKind::Modified,
            (Some(_), None) => ChangeKind::Added,
        };
        let staged = Staged { kind, ..staged.clone() };
        self.plan.staged.push((path.clone(), Some(staged)));
        self.plan.conflicts.insert(path.clone());
        true
    }

    /// What the disk has at a path, where nothing above it is in the way.
    fn look(&mut self, path: &RepoPath, after: Option<&Placed>) -> Result<Look> {
        let above = match standing(self.copy.folder(), path)? {
            Standing::Nothing => return Ok(Look::Seen(None)),
            Standing::Entry(disk) => return Ok(Look::Seen(Some(disk))),
            Standing::Blocked(above) => above,
        };
        // What stands above was decided before, as paths are in order: this plan removes it, or it is in the way.
        if after.is_some() && !self.plan.removals.contains(&above) {
            if self.policy != OnLocalChange::Overwrite {
                self.in_the_way(above, path, after);
                return Ok(Look::InTheWay);
            }
            self.plan.removals.insert(above);
        }
        Ok(Look::Seen(None))
    }

    fn act(
        &mut self,
        path: &RepoPath,
        after: Option<&Placed>,
        disk: Option<DiskEntry>,
        record: Option<Record>,
        is_ours: bool,
    ) {
        let is_shown = |after: &Placed| {
            record.is_some_and(|record| {
                disk.is_some_and(|disk| record.stat == Some(disk.stat)) && record.kind == after.entry.kind
            })
        };
        match after {
            Some(after) if is_shown(after) => {}
            Some(after) => self.plan.writes.push((path.clone(), after.clone())),
            None if is_ours => drop(self.plan.removals.insert(path.clone())),
            // The target has no use for the place, and what is there is the user's.
            None => {}
        }
    }

    /// Notes a local change; where it is kept, the index follows the target, so that the change shows as one.
    fn in_the_way(&mut self, what: RepoPath, path: &RepoPath, after: Option<&Placed>) {
        self.plan.conflicts.insert(what);
        if self.policy == OnLocalChange::Keep {
            let record = after.map(|after| Record {
                stat: None,
                kind: after.entry.kind.clone(),
            });
            self.plan.records.push((path.clone(), record));
        }
    }

    fn is_target(&self, disk_path: &Path, disk: &DiskEntry, after: Option<&Placed>) -> Result<bool> {
        match after {
            Some(after) => is_entry(disk_path, disk, &after.entry.kind),
            None => Ok(false),
        }
    }

    fn was_brought(&self, path: &RepoPath, disk: &DiskEntry) -> Result<bool> {
        match self.brought.get(path) {
            Some(kind) => is_entry(&self.copy.disk_path(path), disk, kind),
            None => Ok(false),
        }
    }

    /// Whether a folder in the place of a file holds only what this plan removes.
    fn will_be_empty(&self, folder: &RepoPath, changes: &Changes) -> Result<bool> {
        let disk_path = self.copy.disk_path(folder);
        let names = fs::read_dir(&disk_path).map_err(Error::io("read", &disk_path))?;
        for name in names {
            let name = name.map_err(Error::io("read", &disk_path))?;
            let below = name.file_name().to_str().and_then(|name| folder.join(name).ok());
            let Some(below) = below else { return Ok(false) };
            let is_folder = name.file_type().is_ok_and(|kind| kind.is_dir());
            let goes = match is_folder {
                true => self.will_be_empty(&below, changes)?,
                false => matches!(changes.get(&below), Some(None)) && self.will_go(&below)?,
            };
            if !goes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a file that the target lacks is removed when its own path is decided: this working copy brought it, and
    /// nobody's work would be lost.
    fn will_go(&self, path: &RepoPath) -> Result<bool> {
        let reader = self.copy.index().read()?;
        let (record, staged) = (reader.record(path)?, reader.staged(path)?);
        let disk_path = self.copy.disk_path(path);
        let disk = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
        let Some(disk) = disk else { return Ok(true) };
        if self.was_brought(path, &disk)? {
            return Ok(true);
        }
        let Some(record) = record else { return Ok(false) };
        if self.policy == OnLocalChange::Overwrite {
            return Ok(true);
        }
        if staged.is_some_and(|staged| staged.placed.is_some()) {
            return Ok(false);
        }
        let is_untouched = record.stat == Some(disk.stat) && disk.is_of(&record.kind);
        Ok(is_untouched || is_entry(&disk_path, &disk, &record.kind)?)
    }

    /// Staged changes stay staged over a checkout; those that the target leaves no room for are in the way.
    fn clashes(&mut self, staged: &BTreeMap<RepoPath, Staged>, changes: &Changes) {
        for path in staged
            .iter()
            .filter(|(_, staged)| staged.placed.is_some())
            .map(|(path, _)| path)
        {
            let comes = |path: &RepoPath| changes.get(path).is_some_and(Option::is_some);
            let below = changes.range(path.clone()..).skip_while(|(other, _)| *other == path);
            let mut below = below.take_while(|(other, _)| other.as_str().starts_with(path.as_str()));
            let has_below = below.any(|(other, after)| other.is_within(path) && after.is_some());
            if has_below || path.ancestors().any(|above| comes(&above)) {
                self.plan.conflicts.insert(path.clone());
            }
        }
    }
}

fn same(a: Option<&Placed>, b: Option<&Placed>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.entry.same_content(&b.entry),
        (None, None) => true,
        _ => false,
    }
}

/// What is at `path` below `folder`, following no link on the way.
pub(crate) fn standing(folder: &Path, path: &RepoPath) -> Result<Standing> {
    let mut above: Vec<RepoPath> = path.ancestors().collect();
    above.reverse();
    for part in above {
        let disk_path = folder.join(part.as_str());
        match DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))? {
            Some(DiskEntry {
                kind: DiskKind::Folder, ..
            }) => {}
            Some(_) => return Ok(Standing::Blocked(part)),
            None => return Ok(Standing::Nothing),
        }
    }
    let disk_path = folder.join(path.as_str());
    let disk = DiskEntry::at(&disk_path).map_err(Error::io("look at", &disk_path))?;
    Ok(disk.map_or(Standing::Nothing, Standing::Entry))
}

/// The known paths whose files differ from what the index says, as far as stats tell.
fn local_paths(folder: &Path, index: &Index) -> Result<Vec<RepoPath>> {
    let (found, paths) = std::sync::mpsc::channel();
    Scan::new(folder, index, |difference| match difference {
        Found::Changed { path, .. } | Found::Missing { path, .. } => found.send(path).is_ok(),
        _ => true,
    })
    .run(&[None])?;
    drop(found);
    Ok(paths.into_iter().collect())
}
