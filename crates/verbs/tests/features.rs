//! Definitions, training sets and the online store at the desk.

use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_verbs::{
    ApplyRequest, DefinitionWhat, FeatureListRequest, FeatureSearchRequest, FeatureShowRequest, KnownAtView,
    OnlineGetRequest, OnlineListRequest, OnlineMaterializeRequest, OnlinePushRequest, RowsFrom, TableCreateRequest,
    TableOverwriteRequest, TrainCreateRequest, TrainDiffRequest, TrainListRequest, TrainRebuildRequest,
    TrainShowRequest, VerifyRequest, parse_time,
};
use serde_json::{Map, Value, json};

use crate::support::Place;

const RAIN: &str =
    "city,at,mm\noslo,2024-01-01T00:00:00Z,1\nrome,2024-01-01T00:00:00Z,2\noslo,2024-01-02T00:00:00Z,3\n";
const ASKS: &str = "city,at\noslo,2024-01-01T12:00:00Z\nrome,2024-01-03T00:00:00Z\n";
const FEATURES: &str = "kind: entity\nname: city\nkeys: [{name: city, type: string}]\n---\nkind: feature_view\nname: rain\n\
                        entity: city\nsource: {table: rain}\nevent_time: at\nonline: true\n";

fn rows(file: &str) -> RowsFrom {
    RowsFrom {
        from: file.to_owned(),
        ..RowsFrom::default()
    }
}

async fn table(place: &Place, table: &str, csv: &str) {
    let file = format!("{table}.csv");
    place.write(&file, csv);
    let request = TableCreateRequest {
        table: table.to_owned(),
        rows: rows(&file),
        key: Vec::new(),
        message: None,
    };
    place.desk.table_create(request).await.expect("the rows are right");
}

/// A place with two tables, and a view of one of them that is applied.
async fn rainy() -> Place {
    let place = Place::new().await;
    table(&place, "rain", RAIN).await;
    table(&place, "asks", ASKS).await;
    place.write("features/rain.yaml", FEATURES);
    place
        .desk
        .apply(ApplyRequest::default())
        .await
        .expect("the definitions are right");
    place
}

