//! The online store: what is materialized, what is answered, and that both are what the as-of join says.

use drumlin_chunks::NoProgress;
use drumlin_features::{
    definition::ViewUse,
    online::{How, OnlineStore, Push, Value, materialize::Request},
};
use drumlin_model::ErrorKind;

use crate::support::{DEFINITIONS, Fixture, at};

const NOON: &str = "2013-01-01T09:30:00Z";

async fn verified(fixture: &Fixture, store: &OnlineStore, now: &str) -> Vec<drumlin_features::online::Verified> {
    store.verify(&fixture.engine, &[], at(now), &NoProgress).await.unwrap()
}

#[tokio::test]
async fn the_newest_row_answers_within_its_age() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!((done[0].how, done[0].rows_read, done[0].keys), (How::Full, 4, 2));
    let got = fixture.get(&store, "weather_hourly", &["EWR"], NOON);
    assert_eq!(got["temp"], 38.5);
    assert!(got["wind"].is_null());
    assert_eq!(
        (&got["weather_hourly__status"], &got["weather_hourly__event_time"]),
        (&"PRESENT".into(), &"2013-01-01T07:00:00Z".into())
    );
    assert_eq!(
        fixture.get(&store, "weather_hourly", &["LGA"], NOON)["weather_hourly__status"],
        "NOT_FOUND"
    );
    let late = fixture.get(&store, "weather_hourly", &["JFK"], "2013-01-01T12:00:00.000001Z");
    assert_eq!(late["weather_hourly__status"], "OUTSIDE_MAX_AGE");
    assert!(late["temp"].is_null());
    let report = &verified(&fixture, &store, NOON).await[0];
    assert!(
        report.is_identical() && report.keys == 2 && report.values == 4,
        "{report:?}"
    );
}

#[tokio::test]
async fn many_keys_and_views_come_in_one_call() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    fixture.materialize(&store, "main", NOON).await;
    let from = ViewUse {
        alias: Some("from".into()),
        ..ViewUse::of("weather_hourly")
    };
    let to = ViewUse {
        alias: Some("to".into()),
        features: vec!["temp".into()],
        keys: [("origin".to_owned(), "dest".to_owned())].into(),
        ..ViewUse::of("weather_hourly")
    };
    let mut lookup = store.prepare(&[from, to]).unwrap();
    let keys: Vec<&str> = lookup.keys().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(keys, ["origin", "dest"]);
    let rows = [
        [Value::Text("EWR"), Value::Text("JFK")],
        [Value::Text("JFK"), Value::Null],
    ];
    let rows: Vec<&[Value<'_>]> = rows.iter().map(|row| &row[..]).collect();
    let (first, second) = store
        .get(&mut lookup, &rows, at(NOON), |answers| {
            (answers.to_json(0), answers.to_json(1))
        })
        .unwrap();
    assert_eq!((&first["from__temp"], &first["to__temp"]), (&38.5.into(), &40.0.into()));
    assert_eq!(
        (&second["from__temp"], &second["to__status"]),
        (&40.0.into(), &"NOT_FOUND".into())
    );
    let error = store.get(&mut lookup, &[&[Value::Null]], at(NOON), |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn appended_files_alone_are_read_and_late_rows_arrive_when_newer() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    fixture.materialize(&store, "main", NOON).await;
    // Late by event time, one older than what is stored, one newer; and a new key.
    fixture
        .append(
            "main",
            "weather",
            "origin,temp,wind,time_hour\nEWR,1.0,1.0,2013-01-01T06:30:00Z\nEWR,2.0,2.0,2013-01-01T08:00:00Z\nLGA,3.0,3.0,2013-01-01T09:00:00Z\n",
        )
        .await;
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!(
        (done[0].how, done[0].rows_read, done[0].rows_stored, done[0].keys),
        (How::Appended, 3, 2, 3)
    );
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], NOON)["temp"], 2.0);
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
    let again = fixture.materialize(&store, "main", NOON).await;
    assert_eq!((again[0].how, again[0].rows_read), (How::Unchanged, 0));
    // Incremental is what full is.
    let head = fixture.snapshot("main").await;
    let incremental = fixture.get(&store, "weather_hourly", &["LGA"], NOON);
    let rebuild = Request {
        views: vec!["weather_hourly".into()],
        rebuild: true,
        ..Request::default()
    };
    let full = store
        .materialize(&fixture.engine, &head, &rebuild, at(NOON), &NoProgress)
        .await
        .unwrap();
    assert_eq!((full[0].how, full[0].keys), (How::Full, 3));
    assert_eq!(fixture.get(&store, "weather_hourly", &["LGA"], NOON), incremental);
}

#[tokio::test]
async fn keys_that_are_gone_leave_the_store() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    fixture.materialize(&store, "main", NOON).await;
    fixture
        .overwrite(
            "main",
            "weather",
            "origin,temp,wind,time_hour\nJFK,7.0,7.0,2013-01-01T09:00:00Z\n",
        )
        .await;
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!((done[0].how, done[0].keys), (How::Full, 1));
    assert_eq!(
        fixture.get(&store, "weather_hourly", &["EWR"], NOON)["weather_hourly__status"],
        "NOT_FOUND"
    );
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
}

