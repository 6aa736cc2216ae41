//! The verbs of tables: each is one session, one Delta operation and one commit with its provenance.
//! `write`, `upsert` and `delete` do the operation; here are the sources, the retries and what is recorded.
//! Invariant: a verb that loses a race is done again from the new head, whole, so its result is as if it had come later.
//! A verb whose future is dropped has changed nothing: its session was not committed.

use std::collections::BTreeMap;

use drumlin_chunks::Progress;
use drumlin_model::{
    CommitId, Input, RepoPath,
    names::{Verb, table_name},
};
use drumlin_repo::{CommitInfo, Session};
use serde_json::{Value, json};

use crate::{
    delta::Delta,
    engine::Engine,
    error::{Error, Result},
    options::{AppendRows, CreateTable, DeleteRows, OverwriteTable, UpsertRows, WriteRequest},
    read::Incoming,
    rewrite::Rewrite,
    table::{new_table_path, no_table, table_path},
    write::TableWrite,
};

/// How often a write is tried when others keep coming first. Each try that fails means that another's succeeded.
const ATTEMPTS_MAX: u32 = 200;

/// What a verb did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub table: RepoPath,
    /// None when there was nothing to do, and nothing was committed.
    pub commit: Option<CommitId>,
    /// The table's version after it.
    pub version: u64,
    pub rows_added: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
}

