//! Several processes on one repository at once: on paths that don't meet nothing is lost; on one path the loser is told.

use std::{collections::BTreeSet, path::Path, thread};

use serde_json::Value;

use crate::support::{Place, command_in, ran};

const PROCESSES: usize = 8;
const COMMITS: usize = 50;
/// What the program exits with when somebody else changed the same path.
const CONFLICT: i32 = 1;

/// A repository and as many working copies of it as there are processes.
fn crowd() -> (Place, Vec<Place>) {
    let home = Place::repository();
    let places: Vec<Place> = (0..PROCESSES).map(|_| Place::empty()).collect();
    for place in &places {
        home.ok(&[
            "clone",
            ".",
            place.file("copy").to_str().expect("a temporary path is text"),
        ]);
    }
    (home, places)
}

fn commits(home: &Place) -> Vec<Value> {
    home.json(&["log", "-n", "1000"])
        .as_array()
        .expect("the log is a list")
        .clone()
}

#[test]
fn eight_processes_on_paths_that_do_not_meet() {
    let (home, places) = crowd();
    thread::scope(|scope| {
        for (at, place) in places.iter().enumerate() {
            scope.spawn(move || {
                let copy = place.file("copy");
                for round in 0..COMMITS {
                    let name = format!("from-{at}/{round}.txt");
                    place.write(&format!("copy/{name}"), &format!("{at} {round}"));
                    for words in [vec!["add", name.as_str()], vec!["commit", "-m", name.as_str()]] {
                        let ran = ran(command_in(&copy, &words).output().expect("the program starts"));
                        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
                    }
                }
            });
        }
    });
    let messages: Vec<String> = commits(&home)
        .iter()
        .map(|commit| commit["message"].as_str().expect("text").to_owned())
        .collect();
    for at in 0..PROCESSES {
        for round in 0..COMMITS {
            assert!(
                messages.contains(&format!("from-{at}/{round}.txt")),
                "commit {round} of process {at} is lost"
            );
        }
    }
    home.ok(&["checkout", "main"]);
    let files = (0..PROCESSES).map(|at| {
        std::fs::read_dir(home.file(&format!("from-{at}")))
            .expect("it is there")
            .count()
    });
    assert_eq!(files.sum::<usize>(), PROCESSES * COMMITS);
    home.ok(&["fsck"]);
}

/// Runs what no other process may get in the way of.
fn in_copy(copy: &Path, words: &[&str]) {
    let ran = ran(command_in(copy, words).output().expect("the program starts"));
    assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
}

/// One of the processes that all write one path: the messages of its commits, and how many conflicts it was told of.
fn contend(at: usize, place: &Place) -> (Vec<String>, usize) {
    let copy = place.file("copy");
    let (mut won, mut lost) = (Vec::new(), 0);
    for round in 0..COMMITS {
        let message = format!("{at} {round}");
        place.write("copy/one.txt", &message);
        in_copy(&copy, &["add", "one.txt"]);
        let ran = ran(command_in(&copy, &["commit", "-m", &message, "--json"])
            .output()
            .expect("the program starts"));
        if ran.code == Some(0) {
            won.push(message);
            continue;
        }
        assert_eq!(ran.code, Some(CONFLICT), "{message}: {}", ran.err);
        let said: Value = serde_json::from_str(&ran.err).expect("the error is JSON");
        assert_eq!(said["error"]["kind"], "conflict", "{message}: {said}");
        let text = said["error"]["message"].as_str().expect("text");
        assert!(text.contains("one.txt"), "a conflict names the path: {text}");
        lost += 1;
        in_copy(&copy, &["checkout", "main", "--force"]);
    }
    (won, lost)
}

#[test]
fn eight_processes_on_one_path() {
    let (home, places) = crowd();
    let outcomes: Vec<(Vec<String>, usize)> = thread::scope(|scope| {
        let work = places
            .iter()
            .enumerate()
            .map(|(at, place)| scope.spawn(move || contend(at, place)));
        work.collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().expect("no assertion failed"))
            .collect()
    });
    let lost: usize = outcomes.iter().map(|(_, lost)| lost).sum();
    let won: usize = outcomes.iter().map(|(won, _)| won.len()).sum();
    println!("{won} commits, {lost} conflicts");
    assert!(
        won > 0 && lost > 0,
        "{won} commits and {lost} conflicts: nobody met anybody"
    );
    assert_eq!(won + lost, PROCESSES * COMMITS);
    let log = commits(&home);
    // The first commit of a repository is its own.
    assert_eq!(log.len(), won + 1, "every acknowledged commit is there, and no other");
    let messages: BTreeSet<&str> = log.iter().filter_map(|commit| commit["message"].as_str()).collect();
    for message in outcomes.iter().flat_map(|(won, _)| won) {
        assert!(messages.contains(message.as_str()), "commit {message} is lost");
    }
    let last = log[0]["message"].as_str().expect("text");
    assert_eq!(
        home.ok(&["show", "--cat", "one.txt@main"]),
        last,
        "the newest commit is what stands there"
    );
    home.ok(&["fsck"]);
}
