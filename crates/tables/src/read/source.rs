//! `InputFile`: the bytes of a write's source as a file on disk, and what provenance says of them; `Incoming`: its rows.
//! A file of the repository is copied out first (verified as it comes), so that every format reads plain files.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use drumlin_model::{EntryKind, FileId, Input, RefExpr, RepoPath};
use drumlin_repo::{Session, Snapshot};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempPath;
use tokio::{io::AsyncWriteExt, task::spawn_blocking};

use super::Reader;
use crate::{
    engine::Engine,
    error::{Error, Result},
    options::{FileFormat, FromFile, ReadOptions, Source},
    types::type_name,
};

#[derive(Debug)]
pub(crate) struct InputFile {
    pub(crate) reader: Reader,
    pub(crate) input: Input,
}

impl InputFile {
    /// Finds the source; `base` is the commit that is written on.
    pub(crate) async fn open(engine: &Engine, base: &Snapshot, source: &Source, options: &ReadOptions) -> Result<Self> {
        let format = match options.format {
            Some(format) => format,
            None => FileFormat::of_name(&source.file_name())?,
        };
        let (file, input, copy) = match source {
            Source::File { file, name, path } => {
                let id = hash_file(file, name).await?;
                let input = match path {
                    Some(path) if content_id(base, path).await? == Some(id) => versioned(base, path, id),
                    _ => Input {
                        name: name.clone(),
                        commit: None,
                        version: Some(id.to_string()),
                        ..Input::default()
                    },
                };
                (file.clone(), input, None)
            }
            Source::Path { path, at } => {
                let (input, copy) = copy_out(engine, path, at).await?;
                (copy.to_path_buf(), input, Some(copy))
            }
        };
        let reader = Reader {
            file: Arc::from(file),
            name: source.name(),
            format,
            options: options.clone(),
            _copy: copy.map(Arc::new),
        };
        Ok(Self { reader, input })
    }

    /// The file's columns, with the types of `table` where it has them.
    pub(crate) async fn schema(&self, table: Option<SchemaRef>) -> Result<SchemaRef> {
        let reader = self.reader.clone();
        let looking = spawn_blocking(move || reader.schema(table.as_deref()));
        looking.await.expect("looking at a file does not panic")
    }

    /// A file of a commit, for queries.
    pub(crate) async fn at(engine: &Engine, snapshot: &Snapshot, path: &RepoPath, name: &str) -> Result<Self> {
        let format = FileFormat::of_name(path.name())?;
        let (input, copy) = copy_file(engine, snapshot, path, name).await?;
        let reader = Reader {
            file: Arc::from(copy.to_path_buf()),
            name: name.to_owned(),
            format,
            options: ReadOptions::default(),
            _copy: Some(Arc::new(copy)),
        };
        Ok(Self { reader, input })
    }
}

/// A source that was opened: its rows, as they come, and what is recorded of it.
pub(crate) struct Incoming {
    pub(crate) rows: SendableRecordBatchStream,
    /// How many rows there are, where the file says it.
    pub(crate) total: Option<u64>,
    /// What errors call the rows.
    pub(crate) name: String,
    pub(crate) input: Input,
    /// How the file was read, as far as it was said.
    pub(crate) parameters: BTreeMap<String, Value>,
}

impl Incoming {
    /// With `table`, columns that the table has are read as the types that they have there.
    pub(crate) async fn open(
        engine: &Engine,
        session: &Session,
        from: &FromFile,
        table: Option<SchemaRef>,
    ) -> Result<Self> {
        let input = InputFile::open(engine, &session.base(), &from.source, &from.read).await?;
        let schema = input.schema(table).await?;
        Ok(Self {
            rows: input.reader.stream(schema),
            total: input.reader.rows_said(),
            name: input.reader.name.clone(),
            parameters: parameters(input.reader.format, &from.read),
            input: input.input,
        })
    }
}

fn parameters(format: FileFormat, options: &ReadOptions) -> BTreeMap<String, Value> {
    let defaults = ReadOptions::default();
    let mut parameters = BTreeMap::from([("format".to_owned(), json!(format.to_string()))]);
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

fn versioned(snapshot: &Snapshot, path: &RepoPath, id: FileId) -> Input {
    Input {
        name: path.to_string(),
        commit: Some(snapshot.commit()),
        version: Some(id.to_string()),
        ..Input::default()
    }
}

async fn hash_file(file: &Path, name: &str) -> Result<FileId> {
    let (file, name) = (PathBuf::from(file), name.to_owned());
    let hashing = spawn_blocking(move || {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoFile { name: name.clone() },
            _ => Error::Io {
                doing: format!("read {name}"),
                source,
            },
        };
        if file.is_dir() {
            let detail = "is a folder; name one file in it".into();
            return Err(Error::Content {
                file: name.clone(),
                detail,
            });
        }
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(File::open(&file).map_err(failed)?)
            .map_err(failed)?;
        Ok(FileId::from(hasher.finalize()))
    });
    hashing.await.expect("hashing does not panic")
}

async fn content_id(snapshot: &Snapshot, path: &RepoPath) -> Result<Option<FileId>> {
    let entry = snapshot.entry(path).await?;
    Ok(entry.and_then(|placed| placed.entry.as_file().map(|file| file.id)))
}

async fn copy_out(engine: &Engine, path: &RepoPath, at: &RefExpr) -> Result<(Input, TempPath)> {
    let snapshot = engine.repo().snapshot(at).await?;
    copy_file(engine, &snapshot, path, &format!("{path}@{at}")).await
}

async fn copy_file(engine: &Engine, snapshot: &Snapshot, path: &RepoPath, name: &str) -> Result<(Input, TempPath)> {
    let Some(placed) = snapshot.entry(path).await? else {
        return Err(Error::NoFile { name: name.to_owned() });
    };
    let EntryKind::File(file) = &placed.entry.kind else {
        return Err(Error::Content {
            file: name.to_owned(),
            detail: "is not a file".into(),
        });
    };
    let failed = |source| Error::Io {
        doing: format!("copy {name} to the spill folder"),
        source,
    };
    let (std_file, copy) = engine.scratch_file()?.into_parts();
    let mut out = tokio::fs::File::from_std(std_file);
    let mut bytes = snapshot.stream(path);
    while let Some(part) = bytes.try_next().await? {
        out.write_all(&part).await.map_err(failed)?;
    }
    out.flush().await.map_err(failed)?;
    Ok((versioned(snapshot, path, file.id), copy))
}
