//! Random appends, upserts and deletes beside a map that is obviously right.

use std::collections::BTreeMap;

use drumlin_chunks::NoProgress;
use drumlin_model::CommitId;
use proptest::prelude::*;

use drumlin_tables::DeleteRows;

use crate::support::{TestTables, columns, on};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Option<i64>>),
    Upsert(BTreeMap<i64, Option<i64>>),
    Delete { from: i64, to: i64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || proptest::option::of(-5..5i64);
    prop_oneof![
        2 => prop::collection::vec(value(), 1..8).prop_map(Step::Append),
        3 => prop::collection::btree_map(0..40i64, value(), 1..10).prop_map(Step::Upsert),
        2 => (0..40i64, 0..10i64).prop_map(|(from, len)| Step::Delete { from, to: from + len }),
        1 => Just(Step::Reopen),
    ]
}

fn csv(rows: impl IntoIterator<Item = (i64, Option<i64>)>) -> String {
    let rows = rows
        .into_iter()
        .map(|(id, value)| format!("{id},{}\n", value.map_or("NA".into(), |v| v.to_string())));
    format!("id,v\n{}", rows.collect::<String>())
}

async fn check(steps: Vec<Step>) {
    let mut tables = TestTables::memory().await;
    let mut model = BTreeMap::from([(1000, Some(0))]);
    let mut past: Vec<(CommitId, BTreeMap<i64, Option<i64>>)> = Vec::new();
    let mut next_id = 40;
    tables.create("t", &csv(model.clone()), &["id"]).await;
    for step in steps {
        let written = match step {
            Step::Append(values) => {
                let rows: Vec<_> = (next_id..).zip(values).collect();
                next_id += rows.len() as i64;
                model.extend(rows.iter().copied());
                tables.append("main", "t", &csv(rows)).await.unwrap()
            }
            Step::Upsert(rows) => {
                let known = rows.keys().filter(|id| model.contains_key(id)).count() as u64;
                let written = tables.upsert("t", &csv(rows.clone())).await.unwrap();
                assert_eq!(
                    (written.rows_updated, written.rows_added),
                    (known, rows.len() as u64 - known)
                );
                model.extend(rows);
                written
            }
            Step::Delete { from, to } => {
                let before = model.len();
                model.retain(|id, _| !(from..to).contains(id));
                let predicate = format!("id >= {from} AND id < {to}");
                let written = tables
                    .engine
                    .table_delete(&on("main"), &DeleteRows::new("t", &predicate), &NoProgress)
                    .await
                    .unwrap();
                assert_eq!(written.rows_deleted, (before - model.len()) as u64);
                written
            }
            Step::Reopen => {
                tables = tables.again().await;
                continue;
            }
        };
        past.extend(written.commit.map(|commit| (commit, model.clone())));
    }
    past.push((tables.test.head("main").await.unwrap(), model));
    for (commit, model) in past {
        let rows = tables
            .sql(&format!("SELECT * FROM t@{commit} ORDER BY id"))
            .await
            .unwrap();
        let expected = csv(model).replace("NA", "").replace("id,v\n", "");
        assert_eq!(rows, expected.trim_end().replace('\n', " ; "), "at {commit}");
    }
    let info = tables
        .engine
        .table_show(&tables.snapshot("main").await, "t")
        .await
        .unwrap();
    assert_eq!(info.key, columns(&["id"]));
    tables.assert_sound().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec(step(), 1..20)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(check(steps));
    }
}
