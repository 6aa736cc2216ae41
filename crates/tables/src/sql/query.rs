//! `Query`: a planned query and what it reads. Only what reads is allowed: nothing in SQL writes.
//! `names` and `catalog` find its tables; `output` writes its rows.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use datafusion::{
    dataframe::DataFrame,
    execution::SendableRecordBatchStream,
    prelude::{SQLOptions, SessionContext},
};
use drumlin_model::{RefExpr, RefName};
use drumlin_repo::Snapshot;

use super::{
    catalog::{Read, TablesAt},
    names,
};
use crate::{
    engine::{Engine, Plan},
    error::{Error, Result},
    explain,
};

#[derive(Clone, Debug)]
pub struct Query {
    engine: Engine,
    frame: DataFrame,
    reads: Vec<Read>,
}

impl Query {
    pub fn schema(&self) -> SchemaRef {
        self.frame.schema().inner().clone()
    }
    /// The tables and files that it reads, and at which commits.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// Runs it. Errors on the way are in the stream; [`Engine::query_error`] makes them clear.
    pub async fn stream(self) -> Result<SendableRecordBatchStream> {
        let engine = self.engine;
        self.frame
            .execute_stream()
            .await
            .map_err(|error| engine.explain("run the query", error))
    }
}

impl Engine {
    /// Plans a query; tables without a ref are those of `at`.
    pub async fn query(&self, sql: &str, at: &RefExpr) -> Result<Query> {
        self.query_at(sql, &self.repo().snapshot(at).await?).await
    }

    /// Plans a query; tables without a ref are those of the snapshot.
    #[tracing::instrument(level = "debug", skip_all, fields(commit = %at.commit()))]
    pub async fn query_at(&self, sql: &str, at: &Snapshot) -> Result<Query> {
        let refs = if sql.contains('@') {
            self.repo().refs().await?
        } else {
            Default::default()
        };
        let is_ref = |name: &str| {
            RefName::new(name).is_ok_and(|name| refs.branches.contains_key(&name) || refs.tags.contains_key(&name))
        };
        let rewritten = names::rewrite(sql, &is_ref)?;
        let mut snapshots: BTreeMap<String, Snapshot> = BTreeMap::new();
        let mut pinned = BTreeMap::new();
        for (name, (table, reference)) in rewritten.pinned {
            let spelled = reference.to_string();
            let snapshot = match snapshots.get(&spelled) {
                Some(snapshot) => snapshot.clone(),
                None => self.repo().snapshot(&reference).await?,
            };
            snapshots.insert(spelled, snapshot.clone());
            pinned.insert(name, (table, snapshot));
        }
        let tables = TablesAt::new(self, at, pinned).await?;
        let context = tables.context(Plan::Query);
        let plan = match context.state().create_logical_plan(&rewritten.sql).await {
            Ok(plan) => plan,
            Err(error) => {
                let missing = tables.missing().await;
                return Err(missing.unwrap_or_else(|| explain::query(error)));
            }
        };
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        read_only.verify_plan(&plan).map_err(|_| Error::NotAQuery)?;
        let frame = context.execute_logical_plan(plan).await.map_err(explain::query)?;
        Ok(Query {
            engine: self.clone(),
            frame,
            reads: tables.reads(),
        })
    }

    /// A DataFusion session whose tables are those of a commit, by name (`flights`), by path (`"tables/flights"`), and at
    /// other refs (`"flights@v1"`).
    pub async fn context(&self, snapshot: &Snapshot) -> Result<SessionContext> {
        let tables = TablesAt::new(self, snapshot, BTreeMap::new()).await?;
        Ok(tables.context(Plan::Query))
    }

    /// An error from a running plan as one of ours: one clear line, a kind and its cures.
    pub fn query_error(&self, error: datafusion::error::DataFusionError) -> Error {
        self.explain("run the query", error)
    }
}
