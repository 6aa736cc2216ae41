//! Training sets from end to end: rows, pins, rebuilds, differences.

use drumlin_asof::KnownAt;
use drumlin_features::{
    definition::ViewUse,
    training::{self, Features, SpineSource},
};
use drumlin_model::{Cure, ErrorKind};

use crate::support::{DEFINITIONS, Fixture, Kind};

const READ: &str = r#"SELECT * FROM "training/set/part-00000.parquet""#;

#[tokio::test]
async fn a_set_has_the_spine_and_the_features_as_of_each_row() {
    let fixture = Fixture::flights().await;
    let mut create = fixture.request_set("main", "set").await;
    create.options.with_status = true;
    let created = fixture.train("main", create).await.unwrap();
    let rows = fixture.sql(READ, "main").await;
    assert_eq!(
        rows,
        "\
1,EWR,JFK,2013-01-01T06:30:00Z,39.0,10.4,PRESENT
2,JFK,EWR,2013-01-01T08:00:00Z,41.0,12.7,PRESENT
3,LGA,JFK,2013-01-01T06:30:00Z,,,NOT_FOUND
4,EWR,JFK,2013-01-01T07:00:00Z,38.5,,PRESENT
5,JFK,EWR,2013-01-01T05:00:00Z,,,NOT_FOUND
6,JFK,LGA,2013-01-01T23:00:00Z,,,OUTSIDE_MAX_AGE"
    );
    let set = created.set;
    assert_eq!((set.rows, set.parts.len(), set.spine_columns), (6, 1, 4));
    let statuses = &set.counts.views["weather_hourly"].statuses;
    assert_eq!(
        (statuses["PRESENT"], statuses["NOT_FOUND"], statuses["OUTSIDE_MAX_AGE"]),
        (3, 2, 1)
    );
    let temp = set.schema.iter().find(|column| column.name == "temp").unwrap();
    assert_eq!((temp.data_type.as_str(), temp.nulls), ("Float64", 3));
    let provenance = fixture.test.provenance(created.commit.unwrap()).await;
    assert_eq!(provenance.verb, "train create");
    let inputs: Vec<&str> = provenance.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(inputs, ["features/all.yaml", "tables/flights", "tables/weather"]);
    assert!(provenance.inputs.iter().all(|input| input.commit == Some(set.commit)));
}

#[tokio::test]
async fn provenance_names_what_a_file_and_a_set_were_made_of_and_no_more() {
    let fixture = Fixture::flights().await;
    let arrivals = "kind: feature_view
name: arrivals
entity: airport
keys: {origin: dest}
source: {table: flights}
event_time: sched
features: [flight]
";
    let file = drumlin_testkit::path("features/arrivals.yaml");
    let given = drumlin_features::registry::Files::from([(file.clone(), arrivals.into())]);
    let scope = drumlin_features::apply::Scope::Given;
    let plan = drumlin_features::apply::plan(&fixture.engine, &drumlin_testkit::name("main"), &given, scope).await;
    let commit = plan.unwrap().commit(crate::support::by(), None).await.unwrap();
    let provenance = fixture.test.provenance(commit).await;
    let read: Vec<_> = provenance
        .inputs
        .iter()
        .map(|input| (input.name.as_str(), &input.into[..]))
        .collect();
    assert_eq!(
        read,
        [("tables/flights", std::slice::from_ref(&file))],
        "weather is not read by what was written"
    );

    let create = fixture.request_set("main", "s").await;
    let created = fixture.train("main", create).await.unwrap();
    let provenance = fixture.test.provenance(created.commit.unwrap()).await;
    let inputs: Vec<&str> = provenance.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(
        inputs,
        ["features/all.yaml", "tables/flights", "tables/weather"],
        "arrivals is not of the service"
    );
}

