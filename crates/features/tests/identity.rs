//! The online identity as a property: rows in any order, in any number of appends, materialized as they come, answer like a
//! model that looks at all of them.

use drumlin_model::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::{Fixture, Kind, at};

const ROUNDS: u64 = 6;
const ROWS_MAX: usize = 40;

#[derive(Clone, Debug)]
struct Row {
    key: (String, String),
    event: i64,
    created: i64,
    gone: bool,
    values: [Option<i64>; 2],
}

/// Seconds after the first of January.
fn time(seconds: i64) -> String {
    Timestamp::from_micros(at("2013-01-01T00:00:00Z").micros() + seconds * 1_000_000).to_string()
}

fn csv(rows: &[Row]) -> String {
    let mut text = "a,b,event,created,gone,p,q\n".to_owned();
    for row in rows {
        let shown = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        let [p, q] = row.values.map(shown);
        text += &format!(
            "{},{},{},{},{},{p},{q}\n",
            row.key.0,
            row.key.1,
            time(row.event),
            time(row.created),
            row.gone
        );
    }
    text
}

fn definitions(nulls: &str, inclusive: bool, max_age: Option<i64>) -> String {
    let max_age = max_age.map(|age| format!("max_age: {age}s\n")).unwrap_or_default();
    format!(
        "kind: entity\nname: pair\nkeys: [{{name: a, type: string}}, {{name: b, type: string}}]\n---\n\
         kind: feature_view\nname: v\nentity: pair\nsource: {{table: events}}\nevent_time: event\ncreated_time: created\n\
         tombstone: gone\nnulls: {nulls}\ninclusive: {inclusive}\n{max_age}features: [p, q]\n"
    )
}

/// What the law says of a key: status and both values. `rows` stand in the order of writing.
fn model(
    rows: &[Row],
    key: &(String, String),
    now: i64,
    rules: (bool, bool, Option<i64>),
) -> (&'static str, [Option<i64>; 2]) {
    let (last_non_null, inclusive, max_age) = rules;
    let fresh = |row: &Row| max_age.is_none_or(|age| row.event >= now - age);
    let mut seen: Vec<(usize, &Row)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.key == *key && row.created <= now && (row.event < now || inclusive && row.event == now))
        .collect();
    seen.sort_by_key(|(index, row)| std::cmp::Reverse((row.event, row.created, *index)));
    let Some((_, newest)) = seen.first() else {
        return ("NOT_FOUND", [None; 2]);
    };
    if !fresh(newest) {
        return ("OUTSIDE_MAX_AGE", [None; 2]);
    }
    if newest.gone {
        return ("DELETED", [None; 2]);
    }
    let mut values = newest.values;
    if last_non_null {
        for (_, row) in seen.iter().take_while(|(_, row)| !row.gone && fresh(row)) {
            for (value, older) in values.iter_mut().zip(row.values) {
                *value = value.or(older);
            }
        }
    }
    (if values == [None; 2] { "NULL_VALUE" } else { "PRESENT" }, values)
}

#[tokio::test]
async fn random_writes_in_random_order_answer_as_the_model_does() {
    for seed in 0..ROUNDS {
        let mut random = StdRng::seed_from_u64(seed);
        let rules = (seed % 2 == 1, seed % 3 != 1, (seed % 3 == 2).then_some(30));
        let fixture = Fixture::memory().await;
        // One row that is typed in full, so that every column of the CSV has a type.
        let typed = Row {
            key: ("z".into(), "z".into()),
            event: 0,
            created: 0,
            gone: false,
            values: [Some(1), Some(2)],
        };
        let mut rows = vec![typed];
        fixture.table("events", &csv(&rows)).await;
        fixture
            .apply(
                "main",
                &definitions(if rules.0 { "last_non_null" } else { "row" }, rules.1, rules.2),
            )
            .await;
        let store = fixture.store(if seed % 2 == 0 { Kind::Memory } else { Kind::Lmdb });
        for step in 0..4_i64 {
            let new: Vec<Row> = (0..random.random_range(1..ROWS_MAX))
                .map(|_| random_row(&mut random))
                .collect();
            fixture.append("main", "events", &csv(&new)).await;
            rows.extend(new);
            let now = 20 + 15 * step;
            fixture.materialize(&store, "main", &time(now)).await;
            for later in [now, now + 1, now + 7] {
                check(&fixture, &store, &rows, later, rules);
                let report = fixture.verify(&store, &time(later)).await.unwrap();
                assert!(
                    report[0].is_identical(),
                    "seed {seed}, step {step}, now {later}: {:?}",
                    report[0]
                );
            }
        }
    }
}

fn random_row(random: &mut StdRng) -> Row {
    // Keys that join to the same text: ('1','23') and ('12','3').
    let keys = [("1", "23"), ("12", "3"), ("123", "x"), ("é", "0")];
    let (a, b) = keys[random.random_range(0..keys.len())];
    let event = random.random_range(0..70);
    let value = |random: &mut StdRng| random.random_bool(0.7).then(|| random.random_range(0..100));
    Row {
        key: (a.into(), b.into()),
        event,
        created: event + random.random_range(0..4) * random.random_range(0..8),
        gone: random.random_bool(0.1),
        values: [value(random), value(random)],
    }
}

fn check(fixture: &Fixture, store: &drumlin_online::Serving, rows: &[Row], now: i64, rules: (bool, bool, Option<i64>)) {
    for key in [
        ("1", "23"),
        ("12", "3"),
        ("123", "x"),
        ("é", "0"),
        ("1", "2"),
        ("z", "z"),
    ] {
        let got = fixture.get(store, "v", &[key.0, key.1], &time(now));
        let expected = model(rows, &(key.0.into(), key.1.into()), now, rules);
        let values = ["p", "q"].map(|name| got[name].as_i64());
        let status = got["v__status"].as_str().unwrap();
        assert_eq!((status, values), expected, "key {key:?} at {now}, rules {rules:?}");
    }
}
