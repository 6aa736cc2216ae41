//! The online store where its answers end: before what it keeps, after an interrupted append, with pushed rows, other definitions
//! and rows that end.

use drumlin_features::{
    Registry,
    online::{MaterializeRequest, Verified, check_definitions},
};
use drumlin_model::{Cure, ErrorKind, Verb, feature::ViewUse};
use drumlin_online::{Row, Serving, Value};

use crate::{
    in_each_kind,
    support::{DEFINITIONS, Fixture, Kind, at},
};

in_each_kind!(
    a_time_before_what_is_kept_is_an_error_not_an_answer,
    a_null_that_was_filled_later_is_not_filled_earlier,
    rows_of_an_interrupted_append_do_not_stay_with_an_older_commit,
    a_global_view_is_built_again_after_a_push,
    an_empty_store_proves_nothing,
    a_branch_with_another_definition_is_told_so,
    one_failing_view_does_not_keep_the_others_from_the_commit,
    rows_that_end_answer_until_their_end,
    a_pushed_row_says_what_it_means_exactly,
    a_float32_is_pushed_and_asked_for_as_one,
    a_key_of_two_types_is_told_with_both_views,
    a_null_that_a_pushed_row_fills_is_no_difference,
);

const NOON: &str = "2013-01-01T09:30:00Z";
const EARLY: &str = "2013-01-01T06:30:00Z";

async fn verified(fixture: &Fixture, store: &Serving, now: &str) -> Vec<Verified> {
    fixture.verify(store, now).await.unwrap()
}

fn ask(store: &Serving, key: &str, now: &str) -> drumlin_online::Result<String> {
    let mut lookup = store.prepare(&[ViewUse::of("weather_hourly")]).unwrap();
    store.get(&mut lookup, &[&[Value::Text(key)]], at(now), |answers| {
        answers.to_json(0)["temp"].to_string()
    })
}

fn pushed(store: &Serving, view: &str, json: &str) -> drumlin_online::Result<Row> {
    let row: serde_json::Value = serde_json::from_str(json).unwrap();
    Row::from_json(&store.view(view).unwrap(), row.as_object().unwrap())
}

