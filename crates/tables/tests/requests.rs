//! Requests to the store, because a bucket charges for each in time and money.

use std::sync::Arc;

use drumlin_testkit::{Requests, TestRepo};
use object_store::memory::InMemory;

use crate::support::TestTables;

const APPEND_REQUESTS_MAX: usize = 12;
/// With nothing cached.
const COLD_APPEND_REQUESTS_MAX: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn an_append_takes_few_requests() {
    let (storage, requests) = Requests::storage(Arc::new(InMemory::new()));
    let tables = TestTables::of(TestRepo::create(storage).await, |_| ());
    tables.create("t", "id,v\n1,1\n", &["id"]).await;
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for round in 0..66 {
        let csv = format!("id,v\n{round},2\n");
        requests.take();
        tables.append("main", "t", &csv).await.unwrap();
        warm.push(requests.take().len());
        let fresh = tables.again().await;
        requests.take();
        fresh.append("main", "t", &csv).await.unwrap();
        let seen = requests.take();
        if seen.len() > COLD_APPEND_REQUESTS_MAX {
            seen.iter()
                .for_each(|request| println!("{round} {:?} {}", request.verb, request.key));
        }
        cold.push(seen.len());
    }
    println!("requests of an append: warm {warm:?}, cold {cold:?}");
    assert!(warm.iter().all(|&count| count <= APPEND_REQUESTS_MAX), "warm: {warm:?}");
    assert!(
        cold.iter().all(|&count| count <= COLD_APPEND_REQUESTS_MAX),
        "cold: {cold:?}"
    );
}
