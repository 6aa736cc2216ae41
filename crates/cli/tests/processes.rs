//! Several processes on one repository at once: on paths that don't meet nothing is lost; on one path the loser is told.

use std::thread;

use serde_json::Value;

use crate::support::{Place, command_in, ran};

const PROCESSES: usize = 8;
const COMMITS: usize = 50;

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

#[test]
fn eight_processes_on_one_path() {
    let (home, places) = crowd();
    let outcomes: Vec<(usize, usize)> = thread::scope(|scope| {
        let work = places.iter().enumerate().map(|(at, place)| {
            scope.spawn(move || {
                let copy = place.file("copy");
                let (mut won, mut lost) = (0, 0);
                for round in 0..10 {
                    ran(command_in(&copy, &["checkout", "main", "--force"])
                        .output()
                        .expect("the program starts"));
                    place.write("copy/one.txt", &format!("{at} {round}"));
                    ran(command_in(&copy, &["add", "one.txt"])
                        .output()
                        .expect("the program starts"));
                    let message = format!("{at} {round}");
                    let ran = ran(command_in(&copy, &["commit", "-m", &message])
                        .output()
                        .expect("the program starts"));
                    match ran.code {
                        Some(0) => won += 1,
                        _ => {
                            assert!(ran.err.contains("one.txt"), "a conflict names the path: {}", ran.err);
                            lost += 1;
                        }
                    }
                }
                (won, lost)
            })
        });
        work.collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().expect("no assertion failed"))
            .collect()
    });
    let won: usize = outcomes.iter().map(|(won, _)| won).sum();
    // The first commit of a repository is its own.
    assert_eq!(
        commits(&home).len(),
        won + 1,
        "every acknowledged commit is there, and no other"
    );
    assert!(won > 0);
    home.ok(&["fsck"]);
}
