//! Real processes, really killed (SIGKILL), at moments that a seed chooses: what was acknowledged is there, `fsck` passes,
//! and the command that was killed can be run again.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::Place;

/// Kept, so that a failure can be looked at again; moments still vary with the machine.
const SEED: u64 = 20_131_231;
const KILLS: usize = 36;

/// Starts the program, kills it after a while, and says whether it had ended well before that.
fn killed(place: &Place, words: &[&str], after: Duration) -> bool {
    let mut child = place
        .command(words)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    thread::sleep(after);
    match child.try_wait().expect("a child can be asked") {
        Some(status) => status.success(),
        None => {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
            false
        }
    }
}

/// How long the verb takes here when nobody kills it.
fn usual(place: &Place, words: &[&str]) -> Duration {
    let start = Instant::now();
    place.ok(words);
    start.elapsed()
}

#[test]
fn killed_at_any_moment() {
    let mut random = StdRng::seed_from_u64(SEED);
    let place = Place::repository();
    place.write("rows.csv", "city,at,mm\noslo,2024-01-01T00:00:00Z,1\n");
    place.ok(&["table", "create", "rain", "--from", "rows.csv"]);
    place.write(
        "features/rain.yaml",
        "kind: entity\nname: city\nkeys: [{name: city, type: string}]\n---\nkind: feature_view\nname: rain\nentity: city\nsource: {table: rain}\nevent_time: at\n",
    );
    place.ok(&["apply"]);
    place.write("data/first.bin", "first");
    let add = usual(&place, &["add", "data"]);
    let commit = usual(&place, &["commit", "-m", "first"]);
    let append = usual(&place, &["table", "append", "rain", "--from", "rows.csv"]);
    let materialize = usual(&place, &["online", "materialize"]);
    let mut rows_acknowledged = 2;
    for round in 0..KILLS {
        let name = format!("data/{round}.bin");
        let body: Vec<u8> = (0..200_000).map(|_| random.random()).collect();
        std::fs::write(place.file(&name), &body).expect("a file can be written");
        let message = format!("round {round}");
        let age = format!("event_time: at\nmax_age: {}h\n", round + 1);
        let (words, usual): (Vec<&str>, Duration) = match round % 5 {
            0 => (vec!["add", "data"], add),
            1 => {
                place.ok(&["add", "data"]);
                (vec!["commit", "-m", &message], commit)
            }
            2 => (vec!["table", "append", "rain", "--from", "rows.csv"], append),
            3 => {
                let file = place.file("features/rain.yaml");
                let text = std::fs::read_to_string(&file).expect("it is there");
                let head = text.split("event_time").next().expect("it has a start").to_owned();
                std::fs::write(file, head + &age).expect("it can be written");
                (vec!["apply"], append)
            }
            _ => (vec!["online", "materialize"], materialize),
        };
        let before = place.head();
        let after = usual.mul_f64(random.random_range(0.0..1.1));
        let done = killed(&place, &words, after);
        let moved = place.head() != before;
        assert!(
            moved || !done || !matches!(words[0], "commit" | "table"),
            "round {round}: {words:?} was acknowledged and is gone"
        );
        let rows: u64 = place
            .ok(&["sql", "SELECT count(*) FROM rain", "--format", "csv"])
            .lines()
            .last()
            .and_then(|line| line.parse().ok())
            .expect("a count");
        if words[0] == "table" {
            assert!(
                rows == rows_acknowledged + u64::from(moved),
                "round {round}: {rows} rows"
            );
        }
        rows_acknowledged = rows;
        if round % 6 == 5 {
            place.ok(&["fsck"]);
        }
    }
    place.ok(&["add", "data"]);
    if !place.json(&["status"])["staged"].as_array().expect("a list").is_empty() {
        place.ok(&["commit", "-m", "the rest"]);
    }
    place.ok(&["apply"]);
    place.ok(&["online", "materialize"]);
    place.ok(&["verify"]);
    place.ok(&["fsck"]);
    for round in 0..KILLS {
        place.ok(&["show", &format!("data/{round}.bin@main")]);
    }
}
