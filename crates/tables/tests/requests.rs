//! Requests to the store, because a bucket charges for each in time and money.

use std::sync::Arc;

use drumlin_testkit::{Requests, TestRepo};
use object_store::memory::InMemory;

use crate::support::TestTables;

/// Of an append, whatever is cached. One of them puts the commit's provenance, beside others: it adds no round.
const APPEND_REQUESTS_MAX: usize = 13;

/// A table whose requests are counted.
struct Counted {
    tables: TestTables,
    requests: Arc<Requests>,
}

impl Counted {
    async fn new(csv: &str) -> Self {
        let (storage, requests) = Requests::storage(Arc::new(InMemory::new()));
        let tables = TestTables::of(TestRepo::create(storage).await, |_| ());
        tables.create("t", csv, &["id"]).await;
        Self { tables, requests }
    }

    /// Appends once with what earlier appends left in caches, and once with nothing.
    async fn check(&self, round: usize, csv: &str) {
        let cold = self.tables.again().await;
        for (name, tables) in [("warm", &self.tables), ("cold", &cold)] {
            self.requests.take();
            tables.append("main", "t", csv).await.unwrap();
            let seen = self.requests.take();
            // One operation of the root in 65 moves the older ones into a page of their own, whatever it does itself.
            let pages = seen.iter().filter(|seen| seen.key.starts_with("operations/")).count();
            let lines: Vec<_> = seen
                .iter()
                .map(|seen| format!("{:?} {}", seen.verb, seen.key))
                .collect();
            assert!(
                seen.len() - pages <= APPEND_REQUESTS_MAX && pages <= 1,
                "{name}, round {round}: {} requests\n{}",
                seen.len(),
                lines.join("\n")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_takes_few_requests() {
    let table = Counted::new("id,v\n1,1\n").await;
    for round in 0..66 {
        table.check(round, &format!("id,v\n{round},2\n")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_megabytes_takes_few_requests() {
    let rows = |from: u64| {
        let rows = (from..from + 100_000).map(|row| format!("{row},{}\n", blake3::hash(&row.to_le_bytes())));
        format!("id,v\n{}", rows.collect::<String>())
    };
    let table = Counted::new(&rows(0)).await;
    for round in 1..4 {
        table.check(round as usize, &rows(round * 1_000_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_to_a_table_of_many_files_takes_few_requests() {
    let table = Counted::new("id,v\n1,1\n").await;
    for row in 0..250 {
        table
            .tables
            .append("main", "t", &format!("id,v\n{row},2\n"))
            .await
            .unwrap();
    }
    for round in 0..6 {
        table.check(round, &format!("id,v\n{round},3\n")).await;
    }
}