fn train(name: &str) -> TrainCreateRequest {
    TrainCreateRequest {
        name: name.to_owned(),
        spine: "asks".to_owned(),
        time: "at".to_owned(),
        views: vec!["rain".to_owned()],
        ..TrainCreateRequest::default()
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else {
        panic!("{value} is no object")
    };
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_says_first_what_it_does_then() {
    let place = Place::new().await;
    let error = place
        .desk
        .apply(ApplyRequest::default())
        .await
        .expect_err("there is no folder");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    table(&place, "rain", RAIN).await;
    place.write("features/rain.yaml", FEATURES);
    place.write("features/notes.txt", "not a definition");
    let dry = ApplyRequest {
        dry_run: true,
        ..ApplyRequest::default()
    };
    let planned = place.desk.apply(dry).await.expect("the definitions are right");
    assert_eq!(
        (planned.commit, planned.changes.len(), planned.is_empty()),
        (None, 2, false)
    );
    assert!(
        planned
            .changes
            .iter()
            .all(|change| matches!(change.what, DefinitionWhat::Added))
    );
    let request = FeatureListRequest::default();
    assert!(
        place
            .desk
            .feature_list(request.clone())
            .await
            .expect("none is a list")
            .is_empty()
    );

    let applied = place
        .desk
        .apply(ApplyRequest::default())
        .await
        .expect("the definitions are right");
    assert!(applied.commit.is_some());
    let again = place
        .desk
        .apply(ApplyRequest::default())
        .await
        .expect("the definitions are right");
    assert_eq!((again.commit, again.unchanged, again.is_empty()), (None, 2, true));
    let listed = place.desk.feature_list(request).await.expect("two");
    let kinds: Vec<&str> = listed.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["entity", "feature_view"]);
    let show = FeatureShowRequest {
        name: "rain".to_owned(),
        at: None,
    };
    let shown = place.desk.feature_show(show).await.expect("it is there");
    assert_eq!(shown.definition["event_time"], "at");
    let search = FeatureSearchRequest {
        words: "mm".to_owned(),
        at: None,
    };
    let found = place.desk.feature_search(search).await.expect("a list");
    assert!(found.iter().all(|hit| hit.name == "rain"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_alone_leaves_the_other_definitions() {
    let place = rainy().await;
    let dry = ApplyRequest {
        dry_run: true,
        ..ApplyRequest::default()
    };
    place.write("features/rain.yaml", &FEATURES.replace("online: true", "online: false"));
    let one = ApplyRequest {
        paths: vec!["features/rain.yaml".into()],
        ..dry.clone()
    };
    let planned = place.desk.apply(one).await.expect("the file is right");
    assert_eq!(planned.changes.len(), 1, "{planned:?}");
    std::fs::remove_file(place.path().join("features/rain.yaml")).expect("it is there");
    let planned = place.desk.apply(dry).await.expect("no definitions are right, too");
    let removed = |change: &drumlin_verbs::DefinitionChange| matches!(change.what, DefinitionWhat::Removed);
    assert!(
        planned.changes.len() == 2 && planned.changes.iter().all(removed),
        "{planned:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn training_sets_are_made_rebuilt_and_compared() {
    let place = rainy().await;
    let created = place
        .desk
        .train_create(train("one"))
        .await
        .expect("the set can be made");
    assert_eq!((created.set.rows, created.commit.is_some()), (2, true));
    let again = place.desk.train_create(train("one")).await.expect("it is the same");
    assert_eq!((again.commit, again.set.id), (None, created.set.id.clone()));
    let query = TrainCreateRequest {
        spine: " select * from asks where city = 'oslo'".to_owned(),
        known_at: "2024-06-01T00:00:00Z".to_owned(),
        ..train("two")
    };
    let two = place.desk.train_create(query).await.expect("a query is a spine");
    let known = KnownAtView::Time("2024-06-01T00:00:00Z".to_owned());
    assert_eq!((two.set.rows, two.set.options.known_at), (1, known));
    let listed = place
        .desk
        .train_list(TrainListRequest::default())
        .await
        .expect("a list");
    assert_eq!(
        listed.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );

    let rebuild = TrainRebuildRequest {
        name: "one".to_owned(),
        at: None,
    };
    let rebuilt = place.desk.train_rebuild(rebuild).await.expect("it can be built");
    assert!(rebuilt.equal && rebuilt.verdict().is_ok(), "{rebuilt:?}");
    let other = drumlin_verbs::TrainRebuildAnswer {
        equal: false,
        ..rebuilt
    };
    assert_eq!(
        other.verdict().expect_err("other bytes").kind(),
        ErrorKind::Precondition
    );

    let diff = TrainDiffRequest {
        before: "one@main".parse().expect("a name and a version"),
        after: "two".parse().expect("a name"),
    };
    let diff = place.desk.train_diff(diff).await.expect("both are there");
    assert_eq!((diff.same_content, diff.rows_removed), (false, 1));
    let show = TrainShowRequest {
        name: "three".to_owned(),
        at: None,
    };
    let error = place.desk.train_show(show).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for (service, views) in [(None, vec![]), (Some("s".to_owned()), vec!["rain".to_owned()])] {
        let request = TrainCreateRequest {
            service,
            views,
            ..train("four")
        };
        let error = place.desk.train_create(request).await.expect_err("one of both");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// A place whose view is in the online store.
async fn served() -> Place {
    let place = rainy().await;
    let done = place.desk.online_materialize(OnlineMaterializeRequest::default()).await;
    let done = done.expect("the view is online");
    assert_eq!((done.len(), done[0].keys), (1, 2));
    place
}

fn get(keys: Vec<Value>) -> OnlineGetRequest {
    OnlineGetRequest {
        name: "rain".to_owned(),
        keys: keys.into_iter().map(object).collect(),
        now: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_online_store_answers_by_key_and_takes_rows() {
    let place = served().await;
    let asked = get(vec![json!({"city": "oslo"}), json!({"city": "nowhere"})]);
    let answers = place.desk.online_get(asked).await.expect("the keys are right");
    let seen = |at: usize| (&answers[at].features["mm"], &answers[at].features["rain__status"]);
    assert_eq!(seen(0), (&json!(3), &json!("PRESENT")));
    assert_eq!(seen(1), (&Value::Null, &json!("NOT_FOUND")));
    assert_eq!(answers[0].commit["rain"], answers[0].head);
    for (keys, says) in [
        (json!({}), "needs a value for key \"city\""),
        (json!({"city": "oslo", "town": "x"}), "\"town\" is not a key"),
        (json!({"city": {}}), "the type of key \"city\""),
    ] {
        let error = place.desk.online_get(get(vec![keys])).await.expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
        let cure = Cure::run(Verb::OnlineGet).with("name", "rain");
        assert_eq!(error.cures(), [cure.with("keys", "city=<string>")]);
    }
    let push = OnlinePushRequest {
        view: "rain".to_owned(),
        rows: vec![object(
            json!({"city": "rome", "event_time": "2024-01-02T12:00:00Z", "mm": 9}),
        )],
    };
    let pushed = place.desk.online_push(push).await.expect("the row is right");
    assert_eq!((pushed.rows, pushed.newer), (1, 1));
    let listed = place.desk.online_list(OnlineListRequest {}).await.expect("a list");
    assert_eq!(listed[0].keys, [("city".to_owned(), "string".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_online_store_is_compared_with_the_tables() {
    let place = served().await;
    let verified = place
        .desk
        .verify(VerifyRequest::default())
        .await
        .expect("it can be compared");
    assert!(verified.identical && verified.verdict().is_ok(), "{verified:?}");
    // Before the store was filled, it cannot be asked: another time mends that.
    let early = VerifyRequest {
        views: Vec::new(),
        now: Some(parse_time("2024-01-03T00:00:00Z").expect("a time")),
    };
    let verified = place.desk.verify(early).await.expect("it can be compared");
    let error = verified.verdict().expect_err("a key cannot be asked");
    assert_eq!((verified.identical, error.kind()), (false, ErrorKind::Precondition));
    let from = verified.views[0].answers_from.clone().expect("a time");
    assert_eq!(error.cures(), [Cure::run(Verb::Verify).with("now", from)]);

    // The table goes on; the store lags behind, and the comparison says so.
    place.write("rain.csv", &RAIN.replace(",3\n", ",4\n"));
    let request = TableOverwriteRequest {
        table: "rain".to_owned(),
        rows: rows("rain.csv"),
        message: None,
    };
    place.desk.table_overwrite(request).await.expect("the rows are right");
    let verified = place
        .desk
        .verify(VerifyRequest::default())
        .await
        .expect("it can be compared");
    assert_eq!((verified.behind, verified.absent.len()), (vec!["rain".to_owned()], 0));
    assert!(verified.identical, "it is compared at its own commit");
    let asked = get(vec![json!({"city": "oslo"})]);
    let answers = place.desk.online_get(asked).await.expect("the keys are right");
    assert_ne!(answers[0].commit["rain"], answers[0].head);

    let mut wrong = place
        .desk
        .verify(VerifyRequest::default())
        .await
        .expect("it can be compared");
    wrong.views[0].different = 1;
    assert_eq!(wrong.verdict().expect_err("a difference").kind(), ErrorKind::Corrupt);
}
