//! `table create`, `append`, `overwrite` and `upsert`: rows of a file into a table.

use std::{collections::BTreeMap, path::Path};

use drumlin_model::{CommitId, RepoPath};
use drumlin_tables::{
    AppendRows, ColumnType, CreateTable, FileFormat, FromFile, OverwriteTable, ReadOptions, Source, UpsertRows,
    WriteRequest, Written,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Named, Result};

/// A file of rows, and how it is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RowsFrom {
    /// A CSV, JSON lines or Parquet file; `PATH@REF` takes it from a version of the repository.
    pub from: String,
    /// What the file is. Without it, what its ending says.
    pub format: Option<FileFormat>,
    /// The types of columns, by name; the others are inferred from the whole file.
    pub types: BTreeMap<String, ColumnType>,
    /// CSV fields that mean "no value". When empty, an empty field and `NA` do.
    pub nulls: Vec<String>,
    /// The character between CSV fields, one byte long. Without it, a comma.
    pub delimiter: Option<char>,
    /// The CSV's first line holds values, not names.
    pub no_header: bool,
}

/// Makes a table of a file's rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableCreateRequest {
    pub table: String,
    #[serde(flatten)]
    pub rows: RowsFrom,
    /// The columns that name a row, for upserts and row diffs.
    #[serde(default)]
    pub key: Vec<String>,
    /// The commit's message. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// Adds a file's rows to a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableAppendRequest {
    pub table: String,
    #[serde(flatten)]
    pub rows: RowsFrom,
    /// Take over columns that the table lacks.
    #[serde(default)]
    pub evolve: bool,
    /// The commit's message. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// Replaces all rows of a table, and its columns, by those of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableOverwriteRequest {
    pub table: String,
    #[serde(flatten)]
    pub rows: RowsFrom,
    /// The commit's message. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// Replaces the rows with the same key, and adds the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableUpsertRequest {
    pub table: String,
    #[serde(flatten)]
    pub rows: RowsFrom,
    /// The columns that name a row. When empty, the table's key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Take over columns that the table lacks.
    #[serde(default)]
    pub evolve: bool,
    /// The commit's message. Without it, a sentence of what was done.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a write did to a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableWriteAnswer {
    #[schemars(with = "String")]
    pub table: RepoPath,
    /// The commit that was made; none when there was nothing to do.
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    /// The table's version after it.
    pub version: u64,
    pub rows_added: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
}

impl From<Written> for TableWriteAnswer {
    fn from(written: Written) -> Self {
        Self {
            table: written.table,
            commit: written.commit,
            version: written.version,
            rows_added: written.rows_added,
            rows_updated: written.rows_updated,
            rows_deleted: written.rows_deleted,
        }
    }
}

impl Desk {
    /// Makes a table of a file's rows.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_create(&self, request: TableCreateRequest) -> Result<TableWriteAnswer> {
        let (to, from) = (self.write_to(request.message)?, self.read_from(&request.rows)?);
        let asked = CreateTable {
            table: request.table,
            from,
            key: request.key,
        };
        let written = self.engine()?.table_create(&to, &asked, self.progress()).await?;
        self.table_written(written).await
    }

    /// Adds a file's rows to a table.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_append(&self, request: TableAppendRequest) -> Result<TableWriteAnswer> {
        let (to, from) = (self.write_to(request.message)?, self.read_from(&request.rows)?);
        let asked = AppendRows {
            table: request.table,
            from,
            evolve: request.evolve,
        };
        let written = self.engine()?.table_append(&to, &asked, self.progress()).await?;
        self.table_written(written).await
    }

    /// Replaces all rows of a table, and its columns, by those of a file.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_overwrite(&self, request: TableOverwriteRequest) -> Result<TableWriteAnswer> {
        let (to, from) = (self.write_to(request.message)?, self.read_from(&request.rows)?);
        let table = request.table;
        let asked = OverwriteTable { table, from };
        let written = self.engine()?.table_overwrite(&to, &asked, self.progress()).await?;
        self.table_written(written).await
    }

    /// Replaces the rows with the same key, and adds the others.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn table_upsert(&self, request: TableUpsertRequest) -> Result<TableWriteAnswer> {
        let (to, from) = (self.write_to(request.message)?, self.read_from(&request.rows)?);
        let asked = UpsertRows {
            table: request.table,
            from,
            key: request.key,
            evolve: request.evolve,
        };
        let written = self.engine()?.table_upsert(&to, &asked, self.progress()).await?;
        self.table_written(written).await
    }

    /// Where a write goes, and who asks for it.
    pub(super) fn write_to(&self, message: Option<String>) -> Result<WriteRequest> {
        Ok(WriteRequest {
            branch: self.branch()?,
            by: self.by(),
            message,
        })
    }

    /// Moves the working copy to the commit of a write.
    pub(super) async fn table_written(&self, written: Written) -> Result<TableWriteAnswer> {
        self.follow().await?;
        Ok(written.into())
    }

    /// A file on disk is what its name says, even when there is an `@` in it.
    fn read_from(&self, rows: &RowsFrom) -> Result<FromFile> {
        let read = read_options(rows)?;
        let file = self.file(Path::new(&rows.from));
        if !file.exists() && rows.from.contains('@') {
            let Named { name, at } = rows.from.parse()?;
            let at = at.expect("there is an @ in it");
            let path = RepoPath::new(name)?;
            let source = Source::Path { path, at };
            return Ok(FromFile { source, read });
        }
        let path = self.copy().ok().and_then(|copy| copy.to_repo_path(&file).ok());
        let source = Source::File {
            file,
            name: rows.from.clone(),
            path,
        };
        Ok(FromFile { source, read })
    }
}

fn read_options(rows: &RowsFrom) -> Result<ReadOptions> {
    let defaults = ReadOptions::default();
    let delimiter = rows.delimiter.map_or(Ok(defaults.delimiter), |character| {
        u8::try_from(character)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| Error::Invalid {
                what: format!("{character:?} cannot be the delimiter: it takes more than one byte"),
                cures: Vec::new(),
            })
    })?;
    Ok(ReadOptions {
        format: rows.format,
        types: rows.types.clone().into_iter().collect(),
        nulls: if rows.nulls.is_empty() {
            defaults.nulls
        } else {
            rows.nulls.clone()
        },
        delimiter,
        header: !rows.no_header,
    })
}
