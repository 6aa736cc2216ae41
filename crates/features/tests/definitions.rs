//! Definitions: what is read, what is refused and in which words, what a plan says.

use drumlin_asof::WindowFunction;
use drumlin_features::{
    Registry,
    apply::{Scope, What},
    definition::{Definition, FeatureType, Kind, Length, Nulls, Source},
};
use drumlin_model::{Cure, ErrorKind};

use crate::support::{DEFINITIONS, Fixture, by, files};

fn registry(text: &str) -> Registry {
    Registry::from_files(&files(text)).unwrap()
}

fn mistakes(text: &str) -> String {
    let error = Registry::from_files(&files(text)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.to_string()
}

fn with(line: &str, instead: &str) -> String {
    assert!(DEFINITIONS.contains(line), "the definitions hold {line:?}");
    DEFINITIONS.replace(line, instead)
}

#[test]
fn every_field_is_read() {
    let registry = registry(
        "kind: feature_view
name: v
entities: [a, b]
keys: {id: ident}
source:
  sql: SELECT 1
event_time: t
created_time: c
tombstone: gone
max_age: 90m
inclusive: false
nulls: last_non_null
online: false
owner: me
tags: {team: x}
description: what it is
features: [p, {name: q, type: int32}]
valid_to: until
windows:
  - {name: n, function: count, length: 1h}
  - {name: later, function: sum, column: p, length: 2d, inclusive: true, label: true, description: to be predicted}
",
    );
    let view = registry.view("v").unwrap();
    assert_eq!(view.entities, ["a", "b"]);
    assert_eq!(view.keys["id"], "ident");
    assert_eq!(view.source, Source::Sql("SELECT 1".into()));
    assert_eq!(
        (
            view.event_time.as_str(),
            view.created_time.as_deref(),
            view.tombstone.as_deref()
        ),
        ("t", Some("c"), Some("gone"))
    );
    assert_eq!(view.max_age, Length::from_micros(90 * 60 * 1_000_000));
    assert_eq!(
        (view.inclusive, view.nulls, view.online),
        (false, Nulls::LastNonNull, false)
    );
    assert_eq!(view.about.owner.as_deref(), Some("me"));
    assert_eq!(view.about.tags["team"], "x");
    assert_eq!(view.features[1].data_type, Some(FeatureType::Int32));
    assert_eq!(view.valid_to.as_deref(), Some("until"));
    let [n, later] = &view.windows[..] else {
        panic!("two windows")
    };
    assert_eq!(
        (n.function, &n.column, n.inclusive, n.label),
        (WindowFunction::Count, &None, false, false)
    );
    assert_eq!(
        (later.function, later.column.as_deref()),
        (WindowFunction::Sum, Some("p"))
    );
    assert_eq!(
        (later.length.to_string().as_str(), later.inclusive, later.label),
        ("2d", true, true)
    );
}

#[test]
fn durations_read_back_as_they_are_written() {
    for text in ["1us", "250ms", "30s", "90m", "3h", "30d", "2w"] {
        assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
    }
    for text in [
        "0h",
        "-1h",
        "3",
        "h",
        "3 years",
        "9999999999999999999d",
        "99999999999999d",
    ] {
        assert!(text.parse::<Length>().is_err(), "{text}");
    }
}

#[test]
fn mistakes_name_file_line_column_and_cure() {
    for (text, expected) in [
        (
            with("max_age: 3h", "max_agee: 3h"),
            r#"features/all.yaml:10:1: unknown key "max_agee" in feature view "weather_hourly"; did you mean "max_age"?"#,
        ),
        (
            with("max_age: 3h", "max_age: 0h"),
            r#"features/all.yaml:10:10: `max_age` has to be longer than zero, and is "0h"; write more than zero, or leave it out where there is no limit"#,
        ),
        (
            with("event_time: time_hour\n", ""),
            r#"features/all.yaml:5:1: feature view "weather_hourly" lacks "event_time"; write `event_time: ...`"#,
        ),
        (
            with("event_time:", "event_tim:"),
            r#"features/all.yaml:9:1: unknown key "event_tim" in feature view "weather_hourly"; did you mean "event_time"?"#,
        ),
        (
            with("kind: entity", "kind: entty"),
            r#"features/all.yaml:1:7: "entty" is not a kind; did you mean "entity"?"#,
        ),
        (
            with("type: float64", "type: flot64"),
            r#"features/all.yaml:13:11: `type` cannot be "flot64", which is not a type; types are string, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, timestamp, date, binary"#,
        ),
        (
            with("  - wind\n", "  - wind\n  - wind\n"),
            r#"features/all.yaml:16:5: feature "wind" stands here twice; keep one"#,
        ),
        (
            with("max_age: 3h", "online: yes"),
            r#"features/all.yaml:10:9: `online` must be true or false; write `online: true`"#,
        ),
        (
            with("max_age: 3h", "entity: x"),
            r#"features/all.yaml:10:1: the key "entity" stands here again; it is already in line 7; keep one of the two"#,
        ),
        (
            with("{table: weather}", "{table: weather, sql: SELECT 1}"),
            "features/all.yaml:8:9: a source is either a table or a query; write `source: {table: NAME}` or `source: {sql: SELECT ...}`",
        ),
        (
            with("name: delay", "name: 'de lay'"),
            r#"features/all.yaml:18:7: "de lay" cannot be a name; use letters, digits and single '_', a letter first, at most 100"#,
        ),
        (
            with("max_age: 3h", "max_age: &a 3h"),
            "features/all.yaml:10:10: definitions cannot hold anchors (&name); remove the anchor and write the value out",
        ),
        (with("max_age: 3h", "max_age: [3h"), ""),
    ] {
        let found = mistakes(&text);
        if expected.is_empty() {
            assert!(
                found.starts_with("features/all.yaml:") && found.contains("this is not YAML"),
                "{found}"
            );
        } else {
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn mistakes_in_windows_are_named_too() {
    for (text, expected) in [
        (
            with("max_age: 3h", "windows: [{name: n, function: average, length: 1h}]"),
            r#"features/all.yaml:10:31: `function` cannot be "average"; functions are count, sum, mean, min, max"#,
        ),
        (
            with("max_age: 3h", "windows: [{name: n, function: count, length: -1h}]"),
            r#"features/all.yaml:10:46: `the length of window "n"` has to be longer than zero, and is "-1h"; write more than zero, or leave it out where there is no limit"#,
        ),
    ] {
        assert_eq!(mistakes(&text), expected);
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let text = with("max_age: 3h", "max_agee: 3h").replace("kind: feature_service", "kind: feature_servic");
    assert_eq!(mistakes(&text).lines().count(), 2);
    let twice = format!("{DEFINITIONS}---\nkind: entity\nname: airport\nkeys: [{{name: x, type: string}}]\n");
    assert_eq!(
        mistakes(&twice),
        r#"features/all.yaml:22:1: entity "airport" is already defined in features/all.yaml:1; rename one of the two"#
    );
}

#[tokio::test]
async fn what_only_the_tables_tell_names_the_line_too() {
    let fixture = Fixture::flights().await;
    for (text, expected) in [
        (
            with("{table: weather}", "{table: wether}"),
            r#"features/all.yaml:8:17: there is no table "wether" at commit"#,
        ),
        (
            with("entity: airport", "entity: airprt"),
            r#"features/all.yaml:7:9: there is no entity "airprt"; did you mean "airport"?"#,
        ),
        (
            with("event_time: time_hour", "event_time: time_hours"),
            r#"features/all.yaml:9:13: table "weather" has no column "time_hours", the event time of view "weather_hourly"; did you mean "time_hour"?"#,
        ),
        (
            with("  - wind\n", "  - gust\n"),
            r#"features/all.yaml:15:5: table "weather" has no column "gust", a feature of view "weather_hourly"; its columns are origin, temp, wind, time_hour"#,
        ),
        (
            with("event_time: time_hour", "event_time: temp"),
            r#"features/all.yaml:9:13: column "temp" of table "weather" is float64, not a time; name a timestamp or date column, or CAST it AS TIMESTAMP in a SQL source"#,
        ),
        (
            with("type: string", "type: int64"),
            r#"features/all.yaml:7:9: key column "origin" of table "weather" is string, which entity "airport" declares as int64; change the entity's type, or CAST the column in a SQL source"#,
        ),
        (
            with("type: float64", "type: string"),
            r#"features/all.yaml:12:5: feature "temp" is declared string, but table "weather" has float64; declare it float64, or CAST it in a SQL source"#,
        ),
        (
            with("{table: weather}", "{sql: SELECT temp FROM weather}"),
            "features/all.yaml:7:9: the query has no column \"origin\", a key of entity \"airport\" of view \"weather_hourly\"; ",
        ),
        (
            with("{table: weather}", "{sql: \"SELECT origin, temp, wind FROM weather\"}"),
            r#"features/all.yaml:9:13: the query has no column "time_hour", the event time of view "weather_hourly"; "#,
        ),
        (
            with("{table: weather}", "{sql: SELECT FROM WHERE}"),
            "features/all.yaml:8:15: ",
        ),
        (
            with("{table: weather}", "{sql: \"SELECT * FROM weather@main\"}"),
            r#"features/all.yaml:8:15: the query of view "weather_hourly" names a ref: weather@main; "#,
        ),
        (
            with("  - weather_hourly", "  - weather_daily"),
            r#"features/all.yaml:20:5: there is no feature view "weather_daily"; did you mean "weather_hourly"?"#,
        ),
        (
            with("  - weather_hourly", "  - {view: weather_hourly, features: [tmp]}"),
            r#"features/all.yaml:20:5: view "weather_hourly" has no feature "tmp"; did you mean "temp"?"#,
        ),
        (
            with("  - weather_hourly", "  - {view: weather_hourly, keys: {orign: dest}}"),
            r#"features/all.yaml:20:5: view "weather_hourly" has no key "orign"; did you mean "origin"?"#,
        ),
    ] {
        let found = fixture.mistakes(&text).await;
        assert!(found.starts_with(expected), "\nexpected {expected}\nfound    {found}");
    }
}

#[tokio::test]
async fn a_mistake_changes_nothing() {
    let fixture = Fixture::flights().await;
    let before = fixture.snapshot("main").await.commit();
    fixture.mistakes(&with("max_age: 3h", "max_age: x")).await;
    assert_eq!(fixture.snapshot("main").await.commit(), before);
}

#[tokio::test]
async fn a_plan_says_field_by_field_what_changes() {
    let fixture = Fixture::flights().await;
    fixture.train_as_is("main", "set").await;
    let text = with("max_age: 3h", "max_age: 6h").replace("degrees Fahrenheit", "in Fahrenheit");
    let plan = fixture.plan("main", &text).await.unwrap();
    assert_eq!((plan.changes.len(), plan.unchanged), (1, 2));
    let What::Changed { fields } = &plan.changes[0].what else {
        panic!("{:?}", plan.changes)
    };
    let shown: Vec<String> = fields
        .iter()
        .map(|change| {
            format!(
                "{}: {} -> {}",
                change.field,
                change.before.as_ref().unwrap(),
                change.after.as_ref().unwrap()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"features.temp.description: "degrees Fahrenheit" -> "in Fahrenheit""#,
            r#"max_age: "3h" -> "6h""#
        ]
    );
    assert!(plan.changes[0].meaning);
    assert_eq!(plan.training_sets, ["set"]);
    assert_eq!(plan.online_views, ["weather_hourly"]);
    let commit = plan.commit(by(), None).await.unwrap();
    let provenance = fixture.test.provenance(commit).await;
    assert_eq!(provenance.verb, "apply");
    assert_eq!(provenance.outputs, [drumlin_testkit::path("features/all.yaml")]);
    assert_eq!(provenance.inputs[0].name, "tables/weather");
    assert_eq!(provenance.message, "Apply definitions: change weather_hourly");
}

#[tokio::test]
async fn words_and_formatting_do_not_change_the_meaning() {
    let fixture = Fixture::flights().await;
    let text = with("degrees Fahrenheit", "warm").replace("{table: weather}", "\n  table:   weather # it is");
    let plan = fixture.plan("main", &text).await.unwrap();
    assert_eq!(plan.changes.len(), 1);
    assert!(!plan.changes[0].meaning && plan.training_sets.is_empty() && plan.online_views.is_empty());
    let formatted = fixture
        .plan("main", &with("{table: weather}", "{ table: 'weather' }"))
        .await
        .unwrap();
    assert!(formatted.changes.is_empty() && !formatted.is_empty());
    assert!(fixture.plan("main", DEFINITIONS).await.unwrap().is_empty());
}

#[tokio::test]
async fn removing_needs_the_whole_and_nothing_left_behind() {
    let fixture = Fixture::flights().await;
    let entity = "kind: entity\nname: airport\nkeys: [{name: origin, type: string}]\n";
    let plan = fixture.plan("main", entity).await.unwrap();
    assert_eq!(plan.count(|what| *what == What::Removed), 2);
    let view_gone = fixture
        .mistakes(&DEFINITIONS[DEFINITIONS.find("kind: feature_service").unwrap()..])
        .await;
    assert!(
        view_gone.contains("there is no feature view \"weather_hourly\""),
        "{view_gone}"
    );
    let other = drumlin_features::registry::Files::from([(drumlin_testkit::path("features/b.yaml"), "".into())]);
    let given =
        drumlin_features::apply::plan(&fixture.engine, &drumlin_testkit::name("main"), &other, Scope::Given).await;
    assert!(given.unwrap().changes.is_empty());
}

#[test]
fn search_finds_every_word() {
    let registry = registry(DEFINITIONS);
    let found = registry.search("fahren");
    assert_eq!(
        (found[0].name.as_str(), found[0].feature.as_deref()),
        ("weather_hourly", Some("temp"))
    );
    assert_eq!(registry.search("weather temp").len(), 1);
    assert!(registry.search("snow").is_empty());
    let hash = |text: &str| Definition::hash(&registry.find(text).unwrap().definition);
    assert_ne!(hash("airport"), hash("delay"));
    assert!(registry.get(Kind::Entity, "airport").is_some());
    let error = registry.view("weather_hourl").unwrap_err();
    assert_eq!(error.cures(), [Cure::did_you_mean("weather_hourly")]);
}
