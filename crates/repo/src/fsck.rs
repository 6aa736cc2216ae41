//! `fsck`: whether everything that a repository promises is there and is what it was.
//! Packs, blobs and indexes first, byte for byte; then from every ref through commits and trees to each file's content.
//! Invariant: reads the store and not the caches of commits and trees; damage is reported and the check goes on, and
//! only a store that does not answer ends it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use drumlin_chunks::{Progress, Unit};
use drumlin_model::{
    Commit, CommitId, EntryKind, ErrorKind, File, FileId, Location, Operation, Placed, ProvenanceId, RangeId, RefKind,
    Refs, RepoPath, Root, TreeId,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    commits::{ProvenanceRead, provenance_key},
    error::{Error, Result},
    repo::Repo,
    root::Loaded,
    walk::{self, expect_generation},
};

/// Files up to this length, in bytes, are one chunk, and are read many at a time.
const SMALL_LEN_MAX: u64 = drumlin_chunks::CHUNK_LEN_MAX as u64;
/// How many small files one batch reads: at most 128 MiB of them.
const BATCH_FILES_MAX: usize = 1024;
/// How many packs, blobs or large files are read at once.
const READS_AT_ONCE: usize = 4;

/// What a check looked at, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub refs: u64,
    pub commits: u64,
    pub trees: u64,
    /// Different contents of files.
    pub files: u64,
    /// The bytes of those.
    pub bytes: u64,
    pub packs: u64,
    pub blobs: u64,
    pub problems: Vec<Problem>,
}

/// Something wrong, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key of the object, or the name of the ref.
    pub object: String,
    /// A file that cannot be read because of it, and a commit that has that file.
    pub path: Option<RepoPath>,
    pub commit: Option<CommitId>,
    pub detail: String,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(path) = &self.path {
            write!(f, ", path {path:?}")?;
        }
        if let Some(commit) = &self.commit {
            write!(f, ", commit {}", commit.short())?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl Repo {
    /// Checks the whole repository. An error means that the check could not be made, not that it found something.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fsck(&self, progress: &dyn Progress) -> Result<Report> {
        let mut check = Check {
            repo: self,
            progress,
            report: Report::default(),
            good_blobs: HashSet::new(),
        };
        check.packs().await?;
        check.blobs().await?;
        let Some(loaded) = check.root().await? else {
            return Ok(check.report);
        };
        check.operations(&loaded.root).await?;
        check.names(&loaded.root.refs);
        let commits = check.commits(&loaded.root.refs).await?;
        check.trees(&commits).await?;
        Ok(check.report)
    }
}

struct Check<'a> {
    repo: &'a Repo,
    progress: &'a dyn Progress,
    report: Report,
    good_blobs: HashSet<FileId>,
}

/// A file's content, and one place where it is named.
struct Named {
    file: File,
    at: Location,
    path: RepoPath,
    commit: CommitId,
}