#[tokio::test]
async fn the_same_request_is_the_same_set() {
    let fixture = Fixture::flights().await;
    let first = fixture.request_set("main", "set").await;
    let created = fixture.train("main", first.clone()).await.unwrap();
    let again = fixture.train("main", first.clone()).await.unwrap();
    assert_eq!((again.commit, &again.set), (None, &created.set));
    let mut other = first.clone();
    other.options.known_at = KnownAt::Row;
    let error = fixture.train("main", other.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    other.replace = true;
    assert_ne!(fixture.train("main", other).await.unwrap().set.id, created.set.id);
    let mut elsewhere = first;
    elsewhere.name = "copy".into();
    assert_eq!(
        fixture.train("main", elsewhere).await.unwrap().set.content,
        created.set.content
    );
}

#[tokio::test]
async fn late_rows_leave_a_pinned_set_as_it_was() {
    let fixture = Fixture::flights().await;
    let old = fixture.train_as_is("main", "set").await;
    fixture
        .append(
            "main",
            "weather",
            "origin,temp,wind,time_hour\nEWR,99.0,1.0,2013-01-01T06:15:00Z\n",
        )
        .await;
    let head = fixture.snapshot("main").await;
    let rebuilt = fixture.rebuild(&head, "set").await;
    assert!(rebuilt.equal, "{rebuilt:?}");
    let new = fixture.train_as_is("main", "later").await;
    assert_ne!(new.content, old.content);
    let head = fixture.snapshot("main").await;
    let diff = fixture.diff_sets((&head, "set"), (&head, "later")).await;
    assert_eq!(
        (diff.rows_common, diff.rows_changed, diff.rows_added, diff.rows_removed),
        (6, 1, 0, 0)
    );
    let columns: Vec<(&str, u64)> = diff
        .columns
        .iter()
        .map(|column| (column.column.as_str(), column.rows_changed))
        .collect();
    assert_eq!(columns, [("temp", 1), ("wind", 1)]);
    assert!(diff.definitions.is_empty());
}

#[tokio::test]
async fn the_same_request_at_a_later_commit_is_told_apart_from_another_one() {
    let fixture = Fixture::flights().await;
    let made = fixture.train_as_is("main", "set").await;
    let again = fixture.request_set("main", "set").await;
    let again = fixture.train("main", again).await.unwrap();
    assert_eq!((again.commit, &again.set), (None, &made));
    let late = "origin,temp,wind,time_hour\nEWR,99.0,1.0,2013-01-01T06:15:00Z\n";
    fixture.append("main", "weather", late).await;
    let other = fixture.request_set("main", "set").await;
    let error = fixture.train("main", other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_part_that_was_altered_is_not_the_set_that_was_made() {
    let fixture = Fixture::flights().await;
    fixture.train_as_is("main", "set").await;
    let part = drumlin_model::RepoPath::new("training/set/part-00000.parquet").unwrap();
    let session = fixture.test.repo.session(&"main".parse().unwrap()).await.unwrap();
    session.write(&part, "something else".into()).await.unwrap();
    session.commit(drumlin_testkit::info("alter")).await.unwrap();
    let head = fixture.snapshot("main").await;
    let rebuilt = fixture.rebuild(&head, "set").await;
    assert_eq!((rebuilt.equal, rebuilt.altered), (false, vec![part.to_string()]));
}

#[tokio::test]
async fn spines_that_nothing_would_pin_are_refused() {
    let fixture = Fixture::flights().await;
    for (query, says, cure) in [
        ("SELECT * FROM flights@main", "names a ref: flights@main", "\"main\""),
        (
            "SELECT * FROM flights WHERE sched < now()",
            "calls now(), which answers differently each time",
            "write the value out",
        ),
        (
            "SELECT a.*, b.flight FROM flights a JOIN flights b ON a.flight = b.flight",
            "the spine has two columns called \"flight\"",
            "AS other_flight",
        ),
    ] {
        let mut create = fixture.request_set("main", "set").await;
        create.spine = SpineSource::Sql(query.into());
        let error = fixture.train("main", create).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(format!("{:?}", error.cures()).contains(cure), "{:?}", error.cures());
    }
}

/// Rows that a query leaves in no order, or tied, and sums of floats come out alike with one thread and with seven.
#[tokio::test]
async fn the_number_of_threads_does_not_show() {
    let mut fixture = Fixture::flights().await;
    let rows: String = (0..30_000_u64)
        .map(|row| {
            let noise = row.wrapping_mul(6_364_136_223_846_793_005) >> 40;
            format!(
                "{row},{},2013-01-01T06:{:02}:00Z,{}.{:03}\n",
                ["EWR", "JFK", "LGA"][row as usize % 3],
                noise % 60,
                noise % 97,
                noise % 991
            )
        })
        .collect();
    fixture
        .table("events", &format!("event,origin,at,amount\n{rows}"))
        .await;
    for query in [
        "SELECT DISTINCT origin, at AS sched FROM events",
        "SELECT event, origin, at AS sched FROM events ORDER BY sched",
        "SELECT origin, at AS sched, avg(amount) AS mean, sum(amount) AS total FROM events GROUP BY origin, at",
        "SELECT a.event, b.origin, b.at AS sched FROM events a JOIN events b ON a.event = b.event + 1",
    ] {
        let mut contents = Vec::new();
        for threads in [1, 2, 7] {
            fixture.set_threads(threads);
            let mut create = fixture.request_set("main", "set").await;
            create.spine = SpineSource::Sql(query.into());
            create.replace = true;
            contents.push(fixture.train("main", create).await.unwrap().set.content);
        }
        contents.dedup();
        assert_eq!(contents.len(), 1, "{query}");
    }
}

/// A declared type rounds floats and never cuts anything else.
#[tokio::test]
async fn declared_types_hold_every_value_or_say_so() {
    let fixture = Fixture::memory().await;
    fixture
        .table("flights", "flight,origin,sched\n1,EWR,2013-01-02T00:00:00Z\n")
        .await;
    fixture
        .table("weather", "origin,temp,time_hour\nEWR,1.7,2013-01-01T00:00:00Z\n")
        .await;
    let declared = |kind: &str| {
        format!(
            "kind: entity\nname: airport\nkeys: [{{name: origin, type: string}}]\n---\nkind: feature_view\nname: weather_hourly\nentity: airport\nsource: {{table: weather}}\nevent_time: time_hour\nfeatures: [{{name: temp, type: {kind}}}]\n---\nkind: feature_service\nname: delay\nviews: [weather_hourly]\n"
        )
    };
    fixture.apply("main", &declared("int64")).await;
    let create = fixture.request_set("main", "set").await;
    let error = fixture.train("main", create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("\"temp\" holds a Float64 that is no Int64"),
        "{error}"
    );
    fixture.apply("main", &declared("float32")).await;
    fixture.train_as_is("main", "set").await;
    assert_eq!(fixture.sql(READ, "main").await, "1,EWR,2013-01-02T00:00:00Z,1.7");
    fixture
        .materialize(&fixture.store(Kind::Memory), "main", "2013-01-02T00:00:00Z")
        .await;
}

#[tokio::test]
async fn known_at_row_looks_past_a_backfill() {
    let fixture = Fixture::memory().await;
    fixture
        .table("flights", "flight,origin,sched\n1,EWR,2013-01-02T00:00:00Z\n")
        .await;
    fixture
        .table(
            "weather",
            "origin,temp,seen,time_hour\n\
             EWR,1.0,2013-01-01T00:00:00Z,2013-01-01T00:00:00Z\n\
             EWR,2.0,2013-01-03T00:00:00Z,2013-01-01T12:00:00Z\n",
        )
        .await;
    let text = DEFINITIONS
        .replace("max_age: 3h", "created_time: seen")
        .replace("  - wind\n", "");
    fixture.apply("main", &text).await;
    let create = fixture.request_set("main", "set").await;
    let mut row = create.clone();
    (row.name, row.options.known_at) = ("row".into(), KnownAt::Row);
    fixture.train("main", create).await.unwrap();
    fixture.train("main", row).await.unwrap();
    assert_eq!(
        fixture
            .sql(r#"SELECT temp FROM "training/set/part-00000.parquet""#, "main")
            .await,
        "2.0"
    );
    assert_eq!(
        fixture
            .sql(r#"SELECT temp FROM "training/row/part-00000.parquet""#, "main")
            .await,
        "1.0"
    );
}

#[tokio::test]
async fn a_tombstone_deletes_from_its_time_on() {
    let fixture = Fixture::memory().await;
    fixture
        .table(
            "flights",
            "flight,origin,sched\n1,EWR,2013-01-01T06:30:00Z\n2,EWR,2013-01-01T07:30:00Z\n",
        )
        .await;
    fixture
        .table(
            "weather",
            "origin,temp,gone,time_hour\n\
             EWR,1.0,false,2013-01-01T06:00:00Z\n\
             EWR,,true,2013-01-01T07:00:00Z\n",
        )
        .await;
    let text = DEFINITIONS
        .replace("max_age: 3h", "tombstone: gone")
        .replace("  - wind\n", "");
    fixture.apply("main", &text).await;
    let mut create = fixture.request_set("main", "set").await;
    create.options.with_status = true;
    fixture.train("main", create).await.unwrap();
    let rows = fixture
        .sql(
            r#"SELECT temp, weather_hourly__status FROM "training/set/part-00000.parquet""#,
            "main",
        )
        .await;
    assert_eq!(rows, "1.0,PRESENT\n,DELETED");
    let store = fixture.store(Kind::Memory);
    fixture.materialize(&store, "main", "2013-02-01T00:00:00Z").await;
    let got = fixture.get(&store, "weather_hourly", &["EWR"], "2013-02-01T00:00:00Z");
    assert_eq!(got["weather_hourly__status"], "DELETED");
}

#[tokio::test]
async fn a_branch_changes_its_own_sets_alone() {
    let fixture = Fixture::flights().await;
    let main = fixture.train_as_is("main", "set").await;
    fixture.branch("exp").await;
    fixture
        .append(
            "exp",
            "weather",
            "origin,temp,wind,time_hour\nEWR,0.5,0.1,2013-01-01T06:20:00Z\n",
        )
        .await;
    fixture
        .apply("exp", &DEFINITIONS.replace("max_age: 3h", "max_age: 30d"))
        .await;
    let mut create = fixture.request_set("exp", "set").await;
    create.replace = true;
    let exp = fixture.train("exp", create).await.unwrap().set;
    assert_ne!(exp.content, main.content);
    let (at_main, at_exp) = (fixture.snapshot("main").await, fixture.snapshot("exp").await);
    assert!(fixture.rebuild(&at_main, "set").await.equal);
    assert!(fixture.rebuild(&at_exp, "set").await.equal);
    let diff = fixture.diff_sets((&at_main, "set"), (&at_exp, "set")).await;
    let fields = diff.definitions[0].fields.as_ref().unwrap();
    assert_eq!(
        (fields[0].field.as_str(), fields[0].after.as_ref().unwrap().as_str()),
        ("max_age", Some("30d"))
    );
    // Flight 1 has the correction, flight 6 a value that was too old on main.
    assert_eq!((diff.rows_changed, diff.rows_common), (2, 6));
}

#[tokio::test]
async fn other_spines_are_compared_by_their_rows() {
    let fixture = Fixture::flights().await;
    fixture.train_as_is("main", "set").await;
    let mut create = fixture.request_set("main", "part").await;
    create.spine = SpineSource::Sql("SELECT * FROM flights WHERE flight <> 2 ORDER BY flight DESC".into());
    create.features = Features::Views(vec![ViewUse::of("weather_hourly")]);
    fixture.train("main", create).await.unwrap();
    let head = fixture.snapshot("main").await;
    let diff = fixture.diff_sets((&head, "set"), (&head, "part")).await;
    assert_eq!(
        (diff.rows_common, diff.rows_changed, diff.rows_removed, diff.rows_added),
        (5, 0, 1, 0)
    );
    let order = fixture
        .sql(r#"SELECT flight FROM "training/part/part-00000.parquet""#, "main")
        .await;
    assert_eq!(order, "6\n5\n4\n3\n1");
}

#[tokio::test]
async fn one_view_twice_under_aliases_and_a_query_as_source() {
    let fixture = Fixture::memory().await;
    fixture.table("weather", crate::support::WEATHER).await;
    fixture.table("flights", crate::support::FLIGHTS).await;
    let text = DEFINITIONS
        .replace("{table: weather}", "{sql: \"SELECT origin, temp * 2 AS temp, wind, time_hour FROM weather\"}")
        .replace(
            "  - weather_hourly",
            "  - {view: weather_hourly, as: from, features: [temp]}\n  - {view: weather_hourly, as: to, features: [temp], keys: {origin: dest}}",
        );
    fixture.apply("main", &text).await;
    fixture.train_as_is("main", "set").await;
    let sql = r#"SELECT flight, from__temp, to__temp FROM "training/set/part-00000.parquet" WHERE flight < 3"#;
    assert_eq!(fixture.sql(sql, "main").await, "1,78.0,82.0\n2,82.0,77.0");
    let head = fixture.snapshot("main").await;
    assert!(fixture.rebuild(&head, "set").await.equal);
}

#[tokio::test]
async fn what_cannot_be_joined_is_said() {
    let fixture = Fixture::flights().await;
    let create = fixture.request_set("main", "set").await;
    let failed = |create| async { fixture.train("main", create).await.unwrap_err() };
    let mut no_key = create.clone();
    no_key.spine = SpineSource::Sql("SELECT flight, sched FROM flights".into());
    let error = failed(no_key).await;
    assert_eq!(
        error.to_string(),
        r#"the spine, which view "weather_hourly" is joined to, has no column "origin""#
    );
    let mut no_time = create.clone();
    no_time.options.time = "scheduled".into();
    assert_eq!(
        failed(no_time).await.to_string(),
        r#"the spine has no column "scheduled""#
    );
    let mut null_time = create.clone();
    null_time.spine = SpineSource::Sql("SELECT origin, nullif(sched, sched) AS sched FROM flights".into());
    let error = failed(null_time).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("has no time in column \"sched\""), "{error}");
    let mut no_service = create.clone();
    no_service.features = Features::Service("dely".into());
    assert_eq!(failed(no_service).await.cures(), [Cure::did_you_mean("delay")]);
    let mut bad_name = create;
    bad_name.name = "../x".into();
    assert_eq!(failed(bad_name).await.kind(), ErrorKind::InvalidInput);
    let head = fixture.snapshot("main").await;
    assert!(training::list(&head).await.unwrap().is_empty());
    assert_eq!(
        training::show(&head, "set").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn an_empty_spine_gives_an_empty_set_with_its_schema() {
    let fixture = Fixture::flights().await;
    let mut create = fixture.request_set("main", "set").await;
    create.spine = SpineSource::Sql("SELECT * FROM flights WHERE false".into());
    let set = fixture.train("main", create).await.unwrap().set;
    let names: Vec<&str> = set.schema.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        (set.rows, names),
        (0, vec!["flight", "origin", "dest", "sched", "temp", "wind"])
    );
}

#[tokio::test]
async fn a_damaged_record_is_found() {
    let fixture = Fixture::flights().await;
    fixture.train_as_is("main", "set").await;
    fixture.test.write("main", "training/set/set.json", "{}").await.unwrap();
    let head = fixture.snapshot("main").await;
    assert_eq!(
        training::show(&head, "set").await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}
