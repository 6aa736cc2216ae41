//! Many writers of one table: none of what was acknowledged is lost, and the loser of a race tries again.

use drumlin_chunks::{NoProgress, Storage};
use drumlin_tables::{DeleteRows, ReadOptions};

use crate::support::{TestTables, creating, on, upserting};

const WRITERS: usize = 8;
const APPENDS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_appenders_all_succeed() {
    let folder = tempfile::TempDir::new().unwrap();
    let tables = TestTables::over(Storage::directory(folder.path()).unwrap()).await;
    tables.create("t", "writer,number\n-1,-1\n", &[]).await;
    let writers = (0..WRITERS).map(|writer| {
        let test = tables.test.clone();
        async move {
            let tables = TestTables::of(test.reopen().await, |_| ());
            for number in 0..APPENDS {
                tables
                    .append("main", "t", &format!("writer,number\n{writer},{number}\n"))
                    .await
                    .unwrap();
            }
        }
    });
    let running: Vec<_> = writers.map(tokio::spawn).collect();
    for writer in running {
        writer.await.unwrap();
    }
    let tables = tables.again().await;
    let rows = tables
        .sql("SELECT count(*), count(DISTINCT writer * 100 + number) FROM t")
        .await
        .unwrap();
    assert_eq!(rows, format!("{0},{0}", WRITERS * APPENDS + 1));
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap();
    assert_eq!(info.version, (WRITERS * APPENDS) as u64);
    tables.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_one_of_many_creates() {
    let tables = TestTables::memory().await;
    let source = tables.file("in.csv", "id\n1\n");
    let creating = (0..4).map(|_| {
        let (engine, source) = (tables.engine.clone(), source.clone());
        tokio::spawn(async move {
            engine
                .table_create(
                    &on("main"),
                    &creating("t", &source, &ReadOptions::default(), &[]),
                    &NoProgress,
                )
                .await
                .is_ok()
        })
    });
    let mut created = 0;
    for done in creating.collect::<Vec<_>>() {
        created += usize::from(done.await.unwrap());
    }
    assert_eq!(created, 1);
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upserts_and_deletes_meet_without_loss() {
    let tables = TestTables::memory().await;
    tables.create("t", "id,v\n0,0\n", &["id"]).await;
    let options = ReadOptions::default();
    let work = (1..=WRITERS).map(|writer| {
        let engine = tables.engine.clone();
        let source = tables.file(
            &format!("{writer}.csv"),
            format!("id,v\n0,{writer}\n{writer},{writer}\n"),
        );
        let options = options.clone();
        tokio::spawn(async move {
            engine
                .table_upsert(&on("main"), &upserting("t", &source, &options, &[], false), &NoProgress)
                .await
                .unwrap();
            engine
                .table_delete(
                    &on("main"),
                    &DeleteRows::new("t", format!("id = {writer} AND id % 2 = 0")),
                    &NoProgress,
                )
                .await
                .unwrap();
        })
    });
    for done in work.collect::<Vec<_>>() {
        done.await.unwrap();
    }
    let rows = tables.sql("SELECT id FROM t WHERE id > 0 ORDER BY id").await.unwrap();
    assert_eq!(rows, "1 ; 3 ; 5 ; 7");
    assert_eq!(tables.sql("SELECT count(*) FROM t WHERE id = 0").await.unwrap(), "1");
}
