//! `log` and `show`: the commits of a branch, and what stands in one.

use bytes::Bytes;
use drumlin_model::{CommitId, Cure, EntryKind, FileId, RefExpr, RepoPath, Verb};
use drumlin_repo::{Recorded, Snapshot};
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommitView, Desk, Error, Named, Result, diff::FileDiff};

/// Asks for the history of a branch, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRequest {
    /// Where to start. Without it, the current branch.
    pub at: Option<RefExpr>,
    /// The most commits to give.
    pub limit: usize,
    /// Only commits whose outputs touch this path.
    pub path: Option<RepoPath>,
}

/// Commits that `log` gives where nobody asks for more: a screen of them.
pub const LOG_LIMIT_DEFAULT: usize = 20;

impl Default for LogRequest {
    fn default() -> Self {
        Self {
            at: None,
            limit: LOG_LIMIT_DEFAULT,
            path: None,
        }
    }
}

/// Asks for a commit, or for what stands at a path of one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShowRequest {
    /// `REF` for a commit, `PATH@REF` for what stands at a path. Without it, the current branch.
    pub what: Option<String>,
}

/// A commit, or what stands at a path of one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ShowAnswer {
    Commit(Box<CommitPage>),
    Entry(EntryView),
    Folder(FolderView),
}

/// A commit, and what it changed beside its first parent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CommitPage {
    #[serde(flatten)]
    pub commit: CommitView,
    pub changes: Vec<FileDiff>,
    /// Whether there are more changes than these.
    pub more_changes: bool,
}

/// What stands at a path.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EntryView {
    #[schemars(with = "String")]
    pub path: RepoPath,
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// `file`, `executable file`, `symlink`, `empty folder` or `external file`.
    pub kind: String,
    pub size: u64,
    /// The hash of a file's content.
    #[schemars(with = "Option<String>")]
    pub id: Option<FileId>,
    /// RFC 3339.
    pub modified: String,
}

/// What stands below a folder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FolderView {
    #[schemars(with = "String")]
    pub path: RepoPath,
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Always `folder`.
    pub kind: String,
    pub entries: Vec<FolderRow>,
    /// Whether there are more than these.
    pub more_entries: bool,
}

/// One path below a folder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FolderRow {
    #[schemars(with = "String")]
    pub path: RepoPath,
    pub kind: String,
    pub size: u64,
}

/// The most changed paths of a commit, and the most paths of a folder, that one page lists.
const LISTED_MAX: usize = 50;

impl Desk {
    /// Lists the commits of a branch, newest first.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn log(&self, request: LogRequest) -> Result<Vec<CommitView>> {
        let start = self.snapshot(request.at.as_ref()).await?.commit();
        let log = self.repo.log(start);
        let found: Vec<Recorded> = match &request.path {
            None => self.repo.recorded_all(log.take(request.limit)).try_collect().await?,
            Some(path) => {
                let all = self.repo.recorded_all(log);
                let touching = all.try_filter(|commit| future::ready(touches(commit, path)));
                touching.take(request.limit).try_collect().await?
            }
        };
        Ok(found.iter().map(CommitView::of).collect())
    }

    /// Shows a commit, or what stands at a path of one.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn show(&self, request: ShowRequest) -> Result<ShowAnswer> {
        let what = request.what.as_deref();
        match what.filter(|what| what.contains('@')) {
            Some(what) => self.show_path(what).await,
            None => {
                let at = what.map(str::parse).transpose()?;
                Ok(ShowAnswer::Commit(Box::new(self.show_commit(at.as_ref()).await?)))
            }
        }
    }

    /// The bytes of a file, `PATH@REF`, as they come.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn show_bytes(&self, request: ShowRequest) -> Result<BoxStream<'static, Result<Bytes>>> {
        let what = request.what.as_deref().unwrap_or_default();
        let (path, snapshot) = self.path_at(what).await?;
        Ok(snapshot.stream(&path).map_err(Error::from).boxed())
    }

    async fn show_commit(&self, at: Option<&RefExpr>) -> Result<CommitPage> {
        let snapshot = self.snapshot(at).await?;
        let recorded = self.repo.recorded(snapshot.commit()).await?;
        let commit = &recorded.commit;
        let mut changes = Vec::new();
        if let Some(parent) = commit.parents.first() {
            let before = self.repo.commit(*parent).await?.tree;
            let diff = self.repo.diff(before, commit.tree).await?;
            changes = diff
                .take(LISTED_MAX + 1)
                .map_ok(|change| FileDiff::of(&change))
                .try_collect()
                .await?;
        }
        let more_changes = changes.len() > LISTED_MAX;
        changes.truncate(LISTED_MAX);
        Ok(CommitPage {
            commit: CommitView::of(&recorded),
            changes,
            more_changes,
        })
    }

    async fn show_path(&self, what: &str) -> Result<ShowAnswer> {
        let (path, snapshot) = self.path_at(what).await?;
        let Some(placed) = snapshot.entry(&path).await? else {
            return Ok(ShowAnswer::Folder(folder(&snapshot, path).await?));
        };
        let entry = placed.entry;
        Ok(ShowAnswer::Entry(EntryView {
            path,
            commit: snapshot.commit(),
            kind: kind(&entry.kind).to_owned(),
            size: entry.size(),
            id: entry.as_file().map(|file| file.id),
            modified: entry.modified.to_string(),
        }))
    }

    /// The path and the version that `PATH@REF` means.
    async fn path_at(&self, what: &str) -> Result<(RepoPath, Snapshot)> {
        let named: Named = what.parse()?;
        let Some(at) = &named.at else {
            return Err(Error::Invalid {
                what: format!("{what:?} names no version: write PATH@REF"),
                cures: vec![Cure::run(Verb::Show).with("what", "PATH@main")],
            });
        };
        let path = RepoPath::new(named.name.trim_end_matches('/'))?;
        Ok((path, self.repo.snapshot(at).await?))
    }
}

/// What stands below a folder; an error when nothing does.
async fn folder(snapshot: &Snapshot, path: RepoPath) -> Result<FolderView> {
    let listed: Vec<_> = snapshot
        .list(Some(&path), None)
        .take(LISTED_MAX + 1)
        .try_collect()
        .await?;
    let commit = snapshot.commit();
    if listed.is_empty() {
        return Err(Error::NothingAt { path, commit });
    }
    let more_entries = listed.len() > LISTED_MAX;
    let row = |(path, placed): (RepoPath, drumlin_model::Placed)| FolderRow {
        path,
        kind: kind(&placed.entry.kind).to_owned(),
        size: placed.entry.size(),
    };
    Ok(FolderView {
        path,
        commit,
        kind: "folder".to_owned(),
        entries: listed.into_iter().take(LISTED_MAX).map(row).collect(),
        more_entries,
    })
}

fn touches(recorded: &Recorded, path: &RepoPath) -> bool {
    let provenance = recorded.provenance.stored();
    let mut outputs = provenance.iter().flat_map(|stored| &stored.outputs);
    outputs.any(|output| output.is_within(path) || path.is_within(output))
}

fn kind(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File(file) if file.executable => "executable file",
        EntryKind::File(_) => "file",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Folder => "empty folder",
        EntryKind::External(_) => "external file",
    }
}
