//! Real processes, really killed (SIGKILL), at moments that a seed chooses: what was acknowledged is there, `fsck` passes,
//! and the command that was killed can be run again.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::Place;

/// Kept, so that a failure can be looked at again; moments still vary with the machine.
const SEED: u64 = 20_131_231;
/// Processes that were still running when they were killed: what the test goes on for.
const KILLS: usize = 30;
/// A machine so fast that few are caught must not keep the test going for ever.
const ROUNDS_MAX: usize = 150;

/// Starts the program and kills it after a while; whether it had ended well if it ended before that.
fn ended_before(place: &Place, words: &[&str], after: Duration) -> Option<bool> {
    let mut child = place
        .command(words)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    thread::sleep(after);
    match child.try_wait().expect("a child can be asked") {
        Some(status) => Some(status.success()),
        None => {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
            None
        }
    }
}

/// How long the verb takes here when nobody kills it.
fn usual(place: &Place, words: &[&str]) -> Duration {
    let start = Instant::now();
    place.ok(words);
    start.elapsed()
}

/// A repository with a table, a feature view over it and a folder of files.
fn furnished() -> Place {
    let place = Place::repository();
    place.write("rows.csv", "city,at,mm\noslo,2024-01-01T00:00:00Z,1\n");
    place.ok(&["table", "create", "rain", "--from", "rows.csv"]);
    define(&place, 1);
    place.ok(&["apply"]);
    place.write("data/first.bin", "first");
    place
}

/// Writes the definition with a maximal age that no round had before.
fn define(place: &Place, hours: usize) {
    let text = format!(
        "kind: entity\nname: city\nkeys: [{{name: city, type: string}}]\n---\nkind: feature_view\nname: rain\n\
         entity: city\nsource: {{table: rain}}\nevent_time: at\nmax_age: {hours}h\n"
    );
    place.write("features/rain.yaml", &text);
}

fn rows(place: &Place) -> u64 {
    let out = place.ok(&["sql", "SELECT count(*) FROM rain", "--format", "csv"]);
    out.lines().last().and_then(|line| line.parse().ok()).expect("a count")
}

#[test]
fn killed_at_any_moment() {
    let mut random = StdRng::seed_from_u64(SEED);
    let place = furnished();
    let add = usual(&place, &["add", "data"]);
    let commit = usual(&place, &["commit", "-m", "first"]);
    let append = usual(&place, &["table", "append", "rain", "--from", "rows.csv"]);
    let materialize = usual(&place, &["online", "materialize"]);
    let mut rows_before = rows(&place);
    let (mut round, mut kills) = (0, 0);
    while kills < KILLS {
        assert!(
            round < ROUNDS_MAX,
            "only {kills} of {round} processes were caught running"
        );
        let body: Vec<u8> = (0..200_000).map(|_| random.random()).collect();
        fs::write(place.file(&format!("data/{round}.bin")), &body).expect("a file can be written");
        let message = format!("round {round}");
        let (words, usual): (Vec<&str>, Duration) = match round % 5 {
            0 => (vec!["add", "data"], add),
            1 => {
                place.ok(&["add", "data"]);
                (vec!["commit", "-m", &message], commit)
            }
            2 => (vec!["table", "append", "rain", "--from", "rows.csv"], append),
            3 => {
                define(&place, round + 2);
                (vec!["apply"], append)
            }
            _ => (vec!["online", "materialize"], materialize),
        };
        let before = place.head();
        let ended = ended_before(&place, &words, usual.mul_f64(random.random_range(0.0..1.1)));
        let done = ended == Some(true);
        kills += usize::from(ended.is_none());
        let moved = place.head() != before;
        let moves = matches!(words[0], "commit" | "table" | "apply");
        assert!(
            moved || !done || !moves,
            "round {round}: {words:?} was acknowledged and is gone"
        );
        let appended = u64::from(words[0] == "table" && moved);
        assert_eq!(
            rows(&place),
            rows_before + appended,
            "round {round}: rows after {words:?}"
        );
        rows_before += appended;
        if round % 6 == 5 {
            place.ok(&["fsck"]);
        }
        round += 1;
    }
    finish(&place, round);
}

/// Runs again whatever was killed, and finds everything in its place.
fn finish(place: &Place, rounds: usize) {
    place.ok(&["checkout", "main"]);
    place.ok(&["add", "data"]);
    if !place.json(&["status"])["staged"].as_array().expect("a list").is_empty() {
        place.ok(&["commit", "-m", "the rest"]);
    }
    place.ok(&["apply"]);
    place.ok(&["online", "materialize"]);
    place.ok(&["verify"]);
    place.ok(&["fsck"]);
    for round in 0..rounds {
        place.ok(&["show", &format!("data/{round}.bin@main")]);
    }
}
