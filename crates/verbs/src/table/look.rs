//! `table list`, `show` and `history`.

use std::collections::BTreeMap;

use drumlin_model::{CommitId, RefExpr, RepoPath};
use drumlin_tables::{TableChange, TableInfo, type_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Result};

/// Asks which tables there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TableListRequest {
    /// The version. Without it, the current branch.
    pub at: Option<RefExpr>,
}

/// A table, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableRow {
    pub name: String,
    #[schemars(with = "String")]
    pub path: RepoPath,
    pub rows: u64,
    /// Of the data files.
    pub bytes: u64,
    pub version: u64,
    /// The columns that name a row; empty when none do.
    pub key: Vec<String>,
}

/// Asks what a table holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableShowRequest {
    pub table: String,
    /// The version. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableShowAnswer {
    #[serde(flatten)]
    pub table: TableRow,
    /// Data files.
    pub files: u64,
    /// The commit that was read.
    #[schemars(with = "String")]
    pub commit: CommitId,
    pub columns: Vec<TableColumn>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableColumn {
    pub name: String,
    /// As people write it: `int64`, `list<string>`.
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

/// Asks which commits changed a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableHistoryRequest {
    pub table: String,
    /// The most commits. Without it, 20.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Where to start. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
}

/// A commit that changed a table.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TableHistoryRow {
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// RFC 3339.
    pub time: String,
    pub actor: String,
    /// The verb that made the commit.
    pub verb: String,
    pub message: String,
    /// The table's version after it; none when the table was gone then.
    pub version: Option<u64>,
    /// What the verb was told, and counted.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// Commits that a history has where nobody says how many: a screen.
const HISTORY_LIMIT_DEFAULT: usize = 20;

impl TableRow {
    fn of(table: TableInfo) -> Self {
        Self {
            name: table.name,
            path: table.path,
            rows: table.rows,
            bytes: table.bytes,
            version: table.version,
            key: table.key,
        }
    }
}

impl TableShowAnswer {
    fn of(table: TableInfo) -> Self {
        let columns = table.schema.fields().iter().map(|field| TableColumn {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            nullable: field.is_nullable(),
        });
        Self {
            columns: columns.collect(),
            files: table.files as u64,
            commit: table.commit,
            table: TableRow::of(table),
        }
    }
}

impl TableHistoryRow {
    fn of(change: TableChange) -> Self {
        Self {
            commit: change.commit,
            time: change.time.to_string(),
            actor: change.actor,
            verb: change.verb,
            message: change.message,
            version: change.version,
            parameters: change.parameters,
        }
    }
}

impl Desk {
    /// Lists the tables below `tables/`.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_list(&self, request: TableListRequest) -> Result<Vec<TableRow>> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let tables = self.engine()?.table_list(&snapshot).await?;
        Ok(tables.into_iter().map(TableRow::of).collect())
    }

    /// Shows what a table holds.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_show(&self, request: TableShowRequest) -> Result<TableShowAnswer> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let table = self.engine()?.table_show(&snapshot, &request.table).await?;
        Ok(TableShowAnswer::of(table))
    }

    /// Lists the commits that changed a table, newest first.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_history(&self, request: TableHistoryRequest) -> Result<Vec<TableHistoryRow>> {
        let snapshot = self.snapshot(request.at.as_ref()).await?;
        let limit = request.limit.unwrap_or(HISTORY_LIMIT_DEFAULT);
        let changes = self.engine()?.table_history(&snapshot, &request.table, limit).await?;
        Ok(changes.into_iter().map(TableHistoryRow::of).collect())
    }
}
