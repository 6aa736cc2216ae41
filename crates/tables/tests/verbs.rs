//! The verbs: what each does to the rows, and what its commit says.

use drumlin_chunks::NoProgress;
use drumlin_tables::{DeleteRows, ReadOptions};

use crate::support::{TestTables, appending, columns, creating, on, overwriting, upserting};

const START: &str = "id,name,score\n1,one,1.5\n2,two,\n3,three,3.5\n";

#[tokio::test(flavor = "multi_thread")]
async fn create_append_overwrite() {
    let tables = TestTables::memory().await;
    let created = tables.create("t", START, &["id"]).await;
    assert_eq!((created.version, created.rows_added), (0, 3));
    let appended = tables
        .append("main", "tables/t", "id,name,score\n4,four,4.5\n")
        .await
        .unwrap();
    assert_eq!((appended.version, appended.rows_added), (1, 1));
    assert_eq!(tables.sql("SELECT count(*), sum(score) FROM t").await.unwrap(), "4,9.5");

    let source = tables.file("other.csv", "id,other\n9,x\n");
    let written = tables
        .engine
        .table_overwrite(
            &on("main"),
            &overwriting("t", &source, &ReadOptions::default()),
            &NoProgress,
        )
        .await
        .unwrap();
    assert_eq!((written.version, written.rows_added, written.rows_deleted), (2, 1, 4));
    assert_eq!(tables.sql("SELECT * FROM t").await.unwrap(), "9,x");
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap();
    assert_eq!(
        (info.rows, info.files, info.version, info.key),
        (1, 1, 2, columns(&["id"]))
    );
    assert_eq!(info.commit, written.commit.unwrap());
    tables.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upsert_replaces_and_adds() {
    let tables = TestTables::memory().await;
    tables.create("t", START, &["id"]).await;
    let written = tables.upsert("t", "score,id,name\n,1,uno\n7,7,seven\n").await.unwrap();
    assert_eq!((written.rows_added, written.rows_updated, written.version), (1, 1, 1));
    let rows = tables.sql("SELECT * FROM t ORDER BY id").await.unwrap();
    assert_eq!(rows, "1,uno, ; 2,two, ; 3,three,3.5 ; 7,seven,7.0");
    // A second table without a key takes the first that is given, and keeps it.
    let source = tables.file("k.csv", "a,b,v\nx,1,10\nx,2,20\n");
    let options = ReadOptions::default();
    tables
        .engine
        .table_create(&on("main"), &creating("k", &source, &options, &[]), &NoProgress)
        .await
        .unwrap();
    let more = tables.file("more.csv", "a,b,v\nx,2,21\ny,2,30\n");
    let key = columns(&["a", "b"]);
    let written = tables
        .engine
        .table_upsert(&on("main"), &upserting("k", &more, &options, &key, false), &NoProgress)
        .await
        .unwrap();
    assert_eq!((written.rows_added, written.rows_updated), (1, 1));
    assert_eq!(
        tables.sql("SELECT * FROM k ORDER BY a, b").await.unwrap(),
        "x,1,10 ; x,2,21 ; y,2,30"
    );
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, "k")
        .await
        .unwrap();
    assert_eq!(info.key, key);
    let empty = tables.upsert("k", "a,b,v\n").await.unwrap();
    assert_eq!((empty.commit, empty.version), (None, 1));
    tables.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_by_predicate() {
    let tables = TestTables::memory().await;
    tables.create("t", START, &[]).await;
    tables
        .append("main", "t", "id,name,score\n10,ten,10\n11,eleven,11\n")
        .await
        .unwrap();
    // Null is not true: the row without a score stays, both ways round.
    let written = tables
        .engine
        .table_delete(
            &on("main"),
            &DeleteRows::new("t", "score > 3 AND name <> 'ten'"),
            &NoProgress,
        )
        .await
        .unwrap();
    assert_eq!((written.rows_deleted, written.version), (2, 2));
    assert_eq!(tables.sql("SELECT id FROM t ORDER BY id").await.unwrap(), "1 ; 2 ; 10");
    let written = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "NOT score > 3"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(written.rows_deleted, 1);
    assert_eq!(tables.sql("SELECT id FROM t ORDER BY id").await.unwrap(), "2 ; 10");
    let nothing = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "id = 1000"), &NoProgress)
        .await
        .unwrap();
    assert_eq!((nothing.commit, nothing.rows_deleted, nothing.version), (None, 0, 3));
    let all = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "true"), &NoProgress)
        .await
        .unwrap();
    assert_eq!(all.rows_deleted, 2);
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "0");
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap();
    assert_eq!((info.rows, info.files), (0, 0));
    tables.append("main", "t", START).await.unwrap();
    assert_eq!(tables.sql("SELECT count(*) FROM t").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_names_commits() {
    let tables = TestTables::memory().await;
    let created = tables.create("t", START, &[]).await;
    tables.test.write("main", "notes.txt", "hello").await.unwrap();
    let mut request = on("main");
    request.message = Some("more of them".into());
    let source = tables.file("more.csv", START);
    let appended = tables
        .engine
        .table_append(
            &request,
            &appending("t", &source, &ReadOptions::default(), false),
            &NoProgress,
        )
        .await
        .unwrap();
    let deleted = tables
        .engine
        .table_delete(&on("main"), &DeleteRows::new("t", "id = 1"), &NoProgress)
        .await
        .unwrap();
    let history = tables
        .engine
        .table_history(&tables.snapshot("main").await, "t", 100)
        .await
        .unwrap();
    let seen: Vec<_> = history
        .iter()
        .map(|change| (change.commit, change.version, change.verb.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (deleted.commit.unwrap(), Some(2), "table delete"),
            (appended.commit.unwrap(), Some(1), "table append"),
            (created.commit.unwrap(), Some(0), "table create"),
        ]
    );
    assert_eq!(history[0].message, "table delete t: 2 rows where id = 1");
    assert_eq!(history[1].message, "more of them");
    assert_eq!(history[2].message, "table create t: 3 rows from in.csv");
    let one = tables
        .engine
        .table_history(&tables.snapshot("main").await, "t", 1)
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_input_gives_the_same_bytes() {
    let mut ids = Vec::new();
    for threads in [1, 4] {
        let test = drumlin_testkit::TestRepo::memory().await;
        let tables = TestTables::of(test, |options| options.threads = threads);
        let rows: String = (0..50_000)
            .map(|row| format!("{row},{}\n", (row * 7919) % 1000))
            .collect();
        tables.create("t", &format!("id,v\n{rows}"), &["id"]).await;
        let snapshot = tables.snapshot("main").await;
        let table = tables.engine.table_at(&snapshot, "t").await.unwrap();
        assert_eq!(table.files[0].rows, Some(50_000));
        let file = drumlin_testkit::path(table.files[0].file.path.as_ref());
        ids.push(blake3::hash(&snapshot.read(&file).await.unwrap()));
        assert_eq!(
            table.files[0].file.size,
            snapshot.read(&file).await.unwrap().len() as u64
        );
    }
    assert_eq!(ids[0], ids[1]);
}