async fn a_time_before_what_is_kept_is_an_error_not_an_answer(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let error = ask(&store, "EWR", EARLY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(error.to_string().contains("weather_hourly"), "{error}");
    assert_eq!(error.cures()[0], Cure::give("now", "2013-01-01T07:00:00Z"), "{error:?}");
    assert_eq!(ask(&store, "EWR", "2013-01-01T07:00:00Z").unwrap(), "38.5");
    let report = &verified(&fixture, &store, EARLY).await[0];
    assert!(!report.is_identical(), "{report:?}");
    assert_eq!((report.unanswered, report.different, report.missing), (2, 0, 0));
    assert_eq!(report.answers_from, Some(at("2013-01-01T09:00:00Z")));
}

async fn a_null_that_was_filled_later_is_not_filled_earlier(kind: Kind) {
    let fixture = Fixture::flights().await;
    fixture
        .apply("main", &DEFINITIONS.replace("max_age: 3h", "nulls: last_non_null"))
        .await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    // The row of 06:00 fills the wind of 07:00, so nothing of this key was dropped.
    assert_eq!(ask(&store, "EWR", EARLY).unwrap(), "39.0");
    let late = "origin,temp,wind,time_hour\nEWR,1.0,1.0,2013-01-01T05:00:00Z\n";
    fixture.append("main", "weather", late).await;
    let done = fixture.materialize(&store, "main", NOON).await;
    assert_eq!(done[0].rows_stored, 0);
    assert_eq!(
        ask(&store, "EWR", "2013-01-01T05:30:00Z").unwrap_err().kind(),
        ErrorKind::Precondition
    );
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
}

async fn rows_of_an_interrupted_append_do_not_stay_with_an_older_commit(kind: Kind) {
    let fixture = Fixture::memory().await;
    let row = |temp: &str, hour: u32| format!("origin,temp,wind,time_hour\nEWR,{temp},1,2013-01-01T0{hour}:00:00Z\n");
    fixture.table("weather", &row("1", 1)).await;
    let text = DEFINITIONS.replace("float64", "int8").replace("max_age: 3h\n", "");
    fixture.apply("main", &text).await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    fixture.branch("before").await;
    fixture.append("main", "weather", &row("2", 2)).await;
    fixture.append("main", "weather", &row("1000", 3)).await;
    let request = MaterializeRequest {
        update_rows: 1,
        ..MaterializeRequest::default()
    };
    let head = fixture.snapshot("main").await;
    let failed = fixture.materialize_at(&store, &head, &request, NOON).await;
    failed.expect_err("1000 is no int8");
    let error = fixture.verify(&store, NOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    fixture.materialize(&store, "before", NOON).await;
    assert_eq!(ask(&store, "EWR", NOON).unwrap(), "1");
    assert!(verified(&fixture, &store, NOON).await[0].is_identical());
}

async fn a_global_view_is_built_again_after_a_push(kind: Kind) {
    let fixture = Fixture::flights().await;
    let text = DEFINITIONS.replace("entity: airport\n", "entities: []\n");
    fixture
        .apply("main", &text.replace("- wind", "- wind\n  - origin"))
        .await;
    let store = fixture.store(kind);
    let now = "2030-01-01T00:00:00Z";
    fixture.materialize(&store, "main", now).await;
    let row = pushed(
        &store,
        "weather_hourly",
        r#"{"temp": 5, "event_time": "2029-12-31T23:00:00Z"}"#,
    )
    .unwrap();
    store.push("weather_hourly", &[row], at(now)).unwrap();
    let rebuild = MaterializeRequest {
        rebuild: true,
        ..MaterializeRequest::default()
    };
    let head = fixture.snapshot("main").await;
    fixture.materialize_at(&store, &head, &rebuild, now).await.unwrap();
    assert_eq!(fixture.get(&store, "weather_hourly", &[], now)["temp"], 5.0);
}

async fn an_empty_store_proves_nothing(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    let error = fixture.verify(&store, NOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(error.cures(), [Cure::run(Verb::OnlineMaterialize)]);
}

async fn a_branch_with_another_definition_is_told_so(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let wants = [ViewUse::of("weather_hourly")];
    let registry = Registry::load(&fixture.snapshot("main").await).await.unwrap();
    check_definitions(&store, &registry, &wants).unwrap();
    fixture.branch("other").await;
    fixture
        .apply("other", &DEFINITIONS.replace("max_age: 3h", "max_age: 1h"))
        .await;
    let registry = Registry::load(&fixture.snapshot("other").await).await.unwrap();
    let error = check_definitions(&store, &registry, &wants).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    let cure = Cure::run(Verb::OnlineMaterialize).with("views", "weather_hourly");
    assert_eq!(error.cures(), [cure]);
}

async fn one_failing_view_does_not_keep_the_others_from_the_commit(kind: Kind) {
    let fixture = Fixture::memory().await;
    fixture
        .table("weather", "origin,temp,wind,time_hour\nEWR,1,1,2013-01-01T01:00:00Z\n")
        .await;
    let second = "---\nkind: feature_view\nname: a_first\nentity: airport\nsource: {table: weather}\nevent_time: time_hour\nfeatures: [{name: temp, type: int8}]\n";
    let text = DEFINITIONS.replace("max_age: 3h\n", "") + second;
    fixture.apply("main", &text).await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    fixture
        .append(
            "main",
            "weather",
            "origin,temp,wind,time_hour\nEWR,1000,1,2013-01-01T02:00:00Z\n",
        )
        .await;
    let head = fixture.snapshot("main").await;
    fixture
        .materialize_at(&store, &head, &MaterializeRequest::default(), NOON)
        .await
        .expect_err("1000 is no int8");
    assert_eq!(ask(&store, "EWR", NOON).unwrap(), "1000.0");
}

async fn rows_that_end_answer_until_their_end(kind: Kind) {
    let fixture = Fixture::memory().await;
    let rows = "user,at,until,gone,amount,other\n\
                1,2024-03-01T00:00:00Z,2024-03-05T00:00:00Z,false,5,50\n\
                1,2024-03-02T00:00:00Z,2024-03-03T00:00:00Z,false,6,\n\
                1,2024-03-03T12:00:00Z,2024-03-04T00:00:00Z,true,,\n\
                1,2024-03-06T00:00:00Z,,false,7,\n\
                2,2024-03-01T00:00:00Z,2024-03-02T00:00:00Z,false,8,80\n";
    fixture.table("balance", rows).await;
    for nulls in ["row", "last_non_null"] {
        let text = format!(
            "kind: entity\nname: owner\nkeys: [{{name: user, type: int64}}]\n---\nkind: feature_view\nname: v\nentity: owner\n\
             source: {{table: balance}}\nevent_time: at\nvalid_to: until\ntombstone: gone\nnulls: {nulls}\nfeatures: [amount, other]\n"
        );
        fixture.apply("main", &text).await;
        // Materialized before, while and after rows hold: the answers are the join's, at every later time and some earlier ones.
        for materialized in ["2024-03-01T12:00:00Z", "2024-03-02T12:00:00Z", "2024-03-09T00:00:00Z"] {
            let store = fixture.store(kind);
            fixture.materialize(&store, "main", materialized).await;
            for now in [
                "02T00", "02T12", "03T00", "03T18", "04T00", "04T23", "05T00", "06T00", "09T00",
            ] {
                let report = &verified(&fixture, &store, &format!("2024-03-{now}:00:00Z")).await[0];
                assert_eq!(
                    (report.different, report.missing),
                    (0, 0),
                    "{nulls} {materialized} {now}: {report:?}"
                );
                assert!(
                    materialized > format!("2024-03-{now}").as_str() || report.unanswered == 0,
                    "{report:?}"
                );
            }
            if materialized > "2024-03-05" {
                continue;
            }
            let answer = |now| fixture.get(&store, "v", &["1"], now)["amount"].clone();
            assert_eq!(answer("2024-03-04T23:59:59Z"), 5);
            assert!(answer("2024-03-05T00:00:00Z").is_null());
            assert_eq!(answer("2024-03-06T00:00:00Z"), 7);
        }
    }
}

async fn a_pushed_row_says_what_it_means_exactly(kind: Kind) {
    let fixture = Fixture::flights().await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let row = |json: &str| pushed(&store, "weather_hourly", json);
    let time = r#""event_time": "2013-01-01T09:00:00Z""#;
    for wrong in [
        &format!(r#"{{"origin": "EWR", {time}, "deleted": "true"}}"#),
        &format!(r#"{{"origin": "EWR", {time}, "deleted": 1}}"#),
        r#"{"origin": "EWR", "event_time": "2013-01-01T09:00:00.0000001Z"}"#,
    ] {
        assert_eq!(row(wrong).expect_err(wrong).kind(), ErrorKind::InvalidInput);
    }
    let null = row(&format!(r#"{{"origin": null, {time}}}"#)).unwrap();
    let error = store.push("weather_hourly", &[null], at(NOON)).unwrap_err();
    assert!(error.to_string().contains("null key"), "{error}");
    assert!(
        !row(&format!(r#"{{"origin": "EWR", {time}, "deleted": false}}"#))
            .unwrap()
            .tombstone
    );
}

async fn a_float32_is_pushed_and_asked_for_as_one(kind: Kind) {
    let fixture = Fixture::memory().await;
    fixture
        .table("t", "k,v,deleted,happened\n0.5,0.5,1,2013-01-01T06:00:00Z\n")
        .await;
    let view = |name: &str, features: &str| {
        format!(
            "---\nkind: feature_view\nname: {name}\nentity: e\nsource: {{sql: \"SELECT CAST(k AS FLOAT) AS k, CAST(v AS FLOAT) AS v, deleted, happened FROM t\"}}\nevent_time: happened\nfeatures: [{features}]\n"
        )
    };
    let entity = "kind: entity\nname: e\nkeys: [{name: k, type: float32}]\n";
    let text = entity.to_owned() + &view("a", "{name: v, type: float32}") + &view("b", "deleted");
    fixture.apply("main", &text).await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let row = pushed(
        &store,
        "a",
        r#"{"k": 0.1, "v": 0.1, "event_time": "2013-01-01T09:00:00Z"}"#,
    )
    .unwrap();
    store.push("a", &[row], at(NOON)).unwrap();
    let got = fixture.get(&store, "a", &["0.1"], NOON);
    assert_eq!(
        (&got["a__status"], &got["v"]),
        (&"PRESENT".into(), &f64::from(0.1_f32).into())
    );
    let mut lookup = store.prepare(&[ViewUse::of("a")]).unwrap();
    let status = store.get(&mut lookup, &[&[Value::Float(0.1)]], at(NOON), |answers| {
        answers.answer(0, 0).status()
    });
    assert_eq!(status.unwrap().as_str(), "PRESENT");
    let error = pushed(
        &store,
        "b",
        r#"{"k": 0.1, "deleted": true, "event_time": "2013-01-01T09:00:00Z"}"#,
    )
    .unwrap_err();
    assert!(error.to_string().contains("deleted"), "{error}");
}

async fn a_key_of_two_types_is_told_with_both_views(kind: Kind) {
    let fixture = Fixture::memory().await;
    fixture.table("t", "k,v,happened\n5,1,2013-01-01T06:00:00Z\n").await;
    fixture.table("u", "k,w,happened\nfive,1,2013-01-01T06:00:00Z\n").await;
    let part = |entity: &str, kind: &str, view: &str, table: &str, feature: &str| {
        format!(
            "kind: entity\nname: {entity}\nkeys: [{{name: k, type: {kind}}}]\n---\nkind: feature_view\nname: {view}\n\
             entity: {entity}\nsource: {{{table}}}\nevent_time: happened\nfeatures: [{feature}]\n---\n"
        )
    };
    let text = part(
        "small",
        "int8",
        "a",
        "sql: \"SELECT CAST(k AS TINYINT) AS k, v, happened FROM t\"",
        "v",
    ) + &part("wide", "int64", "b", "table: t", "v")
        + &part("text", "string", "c", "table: u", "w");
    fixture.apply("main", text.trim_end_matches("---\n")).await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let error = store
        .prepare(&[ViewUse::of("a"), ViewUse::of("c")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"a\"") && error.contains("\"c\""), "{error}");
    let lookup = store.prepare(&[ViewUse::of("a"), ViewUse::of("b")]).unwrap();
    assert_eq!(lookup.keys()[0].1.to_string(), "int64");
}

async fn a_null_that_a_pushed_row_fills_is_no_difference(kind: Kind) {
    let fixture = Fixture::flights().await;
    fixture
        .apply("main", &DEFINITIONS.replace("max_age: 3h", "nulls: last_non_null"))
        .await;
    let store = fixture.store(kind);
    fixture.materialize(&store, "main", NOON).await;
    let row = pushed(
        &store,
        "weather_hourly",
        r#"{"origin": "EWR", "wind": 3, "event_time": "2013-01-01T06:30:00Z"}"#,
    );
    store.push("weather_hourly", &[row.unwrap()], at(NOON)).unwrap();
    let report = &verified(&fixture, &store, NOON).await[0];
    assert!(report.is_identical() && report.pushed == 1, "{report:?}");
}
