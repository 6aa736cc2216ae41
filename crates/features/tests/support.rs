//! A repository with tables and definitions in a few words.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use drumlin_chunks::NoProgress;
use drumlin_features::{
    TrainingSet,
    apply::{self, Plan, Scope},
    online::{MaterializeRequest, Materialized, Verified, materialize, verify},
    registry::Files,
    training::{self, Create, Created, Features, Options, Rebuilt, SetAt, SetDiff, SpineSource},
};
use drumlin_model::{By, CommitId, RefExpr, Timestamp, feature::ViewUse};
use drumlin_online::{Lmdb, Memory, OnlineStore, OwnedValue, Serving, Value};
use drumlin_repo::Snapshot;
use drumlin_tables::{AppendRows, CreateTable, Engine, EngineOptions, OverwriteTable, Source, WriteRequest};
use drumlin_testkit::{TestRepo, name, path};
use tempfile::TempDir;

/// What an online store keeps its bytes in.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Memory,
    Lmdb,
}

/// Runs tests that ask for a `Kind` with each.
#[macro_export]
macro_rules! in_each_kind {
    ($($test:ident),* $(,)?) => {
        mod memory {$(
            #[tokio::test]
            async fn $test() {
                super::$test($crate::support::Kind::Memory).await;
            }
        )*}
        mod lmdb {$(
            #[tokio::test]
            async fn $test() {
                super::$test($crate::support::Kind::Lmdb).await;
            }
        )*}
    };
}

pub struct Fixture {
    pub test: TestRepo,
    pub engine: Engine,
    pub folder: TempDir,
}

/// Weather by airport, hourly; flights as the spine.
pub const WEATHER: &str = "\
origin,temp,wind,time_hour
EWR,39.0,10.4,2013-01-01T06:00:00Z
EWR,38.5,,2013-01-01T07:00:00Z
JFK,41.0,12.7,2013-01-01T06:00:00Z
JFK,40.0,11.5,2013-01-01T09:00:00Z
";
pub const FLIGHTS: &str = "\
flight,origin,dest,sched
1,EWR,JFK,2013-01-01T06:30:00Z
2,JFK,EWR,2013-01-01T08:00:00Z
3,LGA,JFK,2013-01-01T06:30:00Z
4,EWR,JFK,2013-01-01T07:00:00Z
5,JFK,EWR,2013-01-01T05:00:00Z
6,JFK,LGA,2013-01-01T23:00:00Z
";
pub const DEFINITIONS: &str = "\
kind: entity
name: airport
keys: [{name: origin, type: string}]
---
kind: feature_view
name: weather_hourly
entity: airport
source: {table: weather}
event_time: time_hour
max_age: 3h
features:
  - name: temp
    type: float64
    description: degrees Fahrenheit
  - wind
---
kind: feature_service
name: delay
views:
  - weather_hourly
";

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

pub fn by() -> By {
    By::new("tester", Timestamp::from_micros(1))
}

pub fn files(definitions: &str) -> Files {
    Files::from([(path("features/all.yaml"), Bytes::from(definitions.to_owned()))])
}

impl Fixture {
    pub async fn memory() -> Self {
        let test = TestRepo::memory().await;
        // Rows without a created time are known since their file was written: before all that the tests ask about.
        test.clock.set(at("2012-12-01T00:00:00Z"));
        Self::over(test)
    }