impl Check<'_> {
    async fn packs(&mut self) -> Result<()> {
        let chunks = self.repo.chunk_store();
        let packs = chunks.list_packs().await?;
        self.progress
            .start("check packs", Some(packs.len() as u64), Unit::Items);
        let checked = stream::iter(packs)
            .map(|pack| chunks.check_pack(pack))
            .buffer_unordered(READS_AT_ONCE);
        let found: Vec<_> = checked.inspect(|_| self.progress.advance(1)).try_collect().await?;
        self.report.packs = found.len() as u64;
        self.report.problems.extend(found.into_iter().flatten().map(of_chunks));
        self.report
            .problems
            .extend(chunks.check_index().await?.into_iter().map(of_chunks));
        self.progress.finish();
        Ok(())
    }

    async fn blobs(&mut self) -> Result<()> {
        let chunks = self.repo.chunk_store();
        let blobs = chunks.list_blobs().await?;
        self.progress
            .start("check blobs", Some(blobs.len() as u64), Unit::Items);
        let check = |id| async move { Ok::<_, Error>((id, chunks.check_blob(id).await?)) };
        let mut checked = stream::iter(blobs).map(check).buffer_unordered(READS_AT_ONCE);
        while let Some((id, problems)) = checked.try_next().await? {
            self.report.blobs += 1;
            if problems.is_empty() {
                self.good_blobs.insert(id);
            }
            self.report.problems.extend(problems.into_iter().map(of_chunks));
            self.progress.advance(1);
        }
        self.progress.finish();
        Ok(())
    }

    /// The root, unless it is damaged.
    async fn root(&mut self) -> Result<Option<Arc<Loaded>>> {
        let loaded = self.repo.root().load().await;
        self.found(loaded, "root", None)
    }

    /// All operations, in the root and in pages, and the changes that stand outside them.
    async fn operations(&mut self, root: &Root) -> Result<()> {
        self.changes(&root.operations).await?;
        let mut next = root.older_operations;
        while let Some(id) = next {
            let page = self.repo.root().page(id).await;
            let page = self.found(page, &format!("operations/{id}"), None)?;
            if let Some(page) = &page {
                self.changes(&page.operations).await?;
            }
            next = page.and_then(|page| page.older);
        }
        Ok(())
    }

    async fn changes(&mut self, operations: &[Operation]) -> Result<()> {
        for operation in operations {
            if let Some(id) = operation.changes_in {
                let changes = self.repo.root().changes(operation).await;
                self.found(changes, &format!("changes/{id}"), None)?;
            }
        }
        Ok(())
    }

    /// A name that a branch and a tag have means two commits.
    fn names(&mut self, refs: &Refs) {
        for name in refs.tags.keys().filter(|name| refs.branches.contains_key(*name)) {
            self.report.problems.push(Problem {
                object: format!("tag {name}"),
                path: None,
                commit: None,
                detail: "a branch has the same name".to_owned(),
            });
        }
    }

    /// Every commit that a ref leads to, with its tree.
    async fn commits(&mut self, refs: &Refs) -> Result<BTreeMap<CommitId, TreeId>> {
        let mut commits = BTreeMap::new();
        let mut met = HashSet::new();
        let mut queue = Vec::new();
        self.progress.start("check commits", None, Unit::Items);
        for kind in RefKind::ALL {
            self.report.refs += refs.of(kind).len() as u64;
            queue.extend(refs.of(kind).values().map(|target| target.commit));
        }
        while let Some(id) = queue.pop() {
            if !met.insert(id) {
                continue;
            }
            let commit = self.repo.commits().read_stored(id).await;
            if let Some(commit) = self.found(commit, &format!("commits/{id}"), Some(id))? {
                queue.extend(&commit.parents);
                commits.insert(id, commit);
            }
            self.report.commits += 1;
            self.progress.advance(1);
        }
        self.generations(&commits)?;
        self.provenance(&commits).await?;
        self.progress.finish();
        self.targets(refs, &commits);
        let trees = commits.into_iter().map(|(id, commit)| (id, commit.tree)).collect();
        Ok(trees)
    }

    /// Whether each commit has one generation more than the greatest of its parents.
    fn generations(&mut self, commits: &BTreeMap<CommitId, Arc<Commit>>) -> Result<()> {
        for (&id, commit) in commits {
            let parents = commit.parents.iter().map(|parent| commits.get(parent));
            // What a parent that cannot be read would say is not known; that it cannot is a problem of its own.
            let Some(parents) = parents.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let greatest = parents.iter().map(|parent| parent.generation).max().unwrap_or(0);
            let right = expect_generation(id, commit, greatest + 1);
            self.found(right, &format!("commits/{id}"), Some(id))?;
        }
        Ok(())
    }

    /// The provenance of each commit.
    async fn provenance(&mut self, commits: &BTreeMap<CommitId, Arc<Commit>>) -> Result<()> {
        let store = self.repo.commits();
        let read = |(id, commit): (CommitId, ProvenanceId)| async move {
            (id, commit, store.read_stored_provenance(commit).await)
        };
        let named: Vec<_> = commits.iter().map(|(&id, commit)| (id, commit.provenance)).collect();
        let mut reads = stream::iter(named).map(read).buffered(walk::READS_AT_ONCE);
        while let Some((commit, id, read)) = reads.next().await {
            let key = provenance_key(id);
            let read = read.and_then(|read| match read {
                ProvenanceRead::Stored(_) => Ok(()),
                ProvenanceRead::Gone => Err(Error::MissingObject { key: key.clone() }),
            });
            self.found(read, &key, Some(commit))?;
        }
        Ok(())
    }

    /// Whether each ref says the tree and the generation that its commit has.
    fn targets(&mut self, refs: &Refs, commits: &BTreeMap<CommitId, Arc<Commit>>) {
        for kind in RefKind::ALL {
            for (name, at) in refs.of(kind) {
                let Some(truth) = commits.get(&at.commit) else { continue };
                let wrong = if truth.tree != at.tree {
                    "tree"
                } else if at.generation.is_some_and(|generation| generation != truth.generation) {
                    "generation"
                } else {
                    continue;
                };
                self.report.problems.push(Problem {
                    object: format!("{} {name}", kind.as_str()),
                    path: None,
                    commit: Some(at.commit),
                    detail: format!("it names another {wrong} than its commit"),
                });
            }
        }
    }

    /// Every tree of the commits, and the content of every file in them, once.
    async fn trees(&mut self, commits: &BTreeMap<CommitId, TreeId>) -> Result<()> {
        let by_tree: HashMap<TreeId, CommitId> = commits.iter().map(|(commit, tree)| (*tree, *commit)).collect();
        let mut ranges: HashSet<RangeId> = HashSet::new();
        let mut met: HashSet<FileId> = HashSet::new();
        self.progress.start("check files", None, Unit::Bytes);
        for (tree, commit) in by_tree {
            let mut named = Vec::new();
            let mut visit = |path: &RepoPath, placed: &Placed| {
                if let EntryKind::File(file) = &placed.entry.kind
                    && met.insert(file.id)
                {
                    named.push(Named {
                        file: file.clone(),
                        at: placed.at,
                        path: path.clone(),
                        commit,
                    });
                }
            };
            for problem in self.repo.trees().check(tree, &mut ranges, &mut visit).await? {
                let (object, detail) = (problem.object, problem.detail);
                self.report.problems.push(Problem {
                    object,
                    path: None,
                    commit: Some(commit),
                    detail,
                });
            }
            self.report.trees += 1;
            self.files(named).await?;
        }
        self.progress.finish();
        Ok(())
    }

    async fn files(&mut self, mut named: Vec<Named>) -> Result<()> {
        self.report.files += named.len() as u64;
        self.report.bytes = self.report.bytes.saturating_add(total_size(&named));
        named.retain(|named| named.at != Location::Blob || !self.good_blobs.contains(&named.file.id));
        let (small, large): (Vec<_>, Vec<_>) = named.into_iter().partition(|named| named.file.size <= SMALL_LEN_MAX);
        for batch in small.chunks(BATCH_FILES_MAX) {
            if !self.reads_all(batch).await {
                self.read_each(batch).await?;
            }
            self.progress.advance(total_size(batch));
        }
        for batch in large.chunks(BATCH_FILES_MAX) {
            self.read_each(batch).await?;
        }
        Ok(())
    }

    /// Whether a whole batch can be read; which file cannot is found out one by one.
    async fn reads_all(&self, batch: &[Named]) -> bool {
        let files = batch.iter().map(|named| (named.file.clone(), named.at)).collect();
        let read = self.repo.chunk_store().read_many(files);
        read.try_fold(0, |count, _| async move { Ok(count + 1) })
            .await
            .is_ok_and(|count| count == batch.len())
    }

    async fn read_each(&mut self, batch: &[Named]) -> Result<()> {
        let chunks = self.repo.chunk_store();
        let progress = self.progress;
        let read = |named| async move { (named, read_whole(chunks, named, progress).await) };
        let mut reads = stream::iter(batch).map(read).buffered(READS_AT_ONCE);
        while let Some((named, outcome)) = reads.next().await {
            let Err(error) = outcome else { continue };
            if !is_damage(&error) {
                return Err(error);
            }
            let (path, commit) = (Some(named.path.clone()), Some(named.commit));
            let object = format!("file {}", named.file.id);
            self.report.problems.push(Problem {
                object,
                path,
                commit,
                detail: described(&error),
            });
        }
        Ok(())
    }

    /// What was read, or a problem when it is missing or damaged.
    fn found<T>(&mut self, read: Result<T>, object: &str, commit: Option<CommitId>) -> Result<Option<T>> {
        match read {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_damage(&error) => {
                let detail = described(&error);
                self.report.problems.push(Problem {
                    object: object.to_owned(),
                    path: None,
                    commit,
                    detail,
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

async fn read_whole(chunks: &drumlin_chunks::ChunkStore, named: &Named, progress: &dyn Progress) -> Result<()> {
    let mut pieces = chunks.stream(&named.file, &named.at);
    while let Some(piece) = pieces.try_next().await? {
        if named.file.size > SMALL_LEN_MAX {
            progress.advance(piece.len() as u64);
        }
    }
    Ok(())
}

/// What a ref or a tree names has to be there, so that it is missing is damage as well. No repository at all is none.
fn is_damage(error: &Error) -> bool {
    let missing = error.kind() == ErrorKind::NotFound && !matches!(error, Error::NoRepository);
    error.kind() == ErrorKind::Corrupt || missing
}

fn of_chunks(problem: drumlin_chunks::Problem) -> Problem {
    Problem {
        object: problem.object,
        path: None,
        commit: None,
        detail: problem.detail,
    }
}

/// An error and its causes in one line.
fn described(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// A tree of a stranger may say anything.
fn total_size(files: &[Named]) -> u64 {
    let sizes = files.iter().map(|named| named.file.size);
    sizes.fold(0, u64::saturating_add)
}
