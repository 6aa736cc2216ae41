//! What people do every day and what no mistake is: differences of the folder, files that are named, branches that are renamed.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::support::Place;

#[test]
fn differences_of_the_folder_are_shown() {
    let place = Place::repository();
    place.write("raw/a.txt", "one\n");
    place.write("raw/b.txt", "one\n");
    place.ok(&["add", "."]);
    place.ok(&["commit", "-m", "first"]);
    assert_eq!(place.ok(&["diff"]), "");
    place.write("raw/a.txt", "one and more\n");
    assert!(place.ok(&["diff"]).contains("raw/a.txt"));
    assert!(place.ok(&["diff", "--path", "raw/b.txt"]).is_empty());
    assert!(!place.ok(&["diff", "--staged"]).contains("raw/a.txt"));
    place.ok(&["add", "raw"]);
    assert!(place.ok(&["diff", "--staged"]).contains("raw/a.txt"));
    assert!(!place.ok(&["diff"]).contains("raw/a.txt"));
}

#[test]
fn a_result_is_written_as_its_file_is_called_and_whole() {
    let place = Place::repository();
    let rows: String = (0..150).map(|row| format!("{row}\n")).collect();
    place.write("n.csv", &format!("n\n{rows}"));
    place.ok(&["table", "create", "n", "--from", "n.csv"]);
    place.ok(&["sql", "SELECT n FROM n ORDER BY n", "--output", "out.csv"]);
    let written = std::fs::read_to_string(place.file("out.csv")).expect("it was written");
    assert_eq!(written, format!("n\n{rows}"));
}

#[test]
fn the_branch_that_is_renamed_here_is_the_one_that_is_here() {
    let place = Place::repository();
    place.ok(&["branch", "rename", "main", "trunk"]);
    place.write("a", "1");
    place.ok(&["add", "a"]);
    assert!(place.ok(&["status"]).contains("trunk"));
    place.ok(&["commit", "-m", "on it"]);
    assert!(place.ok(&["log", "trunk"]).contains("on it"));
}

#[test]
fn a_query_that_divides_by_nothing_is_the_users() {
    let place = Place::repository();
    for query in ["SELECT 1 / 0", "SELECT CAST('x' AS INT)"] {
        let err = place.fails(1, &["sql", query]);
        assert_eq!(
            err.lines().filter(|line| line.starts_with("error:")).count(),
            1,
            "{err}"
        );
        assert!(!err.contains("Optimizer"), "{err}");
    }
}

#[test]
fn tables_in_conflict_are_named_whole_and_the_cure_works() {
    let place = Place::repository();
    place.write("t.csv", "k,v\na,1\nb,2\n");
    place.ok(&["table", "create", "t", "--from", "t.csv", "--key", "k"]);
    place.ok(&["checkout", "-b", "side"]);
    place.ok(&["table", "delete", "t", "--where", "k = 'a'"]);
    place.ok(&["checkout", "main"]);
    place.ok(&["table", "delete", "t", "--where", "k = 'b'"]);
    let err = place.fails(1, &["merge", "side"]);
    assert!(err.contains("both sides changed tables/t; nothing was done"), "{err}");
    assert!(
        err.contains("drumlin restore tables/t --source side    (takes it as it is there; then add it, commit"),
        "{err}"
    );
    place.ok(&["restore", "--source", "side", "tables/t"]);
    place.ok(&["add", "tables/t"]);
    place.ok(&["commit", "-m", "theirs"]);
    assert!(place.ok(&["sql", "SELECT k FROM t", "--format", "csv"]).contains("b\n"));
    place.ok(&["merge", "side"]);
    place.ok(&["fsck"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::repository();
    for format in ["csv", "jsonl"] {
        let query = "SELECT value FROM generate_series(1, 300000)";
        let mut running = place
            .command(&["sql", query, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let mut out = BufReader::new(running.stdout.take().expect("it is piped"));
        out.read_line(&mut line).expect("a line comes");
        drop(out);
        let ended = running.wait_with_output().expect("it ends");
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{format}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}