    pub fn over(test: TestRepo) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = EngineOptions::new(folder.path().join("spill"));
        options.threads = 2;
        let engine = Engine::new(test.repo.clone(), options).unwrap();
        Self { test, engine, folder }
    }

    pub fn set_threads(&mut self, threads: usize) {
        let mut options = EngineOptions::new(self.folder.path().join("spill"));
        options.threads = threads;
        self.engine = Engine::new(self.test.repo.clone(), options).unwrap();
    }

    /// Weather, flights and the definitions above, on main.
    pub async fn flights() -> Self {
        let fixture = Self::memory().await;
        fixture.table("weather", WEATHER).await;
        fixture.table("flights", FLIGHTS).await;
        fixture.apply("main", DEFINITIONS).await;
        fixture
    }

    fn source(&self, csv: &str) -> Source {
        let file = self.folder.path().join("in.csv");
        std::fs::write(&file, csv).unwrap();
        Source::File {
            file,
            name: "in.csv".into(),
            path: None,
        }
    }

    pub fn on(&self, branch: &str) -> WriteRequest {
        let branch = name(branch);
        WriteRequest {
            branch,
            by: By::new("tester", Timestamp::from_micros(1)),
            message: None,
        }
    }

    pub async fn table(&self, table: &str, csv: &str) {
        let source = self.source(csv);
        self.engine
            .table_create(&self.on("main"), &CreateTable::new(table, source), &NoProgress)
            .await
            .unwrap();
    }

    pub async fn append(&self, branch: &str, table: &str, csv: &str) {
        let source = self.source(csv);
        self.engine
            .table_append(&self.on(branch), &AppendRows::new(table, source), &NoProgress)
            .await
            .unwrap();
    }

    pub async fn overwrite(&self, branch: &str, table: &str, csv: &str) {
        let source = self.source(csv);
        self.engine
            .table_overwrite(&self.on(branch), &OverwriteTable::new(table, source), &NoProgress)
            .await
            .unwrap();
    }

    pub async fn branch(&self, branch: &str) {
        let head = self.snapshot("main").await.commit();
        self.test
            .repo
            .branch_create(&drumlin_testkit::author(), &name(branch), head)
            .await
            .unwrap();
    }

    pub async fn plan(&self, branch: &str, definitions: &str) -> drumlin_features::Result<Plan> {
        apply::plan(&self.engine, &name(branch), &files(definitions), Scope::Whole).await
    }

    pub async fn apply(&self, branch: &str, definitions: &str) -> CommitId {
        self.plan(branch, definitions)
            .await
            .unwrap()
            .commit(by(), None)
            .await
            .unwrap()
    }

    /// What is wrong with definitions, as the user reads it.
    pub async fn mistakes(&self, definitions: &str) -> String {
        self.plan("main", definitions)
            .await
            .expect_err("the definitions are wrong")
            .to_string()
    }

    pub async fn snapshot(&self, at: &str) -> Snapshot {
        self.test.repo.snapshot(&at.parse::<RefExpr>().unwrap()).await.unwrap()
    }

    pub async fn request_set(&self, branch: &str, set: &str) -> Create {
        let at = self.snapshot(branch).await;
        Create {
            branch: name(branch),
            name: set.into(),
            spine: SpineSource::Table("flights".into()),
            spine_at: at.clone(),
            features: Features::Service("delay".into()),
            at,
            options: Options::new("sched"),
            replace: false,
            message: None,
        }
    }

    pub async fn train(&self, branch: &str, create: Create) -> drumlin_features::Result<Created> {
        let branch = name(branch);
        training::create(&self.engine, Create { branch, ..create }, by(), &NoProgress).await
    }

    /// Whether a set is built again as it was recorded.
    pub async fn rebuild(&self, at: &Snapshot, set: &str) -> Rebuilt {
        let set = SetAt { at, name: set };
        training::rebuild(&self.engine, set, &NoProgress).await.unwrap()
    }

    pub async fn diff_sets(&self, before: (&Snapshot, &str), after: (&Snapshot, &str)) -> SetDiff {
        let [before, after] = [before, after].map(|(at, name)| SetAt { at, name });
        training::diff(&self.engine, before, after, &NoProgress).await.unwrap()
    }

    pub async fn train_as_is(&self, branch: &str, set: &str) -> TrainingSet {
        let create = self.request_set(branch, set).await;
        self.train(branch, create).await.unwrap().set
    }

    /// The rows of a query, as CSV without the header.
    pub async fn sql(&self, sql: &str, at: &str) -> String {
        let rows = self
            .engine
            .query(sql, &at.parse().unwrap())
            .await
            .unwrap()
            .stream()
            .await
            .unwrap();
        let mut text = Vec::new();
        drumlin_tables::write_rows(
            &self.engine,
            rows,
            drumlin_tables::RowFormat::Csv,
            &mut text,
            &NoProgress,
        )
        .await
        .unwrap();
        String::from_utf8(text)
            .unwrap()
            .split_once('\n')
            .unwrap()
            .1
            .trim_end()
            .to_owned()
    }

    /// A new store, empty.
    pub fn bytes(&self, kind: Kind) -> Arc<dyn OnlineStore> {
        match kind {
            Kind::Memory => Arc::new(Memory::new()),
            Kind::Lmdb => {
                let folder = TempDir::new_in(self.folder.path()).unwrap().keep();
                Arc::new(Lmdb::open(&folder).unwrap())
            }
        }
    }

    pub fn store(&self, kind: Kind) -> Serving {
        Serving::over(self.bytes(kind)).unwrap()
    }

    pub async fn materialize(&self, store: &Serving, branch: &str, now: &str) -> Vec<Materialized> {
        let snapshot = self.snapshot(branch).await;
        self.materialize_at(store, &snapshot, &MaterializeRequest::default(), now)
            .await
            .unwrap()
    }

    pub async fn materialize_at(
        &self,
        store: &Serving,
        snapshot: &Snapshot,
        request: &MaterializeRequest,
        now: &str,
    ) -> drumlin_features::Result<Vec<Materialized>> {
        materialize(store, &self.engine, snapshot, request, at(now), &NoProgress).await
    }

    pub async fn verify(&self, store: &Serving, now: &str) -> drumlin_features::Result<Vec<Verified>> {
        verify(store, &self.engine, &[], at(now), &NoProgress).await
    }

    /// The answer of a view for one key, as JSON.
    pub fn get(&self, store: &Serving, view: &str, key: &[&str], now: &str) -> BTreeMap<String, serde_json::Value> {
        let mut lookup = store.prepare(&[ViewUse::of(view)]).unwrap();
        let kinds = lookup.keys().to_vec();
        let keys: Vec<OwnedValue> = key
            .iter()
            .zip(&kinds)
            .map(|(text, (_, kind))| OwnedValue::parse(*kind, text).unwrap())
            .collect();
        let keys: Vec<Value<'_>> = keys.iter().map(OwnedValue::as_value).collect();
        store
            .get(&mut lookup, &[&keys], at(now), |answers| answers.to_json(0))
            .unwrap()
    }
}
