//! `diff`: which files, which rows of which tables and which definitions differ between two states.

use std::collections::BTreeSet;

use drumlin_features::{Registry, apply};
use drumlin_model::{CommitId, EntryKind, Placed, RefExpr, RepoPath};
use drumlin_repo::{PathDiff, Snapshot};
use drumlin_tables::{Engine, RowDiff};
use drumlin_worktree::{Changed, Side};
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result, files::Change};

/// Asks how two states differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiffRequest {
    /// None: the working files against what is staged or committed. One: that version against the current branch.
    /// Two: the first against the second.
    pub refs: Vec<RefExpr>,
    /// What is staged against the checked-out commit; without refs only.
    pub staged: bool,
    /// Only what stands at or below this path.
    pub path: Option<RepoPath>,
    /// Name files of tables too, and do not compare rows.
    pub files_only: bool,
}

/// How two states differ.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct DiffAnswer {
    /// The versions that were compared; none for the working files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub to: Option<CommitId>,
    pub files: Vec<FileDiff>,
    pub tables: Vec<TableDiff>,
    pub definitions: Vec<DefinitionChange>,
    /// What could not be compared, in sentences.
    pub notes: Vec<String>,
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileDiff {
    #[schemars(with = "String")]
    pub path: RepoPath,
    pub change: Change,
    pub size_before: Option<u64>,
    pub size_after: Option<u64>,
}

/// A table whose rows or columns differ.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TableDiff {
    #[schemars(with = "String")]
    pub table: RepoPath,
    /// The row key that rows were matched by; empty when whole rows were compared.
    pub key: Vec<String>,
    pub rows_before: u64,
    pub rows_after: u64,
    pub added: u64,
    pub removed: u64,
    /// Rows with the same key and other values; none without a key, where such a row counts as removed and added.
    pub changed: Option<u64>,
    pub schema_changes: Vec<String>,
    /// A few changed rows, as text.
    pub sample: Vec<String>,
}

/// A definition that differs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DefinitionChange {
    /// `entity`, `feature view` or `feature service`.
    pub kind: String,
    pub name: String,
    #[schemars(with = "String")]
    pub file: RepoPath,
    pub what: DefinitionWhat,
    /// Whether values may differ; not so for descriptions, owners and tags.
    pub meaning: bool,
}

/// What became of a definition.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionWhat {
    Added,
    Changed { fields: Vec<FieldChange> },
    Removed,
}

/// One field of a definition, before and after; none where it is not given.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FieldChange {
    /// Its path: `max_age`, `features.temp.type`.
    pub field: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

impl FileDiff {
    pub(crate) fn of(diff: &PathDiff) -> Self {
        let change = match (&diff.before, &diff.after) {
            (None, _) => Change::Added,
            (_, None) => Change::Deleted,
            _ => Change::Modified,
        };
        let size = |placed: &Option<Placed>| placed.as_ref().map(|placed| placed.entry.size());
        Self {
            path: diff.path.clone(),
            change,
            size_before: size(&diff.before),
            size_after: size(&diff.after),
        }
    }

    fn of_working(changed: Changed) -> Self {
        let size = |kind: &Option<EntryKind>| match kind {
            Some(EntryKind::File(file)) => Some(file.size),
            _ => None,
        };
        Self {
            change: changed.kind.into(),
            size_before: size(&changed.before),
            size_after: size(&changed.after),
            path: changed.path,
        }
    }
}

impl TableDiff {
    fn of(diff: RowDiff) -> Self {
        Self {
            table: diff.path,
            key: diff.key,
            rows_before: diff.rows_before,
            rows_after: diff.rows_after,
            added: diff.added,
            removed: diff.removed,
            changed: diff.changed,
            schema_changes: diff.schema_changes,
            sample: diff.sample,
        }
    }
}

impl FieldChange {
    pub(crate) fn of(change: apply::FieldChange) -> Self {
        Self {
            field: change.field,
            before: change.before,
            after: change.after,
        }
    }
}