#[tokio::test]
async fn a_changed_definition_rebuilds_and_open_lookups_follow() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    fixture.materialize(&store, "main", NOON).await;
    let mut lookup = store.prepare(&[ViewUse::of("weather_hourly")]).unwrap();
    fixture
        .apply("main", &DEFINITIONS.replace("max_age: 3h", "max_age: 1h"))
        .await;
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!(done[0].how, How::Full);
    let keys: &[Value<'_>] = &[Value::Text("EWR")];
    let status = store
        .get(&mut lookup, &[keys], at(NOON), |answers| answers.answer(0, 0).status())
        .unwrap();
    assert_eq!(status.as_str(), "OUTSIDE_MAX_AGE");
    fixture
        .apply("main", &DEFINITIONS.replace("max_age: 3h", "online: false"))
        .await;
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!(done[0].how, How::Removed);
    assert_eq!(
        store.prepare(&[ViewUse::of("weather_hourly")]).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn rows_of_the_future_answer_from_their_time_on() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    let early = "2013-01-01T06:30:00Z";
    fixture.materialize(&store, "main", early).await;
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], early)["temp"], 39.0);
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], NOON)["temp"], 38.5);
    assert!(verified(&fixture, &store, early).await[0].is_identical());
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
}

#[tokio::test]
async fn what_is_pushed_is_there_at_once_and_stays_until_the_table_has_it() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    // Created times are those of the files, which the test's clock dates in 2024.
    let now = "2030-01-01T00:00:00Z";
    fixture.materialize(&store, "main", now).await;
    let state = store.view("weather_hourly").unwrap();
    let row = |json: &str| {
        Push::from_json(
            &state,
            serde_json::from_str::<serde_json::Value>(json)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    };
    let newer = row(r#"{"origin": "EWR", "temp": 5, "event_time": "2029-12-31T23:00:00Z"}"#).unwrap();
    let older = row(r#"{"origin": "JFK", "temp": 6, "event_time": "2012-12-31T23:00:00Z"}"#).unwrap();
    assert_eq!(store.push("weather_hourly", &[newer, older], at(now)).unwrap(), 1);
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], now)["temp"], 5.0);
    let report = &verified(&fixture, &store, now).await[0];
    assert!(report.is_identical() && report.pushed == 1, "{report:?}");
    let head = fixture.snapshot("main").await;
    let rebuild = Request {
        rebuild: true,
        ..Request::default()
    };
    store
        .materialize(&fixture.engine, &head, &rebuild, at(now), &NoProgress)
        .await
        .unwrap();
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], now)["temp"], 5.0);
    let error = row(r#"{"origin": "EWR", "tmp": 5, "event_time": "2029-12-31T23:00:00Z"}"#).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean \"temp\"?");
}

#[tokio::test]
async fn a_wrong_row_is_found() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    let now = "2024-06-01T00:00:00Z";
    fixture.apply("main", &DEFINITIONS.replace("max_age: 3h\n", "")).await;
    fixture.materialize(&store, "main", now).await;
    assert!(verified(&fixture, &store, now).await[0].is_identical());
    drop(store);
    damage(&fixture.folder.path().join("online"));
    let store = fixture.store();
    let report = &verified(&fixture, &store, now).await[0];
    assert!(!report.is_identical());
    // The missing key has two rows.
    assert_eq!((report.different, report.missing), (1, 2), "{report:?}");
    assert!(
        report.mismatches.iter().any(|mismatch| mismatch.what == "temp"),
        "{report:?}"
    );
    assert!(
        report.mismatches.iter().any(|mismatch| mismatch.what == "key"),
        "{report:?}"
    );
}

/// Flips a bit of the first key's first value, and deletes the last key.
fn damage(folder: &std::path::Path) {
    use heed::types::Bytes;
    let mut options = heed::EnvOpenOptions::new();
    // SAFETY: nobody else has the folder open.
    let env = unsafe { options.map_size(1 << 30).max_dbs(8).open(folder) }.unwrap();
    let txn = env.write_txn().unwrap();
    let rows = env
        .create_databases_and_commit::<_, _, (), heed::Error>(txn, |opener, txn| {
            opener
                .create_database::<Bytes, Bytes>(txn, Some("rows"))
                .map(heed::CommitOrAbort::Commit)
        })
        .unwrap()
        .unwrap_commit();
    let mut txn = env.write_txn().unwrap();
    let (key, mut value) = rows
        .first(&txn)
        .unwrap()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .unwrap();
    // Value header 11, version length 4, version header 33, a byte of nulls, then the first slot.
    value[11 + 4 + 33 + 1 + 6] ^= 1;
    rows.put(&mut txn, &key, &value).unwrap();
    let last = rows.last(&txn).unwrap().unwrap().0.to_vec();
    assert_ne!(last, key);
    rows.delete(&mut txn, &last).unwrap();
    txn.commit().unwrap();
}

#[tokio::test]
async fn one_process_materializes_at_a_time() {
    let fixture = Fixture::flights().await;
    let store = fixture.store();
    let lock = std::fs::File::create(fixture.folder.path().join("online/materialize.lock")).unwrap();
    lock.lock().unwrap();
    let head = fixture.snapshot("main").await;
    let error = store
        .materialize(&fixture.engine, &head, &Request::default(), at(NOON), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_view_over_a_query_is_verified_too() {
    let fixture = Fixture::flights().await;
    let query = "{sql: \"SELECT origin, avg(temp) AS temp, max(wind) AS wind, max(time_hour) AS time_hour FROM weather GROUP BY origin\"}";
    fixture
        .apply("main", &DEFINITIONS.replace("{table: weather}", query))
        .await;
    let store = fixture.store();
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!((done[0].how, done[0].keys), (How::Full, 2));
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
    fixture
        .append(
            "main",
            "flights",
            "flight,origin,dest,sched\n9,EWR,JFK,2013-01-02T06:30:00Z\n",
        )
        .await;
    assert_eq!(fixture.materialize(&store, "main", NOON).await[0].how, How::Unchanged);
    fixture
        .append(
            "main",
            "weather",
            "origin,temp,wind,time_hour\nLGA,1.0,1.0,2013-01-01T06:30:00Z\n",
        )
        .await;
    assert_eq!(fixture.materialize(&store, "main", NOON).await[0].how, How::Full);
}
