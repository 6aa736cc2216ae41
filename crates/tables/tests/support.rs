//! `TestTables`: a repository in memory with an engine, and the few calls that every test repeats.

use std::path::{Path, PathBuf};

use drumlin_chunks::{NoProgress, Storage};
use drumlin_model::{By, RefExpr, Timestamp};
use drumlin_repo::Snapshot;
use drumlin_tables::{
    AppendRows, CreateTable, Engine, EngineOptions, Error, FromFile, OverwriteTable, ReadOptions, RowFormat, Source,
    UpsertRows, WriteRequest, Written, write_rows,
};
use drumlin_testkit::{TestRepo, name};
use tempfile::TempDir;

pub struct TestTables {
    pub test: TestRepo,
    pub engine: Engine,
    pub folder: TempDir,
}

/// A file of the tests' data.
pub fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

pub fn on(branch: &str) -> WriteRequest {
    WriteRequest {
        branch: name(branch),
        by: By::new("tester", Timestamp::from_micros(1)),
        message: None,
    }
}

fn from(source: &Source, read: &ReadOptions) -> FromFile {
    FromFile {
        source: source.clone(),
        read: read.clone(),
    }
}

pub fn creating(table: &str, source: &Source, read: &ReadOptions, key: &[String]) -> CreateTable {
    CreateTable {
        key: key.to_vec(),
        ..CreateTable::new(table, from(source, read))
    }
}

pub fn appending(table: &str, source: &Source, read: &ReadOptions, evolve: bool) -> AppendRows {
    AppendRows {
        evolve,
        ..AppendRows::new(table, from(source, read))
    }
}

pub fn overwriting(table: &str, source: &Source, read: &ReadOptions) -> OverwriteTable {
    OverwriteTable::new(table, from(source, read))
}

pub fn upserting(table: &str, source: &Source, read: &ReadOptions, key: &[String], evolve: bool) -> UpsertRows {
    UpsertRows {
        key: key.to_vec(),
        evolve,
        ..UpsertRows::new(table, from(source, read))
    }
}

pub fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn expr(text: &str) -> RefExpr {
    text.parse().unwrap()
}

impl TestTables {
    pub async fn memory() -> Self {
        Self::over(Storage::memory()).await
    }

    pub async fn over(storage: Storage) -> Self {
        Self::of(TestRepo::create(storage).await, |_| ())
    }

    pub fn of(test: TestRepo, limit: impl FnOnce(&mut EngineOptions)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = EngineOptions::new(folder.path().join("spill"));
        options.threads = 2;
        limit(&mut options);
        let engine = Engine::new(test.repo.clone(), options).unwrap();
        Self { test, engine, folder }
    }

    /// Another process, nearly.
    pub async fn again(&self) -> Self {
        Self::of(self.test.reopen().await, |_| ())
    }

    /// A file of this content in the test's folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Source {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        Source::File {
            file,
            name: name.into(),
            path: None,
        }
    }

    pub async fn create(&self, table: &str, csv: &str, key: &[&str]) -> Written {
        let source = self.file("in.csv", csv);
        self.engine
            .table_create(
                &on("main"),
                &creating(table, &source, &ReadOptions::default(), &columns(key)),
                &NoProgress,
            )
            .await
            .unwrap()
    }

    pub async fn append(&self, branch: &str, table: &str, csv: &str) -> Result<Written, Error> {
        let source = self.file(&format!("{branch}-append.csv"), csv);
        self.engine
            .table_append(
                &on(branch),
                &appending(table, &source, &ReadOptions::default(), false),
                &NoProgress,
            )
            .await
    }

    pub async fn upsert(&self, table: &str, csv: &str) -> Result<Written, Error> {
        let source = self.file("upsert.csv", csv);
        self.engine
            .table_upsert(
                &on("main"),
                &upserting(table, &source, &ReadOptions::default(), &[], false),
                &NoProgress,
            )
            .await
    }

    pub async fn snapshot(&self, at: &str) -> Snapshot {
        self.test.repo.snapshot(&expr(at)).await.unwrap()
    }

    /// The rows of a query on main, as CSV without the header.
    pub async fn sql(&self, sql: &str) -> Result<String, Error> {
        self.sql_at(sql, "main").await
    }

    pub async fn sql_at(&self, sql: &str, at: &str) -> Result<String, Error> {
        let text = self.write(sql, at, RowFormat::Csv).await?;
        let text = String::from_utf8(text).unwrap();
        Ok(text.split_once('\n').unwrap().1.trim_end().replace('\n', " ; "))
    }

    pub async fn write(&self, sql: &str, at: &str, format: RowFormat) -> Result<Vec<u8>, Error> {
        let rows = self.engine.query(sql, &expr(at)).await?.stream().await?;
        let mut out = Vec::new();
        write_rows(&self.engine, rows, format, &mut out, &NoProgress).await?;
        Ok(out)
    }

    pub async fn assert_sound(&self) {
        assert_eq!(self.test.problems().await.unwrap(), Vec::<String>::new());
    }
}

/// One line of an error as people see it, causes and all.
pub fn line(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
