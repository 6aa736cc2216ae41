//! Repositories that older programs wrote, kept as they were. Each opens, is whole, and answers as it did.
//! `kept/make.sh` made them. A released format's files are never made again.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::{Place, files_below};

const FORMATS: [&str; 1] = ["format-1"];

fn kept(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept").join(file)
}

/// The kept repository in a folder of its own.
fn unpacked(format: &str) -> Place {
    let place = Place::empty();
    let done = Command::new("tar")
        .args(["--strip-components=1", "-xzf"])
        .arg(kept(&format!("{format}.tar.gz")))
        .arg("-C")
        .arg(place.path())
        .status()
        .expect("`tar` starts");
    assert!(done.success());
    place
}

/// The words of a question, as a shell would split them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("it starts with one").push(c),
        }
    }
    words
}

/// An answer's JSON: one value, or the rows of a query with a value each.
fn values(answer: &str) -> Value {
    let rows = serde_json::Deserializer::from_str(answer).into_iter();
    Value::Array(rows.map(|row| row.expect("an answer is JSON")).collect())
}

/// Whether `now` says all that `then` said. It may say more: answers can gain fields.
fn still_says(then: &Value, now: &Value) -> bool {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => then
            .iter()
            .all(|(field, value)| now.get(field).is_some_and(|now| still_says(value, now))),
        (Value::Array(then), Value::Array(now)) => {
            then.len() == now.len() && then.iter().zip(now).all(|(then, now)| still_says(then, now))
        }
        (then, now) => then == now,
    }
}

#[test]
fn every_format_that_was_written_answers_as_it_did() {
    for format in FORMATS {
        let place = unpacked(format);
        let text = fs::read_to_string(kept(&format!("{format}.answers"))).expect("the answers are kept");
        let mut asked = 0;
        for block in text.split("$ ").filter(|block| !block.is_empty()) {
            let (line, answer) = block.split_once('\n').expect("a question stands on a line");
            let words = words(line);
            let asked_now: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
            let (then, now) = (values(answer), values(&place.ok(&asked_now)));
            assert!(
                still_says(&then, &now),
                "{format}: {line}\nthen: {then:#}\nnow: {now:#}"
            );
            asked += 1;
        }
        assert!(asked > 20, "{format}: only {asked} questions");
    }
}

#[test]
fn every_format_that_was_written_is_whole_and_goes_on() {
    for format in FORMATS {
        let place = unpacked(format);
        place.ok(&["fsck"]);
        let status = place.ok(&["status"]);
        assert!(
            status.contains("raw/staged.txt") && status.contains("raw/small.txt"),
            "what was staged and what was changed are still known:\n{status}"
        );
        let before = files_below(&place.file(".drumlin/repo/packs"));
        place.ok(&["commit", "-m", "goes on"]);
        place.ok(&["restore", "raw/small.txt"]);
        place.ok(&["checkout", "v1"]);
        place.ok(&["checkout", "main"]);
        place.ok(&["verify", "--now", "2024-03-01T23:30:00Z"]);
        place.ok(&["fsck"]);
        let after = files_below(&place.file(".drumlin/repo/packs"));
        assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    }
}
