//! The verbs of tables: each is one session, one Delta operation and one commit with its provenance.
//! `write` and `change` do the operation; here are the sources, the retries and what is recorded.
//! Invariant: a verb that loses a race is done again from the new head, whole, so its result is as if it had come later.

use std::collections::BTreeMap;

use drumlin_model::{CommitId, Input, Provenance, RepoPath};
use drumlin_repo::{CommitInfo, Session};
use serde_json::{Value, json};

use crate::{
    change::Rewrite,
    engine::Engine,
    error::{Error, Result},
    options::{ReadOptions, Source, WriteRequest, type_name},
    read::InputFile,
    table::{new_table_path, table_name, table_path},
    write::{TableWrite, WriteMode},
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
enum Verb<'a> {
    Create {
        source: &'a Source,
        options: &'a ReadOptions,
        key: &'a [String],
    },
    Append {
        source: &'a Source,
        options: &'a ReadOptions,
        evolve: bool,
    },
    Overwrite {
        source: &'a Source,
        options: &'a ReadOptions,
    },
    Upsert {
        source: &'a Source,
        options: &'a ReadOptions,
        key: &'a [String],
        evolve: bool,
    },
    Delete {
        predicate: &'a str,
    },
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
    /// Makes a table of a file's rows, with this row key (none when empty).
    pub async fn create(
        &self,
        request: &WriteRequest,
        table: &str,
        source: &Source,
        options: &ReadOptions,
        key: &[String],
    ) -> Result<Written> {
        self.run(request, table, Verb::Create { source, options, key }).await
    }

    /// Adds a file's rows; `evolve` also adds the columns that the table lacks.
    pub async fn append(
        &self,
        request: &WriteRequest,
        table: &str,
        source: &Source,
        options: &ReadOptions,
        evolve: bool,
    ) -> Result<Written> {
        self.run(
            request,
            table,
            Verb::Append {
                source,
                options,
                evolve,
            },
        )
        .await
    }

    /// Replaces all rows and the schema by those of a file.
    pub async fn overwrite(
        &self,
        request: &WriteRequest,
        table: &str,
        source: &Source,
        options: &ReadOptions,
    ) -> Result<Written> {
        self.run(request, table, Verb::Overwrite { source, options }).await
    }

    /// Replaces the rows whose key is in the file, and adds the others of the file. An empty `key` is the recorded one.
    pub async fn upsert(
        &self,
        request: &WriteRequest,
        table: &str,
        source: &Source,
        options: &ReadOptions,
        (key, evolve): (&[String], bool),
    ) -> Result<Written> {
        self.run(
            request,
            table,
            Verb::Upsert {
                source,
                options,
                key,
                evolve,
            },
        )
        .await
    }

    /// Deletes the rows for which an SQL predicate is true.
    pub async fn delete(&self, request: &WriteRequest, table: &str, predicate: &str) -> Result<Written> {
        self.run(request, table, Verb::Delete { predicate }).await
    }

    async fn run(&self, request: &WriteRequest, table: &str, verb: Verb<'_>) -> Result<Written> {
        let path = match verb {
            Verb::Create { .. } => new_table_path(table)?,
            _ => table_path(table)?,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let session = self.repo().session(&request.branch).await?;
            let mut outcome = self.try_once(&session, &path, verb).await?;
            if !outcome.changed {
                return Ok(outcome.written);
            }
            let info = commit_info(request, verb, &mut outcome);
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

    async fn try_once(&self, session: &Session, path: &RepoPath, verb: Verb<'_>) -> Result<Outcome> {
        match verb {
            Verb::Create { source, options, key } => {
                self.write_source(
                    session,
                    path,
                    (source, options),
                    WriteMode::Create { key: key.to_vec() },
                )
                .await
            }
            Verb::Append {
                source,
                options,
                evolve,
            } => {
                self.write_source(session, path, (source, options), WriteMode::Append { evolve })
                    .await
            }
            Verb::Overwrite { source, options } => {
                self.write_source(session, path, (source, options), WriteMode::Overwrite)
                    .await
            }
            Verb::Upsert {
                source,
                options,
                key,
                evolve,
            } => {
                self.upsert_source(session, path, (source, options), (key, evolve))
                    .await
            }
            Verb::Delete { predicate } => self.delete_where(session, path, predicate).await,
        }
    }

    async fn write_source(
        &self,
        session: &Session,
        path: &RepoPath,
        (source, options): (&Source, &ReadOptions),
        mode: WriteMode,
    ) -> Result<Outcome> {
        let table = match mode {
            // An append reads a file as the table's types; the others find the types in the file.
            WriteMode::Append { .. } => Some(self.open_in(session, path).await?.schema()),
            WriteMode::Create { .. } => None,
            WriteMode::Overwrite => {
                self.open_in(session, path).await?;
                None
            }
        };
        let input = InputFile::open(self, &session.base(), source, options).await?;
        let schema = input.schema(table).await?;
        let mut parameters = read_parameters(&input, options);
        if let WriteMode::Create { key } = &mode
            && !key.is_empty()
        {
            parameters.insert("key".into(), json!(key));
        }
        if mode == (WriteMode::Append { evolve: true }) {
            parameters.insert("evolve".into(), json!(true));
        }
        let rows = input.reader.stream(schema);
        let TableWrite {
            version,
            rows,
            rows_removed,
            ..
        } = self.write_named(session, path, rows, mode, &input.reader.name).await?;
        let written = Written {
            table: path.clone(),
            commit: None,
            version,
            rows_added: rows,
            rows_updated: 0,
            rows_deleted: rows_removed,
        };
        let sentence = format!("{}: {rows} rows from {}", table_name(path), input.reader.name);
        Ok(Outcome {
            written,
            changed: true,
            inputs: vec![input.input.clone()],
            parameters,
            sentence,
        })
    }

    async fn upsert_source(
        &self,
        session: &Session,
        path: &RepoPath,
        (source, options): (&Source, &ReadOptions),
        (key, evolve): (&[String], bool),
    ) -> Result<Outcome> {
        let table = self.open_in(session, path).await?;
        let input = InputFile::open(self, &session.base(), source, options).await?;
        let schema = input.schema(Some(table.schema())).await?;
        let name = &input.reader.name;
        let done = self
            .upsert_rows(&table, input.reader.stream(schema), (key, evolve), name)
            .await?;
        let Rewrite {
            rows_added,
            rows_changed,
            ..
        } = done;
        let sentence = format!(
            "{}: {rows_added} rows new, {rows_changed} replaced, from {name}",
            table_name(path)
        );
        let mut parameters = read_parameters(&input, options);
        if evolve {
            parameters.insert("evolve".into(), json!(true));
        }
        let written = Written {
            table: path.clone(),
            commit: None,
            version: done.version.unwrap_or(table.version()),
            rows_added,
            rows_updated: rows_changed,
            rows_deleted: done.rows_removed,
        };
        let changed = done.version.is_some();
        Ok(Outcome {
            written,
            changed,
            inputs: vec![input.input.clone()],
            parameters,
            sentence,
        })
    }

    async fn delete_where(&self, session: &Session, path: &RepoPath, predicate: &str) -> Result<Outcome> {
        let table = self.open_in(session, path).await?;
        let done = self.delete_rows(&table, predicate).await?;
        let written = Written {
            table: path.clone(),
            commit: None,
            version: done.version.unwrap_or(table.version()),
            rows_added: 0,
            rows_updated: 0,
            rows_deleted: done.rows_removed,
        };
        let sentence = format!("{}: {} rows where {predicate}", table_name(path), done.rows_removed);
        let parameters = BTreeMap::from([("predicate".to_owned(), json!(predicate))]);
        Ok(Outcome {
            written,
            changed: done.version.is_some(),
            inputs: Vec::new(),
            parameters,
            sentence,
        })
    }
}

/// How the file was read, as far as it was said.
fn read_parameters(input: &InputFile, options: &ReadOptions) -> BTreeMap<String, Value> {
    let defaults = ReadOptions::default();
    let mut parameters = BTreeMap::from([("format".to_owned(), json!(input.reader.format.to_string()))]);
    if !options.types.is_empty() {
        let types: BTreeMap<_, _> = options
            .types
            .iter()
            .map(|(column, to)| (column.clone(), type_name(&to.to_arrow())))
            .collect();
        parameters.insert("types".into(), json!(types));
    }
    if options.nulls != defaults.nulls {
        parameters.insert("nulls".into(), json!(options.nulls));
    }
    if options.delimiter != defaults.delimiter {
        parameters.insert("delimiter".into(), json!(char::from(options.delimiter).to_string()));
    }
    if options.header != defaults.header {
        parameters.insert("header".into(), json!(options.header));
    }
    parameters
}

fn commit_info(request: &WriteRequest, verb: Verb<'_>, outcome: &mut Outcome) -> CommitInfo {
    let operation = match verb {
        Verb::Create { .. } => "table create",
        Verb::Append { .. } => "table append",
        Verb::Overwrite { .. } => "table overwrite",
        Verb::Upsert { .. } => "table upsert",
        Verb::Delete { .. } => "table delete",
    };
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
    let provenance = Provenance {
        operation: operation.to_owned(),
        actor: request.actor.clone(),
        started: request.started,
        inputs: std::mem::take(&mut outcome.inputs),
        outputs: vec![written.table.clone()],
        parameters,
        code: request.code.clone(),
        ..Provenance::default()
    };
    let message = request
        .message
        .clone()
        .unwrap_or_else(|| format!("{operation} {}", outcome.sentence));
    CommitInfo { message, provenance }
}
