//! When rows were written, and in which order, outlives the rewrite of their file.

use drumlin_chunks::NoProgress;
use drumlin_model::Timestamp;
use drumlin_tables::{DeleteRows, TableFile};

use crate::support::{TestTables, on};

async fn files(tables: &TestTables) -> Vec<TableFile> {
    let snapshot = tables.snapshot("main").await;
    tables.engine.table_at(&snapshot, "t").await.unwrap().files
}

fn stamps(files: &[TableFile]) -> Vec<(Option<Timestamp>, String)> {
    files
        .iter()
        .map(|file| (file.file.written, file.order.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_keeps_when_rows_were_written() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n1,1\n2,2\n", &["id"]).await;
    tables.append("main", "t", "id,v\n3,3\n4,4\n").await.unwrap();
    let before = files(&tables).await;
    assert_eq!(before[0].order, "00000000000000000000/00000");
    assert_eq!(before[1].order, "00000000000000000001/00000");
    assert!(before[0].file.written < before[1].file.written);

    tables.upsert("t", "id,v\n2,20\n9,9\n").await.unwrap();
    let after = files(&tables).await;
    assert_eq!(stamps(&after)[..2], stamps(&before));
    assert_eq!(
        after.iter().map(|file| file.rows.unwrap()).collect::<Vec<_>>(),
        [1, 2, 2]
    );
    assert!(after[2].file.written > after[1].file.written);

    tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "id = 3 OR id = 9"), &NoProgress)
        .await
        .unwrap();
    let left = files(&tables).await;
    assert_eq!(stamps(&left), stamps(&after));
    assert_eq!(
        left.iter().map(|file| file.rows.unwrap()).collect::<Vec<_>>(),
        [1, 1, 1]
    );
    tables.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_does_not_change_the_order() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n1,1\n", &["id"]).await;
    for id in 2..9 {
        tables.test.clock.set(Timestamp::from_micros(1000 - id));
        tables.append("main", "t", &format!("id,v\n{id},1\n")).await.unwrap();
    }
    // Through a checkpoint and another process.
    let fresh = tables.again().await;
    let found = files(&fresh).await;
    let orders: Vec<_> = found
        .iter()
        .map(|file| file.order[..20].parse::<u64>().unwrap())
        .collect();
    assert_eq!(orders, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(found.is_sorted_by(|a, b| a.file.written < b.file.written));
}