impl DefinitionChange {
    /// A change as `apply` plans it.
    pub fn of(change: apply::Change) -> Self {
        Self {
            kind: change.kind.as_str().to_owned(),
            name: change.name,
            file: change.file,
            what: match change.what {
                apply::What::Added => DefinitionWhat::Added,
                apply::What::Removed => DefinitionWhat::Removed,
                apply::What::Changed { fields } => DefinitionWhat::Changed {
                    fields: fields.into_iter().map(FieldChange::of).collect(),
                },
            },
            meaning: change.meaning,
        }
    }
}

impl Desk {
    /// Compares two versions, or the working files with what is staged or committed.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn diff(&self, request: DiffRequest) -> Result<DiffAnswer> {
        match request.refs.as_slice() {
            [] => self.diff_working(&request).await,
            [from] => {
                let (from, to) = (self.repo.snapshot(from).await?, self.snapshot(None).await?);
                self.diff_versions(&request, from, to).await
            }
            [from, to] => {
                let (from, to) = (self.repo.snapshot(from).await?, self.repo.snapshot(to).await?);
                self.diff_versions(&request, from, to).await
            }
            more => Err(Error::Invalid {
                what: format!("{} versions were named, and two can be compared", more.len()),
                cures: Vec::new(),
            }),
        }
    }

    async fn diff_working(&self, request: &DiffRequest) -> Result<DiffAnswer> {
        let copy = self.copy()?;
        let side = if request.staged { Side::Staged } else { Side::Unstaged };
        let scope = request.path.as_ref();
        let changed = copy.diff(&[copy.folder().to_path_buf()], side).await?;
        let files = changed
            .into_iter()
            .filter(|changed| scope.is_none_or(|scope| changed.path.is_within(scope)))
            .map(FileDiff::of_working)
            .collect();
        Ok(DiffAnswer {
            files,
            ..DiffAnswer::default()
        })
    }

    async fn diff_versions(&self, request: &DiffRequest, from: Snapshot, to: Snapshot) -> Result<DiffAnswer> {
        let engine = self.engine()?;
        let meets = |path: &RepoPath| {
            let scope = request.path.as_ref();
            scope.is_none_or(|scope| path.is_within(scope) || scope.is_within(path))
        };
        let mut differing = self.repo.diff(from.tree(), to.tree()).await?;
        let roots = if request.files_only {
            BTreeSet::new()
        } else {
            table_roots(&engine, &from, &to).await?
        };
        let (mut files, mut changed) = (Vec::new(), BTreeSet::new());
        while let Some(diff) = differing.try_next().await? {
            if !meets(&diff.path) {
                continue;
            }
            match roots.iter().find(|root| diff.path.is_within(root)) {
                Some(root) => _ = changed.insert(root),
                None => files.push(FileDiff::of(&diff)),
            }
        }
        let mut tables = Vec::new();
        for table in changed {
            tables.push(TableDiff::of(
                engine.table_diff(&from, &to, table, self.progress()).await?,
            ));
        }
        let (definitions, notes) = definitions(&from, &to).await?;
        Ok(DiffAnswer {
            from: Some(from.commit()),
            to: Some(to.commit()),
            files,
            tables,
            definitions: definitions.into_iter().filter(|change| meets(&change.file)).collect(),
            notes,
        })
    }
}

/// The tables of either version.
async fn table_roots(engine: &Engine, from: &Snapshot, to: &Snapshot) -> Result<BTreeSet<RepoPath>> {
    let mut roots: BTreeSet<RepoPath> = engine.table_paths(from).await?.into_iter().collect();
    roots.extend(engine.table_paths(to).await?);
    Ok(roots)
}

/// How the definitions differ. Those that somebody broke by hand are not compared, and a note says so; damage is an error.
async fn definitions(from: &Snapshot, to: &Snapshot) -> Result<(Vec<DefinitionChange>, Vec<String>)> {
    let mut notes = Vec::new();
    let mut read = Vec::new();
    for snapshot in [from, to] {
        match Registry::load(snapshot).await {
            Ok(registry) => read.push(registry),
            Err(error @ drumlin_features::Error::Definitions { .. }) => {
                let commit = snapshot.commit().short();
                notes.push(format!("the definitions at {commit} are not compared: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let changes = match read.as_slice() {
        [before, after] => apply::compare(before, after).0,
        _ => Vec::new(),
    };
    Ok((changes.into_iter().map(DefinitionChange::of).collect(), notes))
}
