//! The cases of the law that are about writes to the online store, from the files that the as-of join is held to.

use drumlin_testkit::law::{self, CaseFile, Grid, Online, TableText};

use crate::support::{Fixture, Kind};

/// The files are written, by the fixture's clock, before any row's time.
const WRITTEN: &str = "2012-12-01T00:00:00Z";

fn definitions(online: &Online) -> String {
    let view = &online.view;
    let keys: Vec<String> = view
        .keys
        .iter()
        .map(|(key, _)| format!("{{name: {key}, type: int64}}"))
        .collect();
    let created = view
        .created_time
        .as_ref()
        .map_or(String::new(), |column| format!("created_time: {column}\n"));
    format!(
        "kind: entity\nname: owner\nkeys: [{}]\n---\nkind: feature_view\nname: {name}_view\nentity: owner\nsource: {{table: {name}}}\nevent_time: {}\n{created}features: [{}]\n",
        keys.join(", "),
        view.event_time,
        view.features.join(", "),
        name = view.view,
    )
}

/// One CSV file for each row, all with the head.
fn writes(case: &CaseFile, table: &str) -> Vec<String> {
    let (_, TableText::Rows(text)) = case
        .tables
        .iter()
        .find(|(name, _)| name == table)
        .expect("the view's table")
    else {
        panic!("an online case says its rows");
    };
    let table = Grid::parse(text);
    let head: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let row = |row: &Vec<Option<String>>| {
        row.iter()
            .map(|cell| cell.clone().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(",")
    };
    table
        .rows
        .iter()
        .map(|cells| format!("{}\n{}\n", head.join(","), row(cells)))
        .collect()
}

async fn answer(name: &str, case: &CaseFile, online: &Online) {
    let fixture = Fixture::memory().await;
    fixture.test.clock.set(crate::support::at(WRITTEN));
    let table = &online.view.view;
    let view = format!("{table}_view");
    let store = fixture.store(Kind::Lmdb);
    for (number, write) in writes(case, table).iter().enumerate() {
        if number == 0 {
            fixture.table(table, write).await;
            fixture.apply("main", &definitions(online)).await;
        } else {
            fixture.append("main", table, write).await;
        }
        fixture.materialize(&store, "main", &online.reads[0].now).await;
    }
    for read in &online.reads {
        let keys: Vec<&str> = read.key.iter().map(String::as_str).collect();
        let got = fixture.get(&store, &view, &keys, &read.now);
        assert_eq!(got[&format!("{view}__status")], read.status.as_str(), "{name}: {got:?}");
        for (feature, wanted) in &read.features {
            assert_eq!(got[feature].to_string(), *wanted, "{name}: {feature}");
        }
    }
    let rows = fixture
        .sql(&format!("select count(*) as rows from {table}"), "main")
        .await;
    assert_eq!(rows, online.offline_rows.to_string(), "{name}: rows offline");
}

#[tokio::test]
async fn every_online_case_of_the_law_is_answered() {
    let cases: Vec<_> = law::cases()
        .into_iter()
        .filter(|(_, case)| case.online.is_some())
        .collect();
    assert_eq!(cases.len(), 2);
    for (name, case) in &cases {
        answer(name, case, case.online.as_ref().expect("an online case")).await;
    }
}
