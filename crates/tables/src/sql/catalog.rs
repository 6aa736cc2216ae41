//! The tables that a query can name: Delta tables and files, each at one commit, opened when first named.
//! `query` puts one of these under each session; `names` says which names carry refs.
//! Invariant: a name means one commit for the whole query, and every commit that is read is on the list of reads.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider, streaming::StreamingTable},
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::streaming::PartitionStream,
    prelude::SessionContext,
};
use drumlin_model::{CommitId, Input, RefExpr, RepoPath, names::table_name};
use drumlin_repo::Snapshot;

use crate::{
    engine::{Engine, Plan},
    error::{Error, Result},
    options::FileFormat,
    read::InputFile,
    table::{no_table, table_path},
};

pub(super) const CATALOG: &str = "drumlin";
pub(super) const SCHEMA: &str = "tables";

/// Something that a query read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// As the query says it.
    pub name: String,
    pub path: RepoPath,
    pub commit: CommitId,
    /// A table's version, or a file's content id.
    pub version: String,
}

impl Read {
    /// The same, as provenance says it.
    pub fn to_input(&self) -> Input {
        Input {
            name: self.path.to_string(),
            commit: Some(self.commit),
            version: Some(self.version.clone()),
            ..Input::default()
        }
    }
}

pub(super) struct TablesAt {
    engine: Engine,
    snapshot: Snapshot,
    /// The names that carry a ref, and what that is.
    pinned: BTreeMap<String, (String, Snapshot)>,
    /// What listings show.
    listed: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: HashMap<String, Arc<dyn TableProvider>>,
    reads: Vec<Read>,
    missing: Vec<(String, Snapshot)>,
}

impl fmt::Debug for TablesAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TablesAt({})", self.snapshot.commit())
    }
}

impl TablesAt {
    pub(super) async fn new(
        engine: &Engine,
        snapshot: &Snapshot,
        pinned: BTreeMap<String, (String, Snapshot)>,
    ) -> Result<Arc<Self>> {
        let listed = engine
            .table_paths(snapshot)
            .await?
            .iter()
            .map(|path| table_name(path).to_owned())
            .collect();
        let (engine, snapshot) = (engine.clone(), snapshot.clone());
        Ok(Arc::new(Self {
            engine,
            snapshot,
            pinned,
            listed,
            state: Mutex::default(),
        }))
    }

    /// A session whose only tables are these.
    pub(super) fn context(self: &Arc<Self>, plan: Plan) -> SessionContext {
        let context = SessionContext::new_with_state(self.engine.session_state(plan));
        let catalog = MemoryCatalogProvider::new();
        catalog
            .register_schema(SCHEMA, self.clone())
            .expect("a new catalog takes a schema");
        context.register_catalog(CATALOG, Arc::new(catalog));
        context
    }

    pub(super) fn reads(&self) -> Vec<Read> {
        let mut reads = self.state().reads.clone();
        reads.sort();
        reads
    }

    /// The error for the first table that was asked for and is not there.
    pub(super) async fn missing(&self) -> Option<Error> {
        let (name, snapshot) = self.state().missing.first().cloned()?;
        Some(no_table(&snapshot, &name).await.unwrap_or_else(|error| error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens while the catalog is locked")
    }

    /// The table's own name and the commit that this name means.
    async fn meaning(&self, name: &str) -> Result<(String, Snapshot)> {
        if let Some(pinned) = self.pinned.get(name) {
            return Ok(pinned.clone());
        }
        let Some((table, reference)) = name.rsplit_once('@') else {
            return Ok((name.to_owned(), self.snapshot.clone()));
        };
        let expr: RefExpr = reference.parse().map_err(|source| Error::Reference {
            name: reference.to_owned(),
            source,
        })?;
        Ok((table.to_owned(), self.engine.repo().snapshot(&expr).await?))
    }

    async fn open(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(opened) = self.state().opened.get(name) {
            return Ok(Some(opened.clone()));
        }
        let (table, snapshot) = self.meaning(name).await?;
        let found = match file_path(&table) {
            Some(path) if snapshot.entry(&path).await?.is_some() => Some(self.open_file(&path, &snapshot, name).await?),
            _ => self.open_table(&table, &snapshot, name).await?,
        };
        let mut state = self.state();
        match found {
            Some((provider, read)) => {
                state.opened.insert(name.to_owned(), provider.clone());
                state.reads.push(read);
                Ok(Some(provider))
            }
            None => {
                state.missing.push((table, snapshot));
                Ok(None)
            }
        }
    }

    async fn open_table(
        &self,
        table: &str,
        snapshot: &Snapshot,
        name: &str,
    ) -> Result<Option<(Arc<dyn TableProvider>, Read)>> {
        let Ok(path) = table_path(table) else { return Ok(None) };
        let delta = match self.engine.delta_at(snapshot, table).await {
            Ok(delta) => delta,
            Err(Error::NoTable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let provider = delta.provider(None, None).await;
        let provider = provider.map_err(|error| self.engine.explain(&format!("read {path}"), error))?;
        let read = Read {
            name: name.into(),
            path,
            commit: snapshot.commit(),
            version: delta.version().to_string(),
        };
        Ok(Some((provider, read)))
    }

    async fn open_file(
        &self,
        path: &RepoPath,
        snapshot: &Snapshot,
        name: &str,
    ) -> Result<(Arc<dyn TableProvider>, Read)> {
        let input = InputFile::at(&self.engine, snapshot, path, name).await?;
        let version = input.input.version.clone().unwrap_or_default();
        let schema = input.schema(None).await?;
        let file = Arc::new(FileRows {
            schema: schema.clone(),
            input,
        });
        let provider = StreamingTable::try_new(schema, vec![file]);
        let provider = provider.map_err(|error| self.engine.explain(&format!("read {name}"), error))?;
        let read = Read {
            name: name.into(),
            path: path.clone(),
            commit: snapshot.commit(),
            version,
        };
        Ok((Arc::new(provider), read))
    }
}

/// The path of a file that a query may name; none for what must be a table.
fn file_path(name: &str) -> Option<RepoPath> {
    match FileFormat::of_name(name) {
        Err(Error::UnknownFormat { .. }) => None,
        Ok(_) | Err(_) => RepoPath::new(name).ok(),
    }
}

#[async_trait]
impl SchemaProvider for TablesAt {
    fn table_names(&self) -> Vec<String> {
        self.listed.clone()
    }
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.open(name)
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
    fn table_exist(&self, name: &str) -> bool {
        self.listed.iter().any(|listed| listed == name) || self.pinned.contains_key(name)
    }
}

/// The rows of a file of a commit; the copy of the file lives as long as this.
#[derive(Debug)]
struct FileRows {
    schema: SchemaRef,
    input: InputFile,
}

impl PartitionStream for FileRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.input.reader.stream(self.schema.clone())
    }
}
