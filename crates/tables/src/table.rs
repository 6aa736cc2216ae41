//! Tables at a commit: their names, what they hold, their history, and their files for whoever reads Parquet itself.
//! `verb` and what it calls write; here is reading, and where a session finds the table to write to.
//! A table is any folder with a `_delta_log`.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use drumlin_asof::ParquetFile;
use drumlin_model::{
    CommitId, FileId, RepoPath, Timestamp,
    names::{DELTA_LOG, TABLES, did_you_mean, table_name},
};
use drumlin_objects::{SessionStore, SnapshotStore};
use drumlin_repo::{Session, Snapshot};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, path::Path};

use crate::{
    delta::{Delta, SESSION_SCOPE},
    engine::Engine,
    error::{Error, Result},
    log_cache::CachedLog,
};

/// Log entries are named by their version, in this many digits.
const VERSION_DIGITS: usize = 20;

/// A table at a commit, with its files: unpartitioned, no deletion vectors, columns under their own names.
#[derive(Clone, Debug)]
pub struct TableAt {
    pub name: String,
    pub path: RepoPath,
    pub schema: SchemaRef,
    /// The columns of the row key; none when the table has none.
    pub key: Vec<String>,
    pub version: u64,
    /// The commit that was read.
    pub commit: CommitId,
    /// In the order of writing.
    pub files: Vec<TableFile>,
    /// Where the files are; their paths are keys of it.
    pub store: Arc<dyn ObjectStore>,
}

/// A data file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// `written` is when its rows were first written: the rewrite of a file keeps it.
    pub file: ParquetFile,
    pub rows: Option<u64>,
    /// Its place among the files of the same time, as text that sorts.
    pub order: String,
}

/// What `table show` says.
#[derive(Clone, Debug)]
pub struct TableInfo {
    pub name: String,
    pub path: RepoPath,
    pub schema: SchemaRef,
    pub key: Vec<String>,
    pub rows: u64,
    /// Of the data files, in bytes.
    pub bytes: u64,
    pub files: usize,
    pub version: u64,
    pub commit: CommitId,
}

/// One commit that changed a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChange {
    pub commit: CommitId,
    pub time: Timestamp,
    pub actor: String,
    /// The verb that made the commit.
    pub verb: String,
    pub message: String,
    /// The table's version after it; none when the table was gone then.
    pub version: Option<u64>,
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// The path of a table that a person calls `name`: `flights` stands for `tables/flights`.
pub fn table_path(name: &str) -> Result<RepoPath> {
    let bad = |why| Error::TableName {
        name: name.to_owned(),
        why,
    };
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if name.is_empty() || !name.chars().all(known) {
        return Err(bad("only letters, digits, '_', '-', '.' and '/' are allowed"));
    }
    let path = if name.contains('/') {
        name.to_owned()
    } else {
        format!("{TABLES}/{name}")
    };
    RepoPath::new(path).map_err(|_| bad("it is not a path of a repository"))
}

/// The path of a table to make: one folder of the folder of tables, where lists and lineage look for it.
pub(crate) fn new_table_path(name: &str) -> Result<RepoPath> {
    let path = table_path(name)?;
    if path.parent().is_some_and(|folder| folder.as_str() == TABLES) {
        return Ok(path);
    }
    Err(Error::TableName {
        name: name.to_owned(),
        why: "a new table is one folder of tables/",
    })
}

impl Engine {
    /// A table's files at a commit.
    pub async fn table_at(&self, snapshot: &Snapshot, name: &str) -> Result<TableAt> {
        table_at(self.delta_at(snapshot, name).await?, snapshot.commit()).await
    }

    /// The session as a store, and the table at `path` in it when there is one.
    pub(crate) async fn table_in(
        &self,
        session: &Session,
        path: &RepoPath,
    ) -> Result<(Arc<dyn ObjectStore>, Option<Delta>)> {
        self.logs().fetch_ahead(&session.base(), path).await?;
        let store = SessionStore::new(session.clone());
        let store: Arc<dyn ObjectStore> = Arc::new(CachedLog::new(store, self.logs().clone()));
        let table = Delta::open(store.clone(), path, SESSION_SCOPE).await?;
        Ok((store, table))
    }

    /// The table that a person calls `name` at a commit.
    pub(crate) async fn delta_at(&self, snapshot: &Snapshot, name: &str) -> Result<Delta> {
        let path = table_path(name)?;
        self.logs().fetch_ahead(snapshot, &path).await?;
        let store = Arc::new(CachedLog::new(
            SnapshotStore::new(snapshot.clone()),
            self.logs().clone(),
        ));
        match Delta::open(store, &path, &snapshot.commit().to_string()).await? {
            Some(delta) => Ok(delta),
            None => Err(no_table(snapshot, name).await?),
        }
    }

    /// What a table holds at a commit.
    #[tracing::instrument(level = "debug", skip_all, fields(table = name, commit = %snapshot.commit()))]
    pub async fn table_show(&self, snapshot: &Snapshot, name: &str) -> Result<TableInfo> {
        let delta = self.delta_at(snapshot, name).await?;
        let rows = match delta.rows() {
            Some(rows) => rows,
            None => self.count_rows(&delta).await?,
        };
        Ok(TableInfo {
            name: table_name(&delta.path).to_owned(),
            schema: delta.schema(),
            key: delta.key(),
            rows,
            bytes: delta.files().map(|file| file.size().max(0) as u64).sum(),
            files: delta.files().count(),
            version: delta.version(),
            commit: snapshot.commit(),
            path: delta.path,
        })
    }