/// A verb with its arguments.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Create(&'a CreateTable),
    Append(&'a AppendRows),
    Overwrite(&'a OverwriteTable),
    Upsert(&'a UpsertRows),
    Delete(&'a DeleteRows),
}

impl Ask<'_> {
    fn verb(self) -> Verb {
        match self {
            Ask::Create(_) => Verb::TableCreate,
            Ask::Append(_) => Verb::TableAppend,
            Ask::Overwrite(_) => Verb::TableOverwrite,
            Ask::Upsert(_) => Verb::TableUpsert,
            Ask::Delete(_) => Verb::TableDelete,
        }
    }

    fn path(self) -> Result<RepoPath> {
        match self {
            Ask::Create(asked) => new_table_path(&asked.table),
            Ask::Append(asked) => table_path(&asked.table),
            Ask::Overwrite(asked) => table_path(&asked.table),
            Ask::Upsert(asked) => table_path(&asked.table),
            Ask::Delete(asked) => table_path(&asked.table),
        }
    }
}

/// One try of a verb: what it did to the session, and what is to be recorded.
struct Outcome {
    written: Written,
    changed: bool,
    inputs: Vec<Input>,
    parameters: BTreeMap<String, Value>,
    sentence: String,
}

impl Engine {
    /// Makes a table of a file's rows.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %to.branch, table = request.table))]
    pub async fn table_create(
        &self,
        to: &WriteRequest,
        request: &CreateTable,
        progress: &dyn Progress,
    ) -> Result<Written> {
        self.run(to, Ask::Create(request), progress).await
    }

    /// Adds a file's rows.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %to.branch, table = request.table))]
    pub async fn table_append(
        &self,
        to: &WriteRequest,
        request: &AppendRows,
        progress: &dyn Progress,
    ) -> Result<Written> {
        self.run(to, Ask::Append(request), progress).await
    }

    /// Replaces all rows and the schema by those of a file.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %to.branch, table = request.table))]
    pub async fn table_overwrite(
        &self,
        to: &WriteRequest,
        request: &OverwriteTable,
        progress: &dyn Progress,
    ) -> Result<Written> {
        self.run(to, Ask::Overwrite(request), progress).await
    }

    /// Replaces the rows whose key is in the file, and adds the others of the file.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %to.branch, table = request.table))]
    pub async fn table_upsert(
        &self,
        to: &WriteRequest,
        request: &UpsertRows,
        progress: &dyn Progress,
    ) -> Result<Written> {
        self.run(to, Ask::Upsert(request), progress).await
    }

    /// Deletes the rows for which a condition is true.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %to.branch, table = request.table))]
    pub async fn table_delete(
        &self,
        to: &WriteRequest,
        request: &DeleteRows,
        progress: &dyn Progress,
    ) -> Result<Written> {
        self.run(to, Ask::Delete(request), progress).await
    }

    async fn run(&self, to: &WriteRequest, asked: Ask<'_>, progress: &dyn Progress) -> Result<Written> {
        let path = asked.path()?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let session = self.repo().session(&to.branch).await?;
            let mut outcome = self.try_once(&session, &path, asked, progress).await?;
            if !outcome.changed {
                return Ok(outcome.written);
            }
            let info = commit_info(to, asked.verb(), &mut outcome);
            match session.commit(info).await.map_err(Error::from) {
                Ok(commit) => {
                    return Ok(Written {
                        commit: Some(commit),
                        ..outcome.written
                    });
                }
                Err(error) if error.is_conflict() && attempts < ATTEMPTS_MAX => continue,
                Err(Error::Repo(source)) if attempts == ATTEMPTS_MAX => {
                    return Err(Error::Contended {
                        table: path,
                        attempts,
                        source,
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_once(
        &self,
        session: &Session,
        path: &RepoPath,
        asked: Ask<'_>,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        match asked {
            Ask::Create(asked) => self.try_create(session, path, asked, progress).await,
            Ask::Append(asked) => self.try_append(session, path, asked, progress).await,
            Ask::Overwrite(asked) => self.try_overwrite(session, path, asked, progress).await,
            Ask::Upsert(asked) => self.try_upsert(session, path, asked, progress).await,
            Ask::Delete(asked) => self.try_delete(session, path, &asked.condition, progress).await,
        }
    }

    async fn try_create(
        &self,
        session: &Session,
        path: &RepoPath,
        asked: &CreateTable,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let (store, table) = self.table_in(session, path).await?;
        if table.is_some() {
            return Err(Error::TableExists { table: path.clone() });
        }
        let mut incoming = Incoming::open(self, session, &asked.from, None).await?;
        if !asked.key.is_empty() {
            incoming.parameters.insert("key".into(), json!(asked.key));
        }
        let done = self
            .create_table(store, path, &mut incoming, &asked.key, progress)
            .await?;
        Ok(Outcome::of_write(path, done, incoming))
    }

    async fn try_append(
        &self,
        session: &Session,
        path: &RepoPath,
        asked: &AppendRows,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let table = self.existing_table_in(session, path).await?;
        let mut incoming = Incoming::open(self, session, &asked.from, Some(table.schema())).await?;
        if asked.evolve {
            incoming.parameters.insert("evolve".into(), json!(true));
        }
        let done = self.append_rows(&table, &mut incoming, asked.evolve, progress).await?;
        Ok(Outcome::of_write(path, done, incoming))
    }

    async fn try_overwrite(
        &self,
        session: &Session,
        path: &RepoPath,
        asked: &OverwriteTable,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let table = self.existing_table_in(session, path).await?;
        let mut incoming = Incoming::open(self, session, &asked.from, None).await?;
        let done = self.overwrite_rows(&table, &mut incoming, progress).await?;
        Ok(Outcome::of_write(path, done, incoming))
    }

    async fn try_upsert(
        &self,
        session: &Session,
        path: &RepoPath,
        asked: &UpsertRows,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let table = self.existing_table_in(session, path).await?;
        let mut incoming = Incoming::open(self, session, &asked.from, Some(table.schema())).await?;
        if asked.evolve {
            incoming.parameters.insert("evolve".into(), json!(true));
        }
        let done = self.upsert_rows(&table, &mut incoming, asked, progress).await?;
        let (new, replaced) = (done.rows_added, done.rows_changed);
        Ok(Outcome {
            sentence: format!(
                "{}: {new} rows new, {replaced} replaced, from {}",
                table_name(path),
                incoming.name
            ),
            inputs: vec![incoming.input],
            parameters: incoming.parameters,
            ..Outcome::of_rewrite(&table, done)
        })
    }

    async fn try_delete(
        &self,
        session: &Session,
        path: &RepoPath,
        condition: &str,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let table = self.existing_table_in(session, path).await?;
        let done = self.delete_rows(&table, condition, progress).await?;
        Ok(Outcome {
            sentence: format!("{}: {} rows where {condition}", table_name(path), done.rows_removed),
            parameters: BTreeMap::from([("predicate".to_owned(), json!(condition))]),
            ..Outcome::of_rewrite(&table, done)
        })
    }

    /// The table in the session, to write to it.
    async fn existing_table_in(&self, session: &Session, path: &RepoPath) -> Result<Delta> {
        match self.table_in(session, path).await? {
            (_, Some(table)) => Ok(table),
            (_, None) => Err(no_table(&session.base(), table_name(path)).await?),
        }
    }
}

impl Outcome {
    fn of_write(path: &RepoPath, done: TableWrite, incoming: Incoming) -> Self {
        Self {
            sentence: format!("{}: {} rows from {}", table_name(path), done.rows, incoming.name),
            written: Written {
                table: path.clone(),
                commit: None,
                version: done.version,
                rows_added: done.rows,
                rows_updated: 0,
                rows_deleted: done.rows_removed,
            },
            changed: true,
            inputs: vec![incoming.input],
            parameters: incoming.parameters,
        }
    }

    /// Without the sentence, inputs and parameters.
    fn of_rewrite(table: &Delta, done: Rewrite) -> Self {
        Self {
            written: Written {
                table: table.path.clone(),
                commit: None,
                version: done.version.unwrap_or(table.version()),
                rows_added: done.rows_added,
                rows_updated: done.rows_changed,
                rows_deleted: done.rows_removed,
            },
            changed: done.version.is_some(),
            inputs: Vec::new(),
            parameters: BTreeMap::new(),
            sentence: String::new(),
        }
    }
}

fn commit_info(to: &WriteRequest, verb: Verb, outcome: &mut Outcome) -> CommitInfo {
    let written = &outcome.written;
    let mut parameters = std::mem::take(&mut outcome.parameters);
    let counts = [
        ("table_version", written.version),
        ("rows_added", written.rows_added),
        ("rows_updated", written.rows_updated),
        ("rows_deleted", written.rows_deleted),
    ];
    let counts = counts
        .into_iter()
        .filter(|(name, count)| *count > 0 || *name == "table_version");
    parameters.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
    let message = to.message.clone();
    CommitInfo {
        by: to.by.clone(),
        verb,
        message: message.unwrap_or_else(|| format!("{verb} {}", outcome.sentence)),
        inputs: std::mem::take(&mut outcome.inputs),
        outputs: vec![written.table.clone()],
        parameters,
    }
}
