//! The online store: what is materialized, what is answered, and that both are what the as-of join says.

use drumlin_features::online::{How, MaterializeRequest, Verified};
use drumlin_model::{Cure, ErrorKind, feature::ViewUse};
use drumlin_online::{LeaseSort, OnlineStore, Row, Scan, Serving, Value};

use crate::{
    in_each_kind,
    support::{DEFINITIONS, Fixture, Kind, at},
};

in_each_kind!(
    the_newest_row_answers_within_its_age,
    many_keys_and_views_come_in_one_call,
    appended_files_alone_are_read_and_late_rows_arrive_when_newer,
    keys_that_are_gone_leave_the_store,
    a_changed_definition_rebuilds_and_open_lookups_follow,
    rows_of_the_future_answer_from_their_time_on,
    what_is_pushed_is_there_at_once_and_stays_until_the_table_has_it,
    a_wrong_row_is_found,
    one_process_materializes_at_a_time,
    a_view_over_a_query_is_verified_too,
);

const NOON: &str = "2013-01-01T09:30:00Z";

async fn verified(fixture: &Fixture, store: &Serving, now: &str) -> Vec<Verified> {
    fixture.verify(store, now).await.unwrap()
}

async fn the_newest_row_answers_within_its_age(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
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

async fn many_keys_and_views_come_in_one_call(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
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

async fn appended_files_alone_are_read_and_late_rows_arrive_when_newer(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
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
    let rebuild = MaterializeRequest {
        views: vec!["weather_hourly".into()],
        rebuild: true,
        ..MaterializeRequest::default()
    };
    let full = fixture.materialize_at(&store, &head, &rebuild, NOON).await.unwrap();
    assert_eq!((full[0].how, full[0].keys), (How::Full, 3));
    assert_eq!(fixture.get(&store, "weather_hourly", &["LGA"], NOON), incremental);
}

async fn keys_that_are_gone_leave_the_store(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
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

async fn a_changed_definition_rebuilds_and_open_lookups_follow(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
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

async fn rows_of_the_future_answer_from_their_time_on(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    let early = "2013-01-01T06:30:00Z";
    fixture.materialize(&store, "main", early).await;
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], early)["temp"], 39.0);
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], NOON)["temp"], 38.5);
    assert!(verified(&fixture, &store, early).await[0].is_identical());
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
}

async fn what_is_pushed_is_there_at_once_and_stays_until_the_table_has_it(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    // Created times are those of the files, which the test's clock dates in 2024.
    let now = "2030-01-01T00:00:00Z";
    fixture.materialize(&store, "main", now).await;
    let state = store.view("weather_hourly").unwrap();
    let row = |json: &str| {
        Row::from_json(
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
    let rebuild = MaterializeRequest {
        rebuild: true,
        ..MaterializeRequest::default()
    };
    fixture.materialize_at(&store, &head, &rebuild, now).await.unwrap();
    assert_eq!(fixture.get(&store, "weather_hourly", &["EWR"], now)["temp"], 5.0);
    let error = row(r#"{"origin": "EWR", "tmp": 5, "event_time": "2029-12-31T23:00:00Z"}"#).unwrap_err();
    assert_eq!(error.cures(), [Cure::did_you_mean("temp")]);
}

async fn a_wrong_row_is_found(kind: Kind) {
    let fixture = Fixture::flights().await;
    let bytes = fixture.bytes(kind);
    let store = Serving::over(bytes.clone()).unwrap();
    let now = "2024-06-01T00:00:00Z";
    fixture.apply("main", &DEFINITIONS.replace("max_age: 3h\n", "")).await;
    fixture.materialize(&store, "main", now).await;
    assert!(verified(&fixture, &store, now).await[0].is_identical());
    damage(&*bytes);
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
fn damage(bytes: &dyn OnlineStore) {
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let all = Scan {
        prefix: &[1],
        after: None,
        limit: usize::MAX,
    };
    bytes
        .scan(all, &mut |key, value| rows.push((key.to_vec(), value.to_vec())))
        .unwrap();
    let (last, _) = rows.pop().unwrap();
    let (key, mut value) = rows.swap_remove(0);
    // Value header 11, version length 4, version header 33, a byte of nulls, then the first slot.
    value[11 + 4 + 33 + 1 + 6] ^= 1;
    bytes
        .update(&[], &mut |_, batch| {
            batch.put(&key, value.clone())?;
            batch.delete(&last)
        })
        .unwrap();
}

async fn one_process_materializes_at_a_time(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    let _lease = store.lease(LeaseSort::Shared).unwrap();
    let head = fixture.snapshot("main").await;
    let error = fixture
        .materialize_at(&store, &head, &MaterializeRequest::default(), NOON)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

async fn a_view_over_a_query_is_verified_too(kind: Kind) {
    let fixture = Fixture::flights().await;
    let query = "{sql: \"SELECT origin, avg(temp) AS temp, max(wind) AS wind, max(time_hour) AS time_hour FROM weather GROUP BY origin\"}";
    fixture
        .apply("main", &DEFINITIONS.replace("{table: weather}", query))
        .await;
    let store = fixture.store(kind);
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