    /// The commits that changed a table, newest first: those whose newest log entry is that of none of their parents.
    #[tracing::instrument(level = "debug", skip_all, fields(table = name, commit = %snapshot.commit()))]
    pub async fn table_history(&self, snapshot: &Snapshot, name: &str, limit: usize) -> Result<Vec<TableChange>> {
        let path = table_path(name)?;
        if log_head(snapshot, &path).await?.is_none() {
            return Err(no_table(snapshot, name).await?);
        }
        let mut changes = Vec::new();
        let mut log = self.repo().log(snapshot.commit());
        while let Some((id, commit)) = log.try_next().await? {
            if changes.len() == limit {
                break;
            }
            let at = self.repo().snapshot_of(drumlin_model::RefTarget {
                commit: id,
                tree: commit.tree,
            });
            let head = log_head(&at, &path).await?;
            let mut changed = head.is_some() || !commit.parents.is_empty();
            for parent in &commit.parents {
                let parent = self.repo().snapshot_at(*parent).await?;
                changed &= parent.tree() != commit.tree && log_head(&parent, &path).await? != head;
            }
            if changed {
                let provenance = self.repo().provenance(&commit).await?;
                let provenance = provenance.stored().map(|stored| (**stored).clone()).unwrap_or_default();
                changes.push(TableChange {
                    commit: id,
                    time: commit.time,
                    actor: provenance.actor,
                    verb: provenance.verb,
                    message: provenance.message,
                    version: head.map(|(version, _)| version),
                    parameters: provenance.parameters,
                });
            }
        }
        Ok(changes)
    }

    /// What each table below `tables/` holds at a commit.
    #[tracing::instrument(level = "debug", skip_all, fields(commit = %snapshot.commit()))]
    pub async fn table_list(&self, snapshot: &Snapshot) -> Result<Vec<TableInfo>> {
        let mut found = Vec::new();
        for path in tables(snapshot).await? {
            found.push(self.table_show(snapshot, path.as_str()).await?);
        }
        Ok(found)
    }

    /// The paths of all tables below `tables/` at a commit. One that stands elsewhere is found by its path alone.
    pub async fn table_paths(&self, snapshot: &Snapshot) -> Result<Vec<RepoPath>> {
        tables(snapshot).await
    }
}

async fn table_at(delta: Delta, commit: CommitId) -> Result<TableAt> {
    delta.require_plain()?;
    let mut files = Vec::new();
    for file in delta.files() {
        let stamp = delta.stamp(&file).await?;
        files.push(TableFile {
            file: ParquetFile {
                path: Path::parse(format!("{}/{}", delta.path, file.path()))
                    .expect("the log names files by valid keys"),
                size: file.size().max(0) as u64,
                written: Some(stamp.written),
            },
            rows: file.num_records().map(|rows| rows as u64),
            order: stamp.order,
        });
    }
    fn place(file: &TableFile) -> (Option<Timestamp>, &str, &Path) {
        (file.file.written, &file.order, &file.file.path)
    }
    files.sort_by(|a, b| place(a).cmp(&place(b)));
    Ok(TableAt {
        name: table_name(&delta.path).to_owned(),
        schema: delta.schema(),
        key: delta.key(),
        version: delta.version(),
        commit,
        files,
        store: delta.store.clone(),
        path: delta.path,
    })
}

/// The error for a table that is not there, with what is.
pub(crate) async fn no_table(snapshot: &Snapshot, name: &str) -> Result<Error> {
    let known: Vec<String> = tables(snapshot)
        .await?
        .iter()
        .map(|path| table_name(path).to_owned())
        .collect();
    let similar = did_you_mean(name, known.iter().map(String::as_str)).map(str::to_owned);
    Ok(Error::NoTable {
        name: name.to_owned(),
        at: format!("commit {}", snapshot.commit().short()),
        similar,
        known,
    })
}

async fn tables(snapshot: &Snapshot) -> Result<Vec<RepoPath>> {
    let folder = RepoPath::new(TABLES).expect("a valid path");
    let mut found: Vec<RepoPath> = Vec::new();
    let mut entries = snapshot.list(Some(&folder), None);
    while let Some((path, _)) = entries.try_next().await? {
        if let Some(table) = table_of_log_entry(&path) {
            // Nothing of interest is among the table's data files, which may be many.
            entries = snapshot.list(Some(&folder), Some(&format!("{table}/{}", char::MAX)));
            found.push(table);
        }
    }
    Ok(found)
}

fn table_of_log_entry(path: &RepoPath) -> Option<RepoPath> {
    let log = path.parent().filter(|folder| folder.name() == DELTA_LOG)?;
    version_of(path.name())?;
    log.parent()
}

/// The version that a log entry with this name holds.
fn version_of(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".json")
        .filter(|digits| digits.len() == VERSION_DIGITS)?;
    digits.parse().ok()
}

/// The newest log entry: two commits with the same one have the same table.
async fn log_head(snapshot: &Snapshot, table: &RepoPath) -> Result<Option<(u64, FileId)>> {
    let folder = table.join(DELTA_LOG).map_err(|_| Error::TableName {
        name: table.to_string(),
        why: "its path is too long",
    })?;
    let entries = snapshot.list(Some(&folder), None);
    let head = entries.try_filter_map(|(path, placed)| async move {
        let version = version_of(path.name());
        Ok(version.zip(placed.entry.as_file().map(|file| file.id)))
    });
    let heads: Vec<_> = head.collect::<Vec<_>>().await;
    heads.into_iter().next_back().transpose().map_err(Error::from)
}
