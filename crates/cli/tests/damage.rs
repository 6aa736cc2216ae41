//! One bit flipped in what is stored: `fsck` finds it and names the object, and whoever reads the object is told, never
//! given something else. Libraries below have tests of every kind of object; these show that the program passes it on.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::support::{Place, files_below};

/// What the program exits with when what is stored is damaged.
const DAMAGED: i32 = 255;

/// The repository's objects of a kind, each a file in the kind's folder.
fn objects(place: &Place, kind: &str) -> Vec<PathBuf> {
    let folder = place.file(".drumlin/repo").join(kind);
    // There is no folder before there is an object.
    match folder.exists() {
        true => files_below(&folder).into_keys().collect(),
        false => Vec::new(),
    }
}

/// The one object of a kind that `work` makes.
fn made(place: &Place, kind: &str, work: impl FnOnce()) -> PathBuf {
    let before = objects(place, kind);
    work();
    let mut new = objects(place, kind);
    new.retain(|object| !before.contains(object));
    assert_eq!(new.len(), 1, "one of {kind} is made: {new:?}");
    new.remove(0)
}

fn id(object: &Path) -> &str {
    object
        .file_name()
        .and_then(|name| name.to_str())
        .expect("an id is text")
}

/// Flips a bit in the middle of an object, shows that `fsck` and each read say so, and flips it back.
fn flipped(place: &Place, object: &Path, reads: &[&[&str]]) {
    let body = fs::read(object).expect("an object can be read");
    let mut damaged = body.clone();
    damaged[body.len() / 2] ^= 0x10;
    fs::write(object, damaged).expect("an object can be written");
    let found = place.run(&["fsck"]);
    let all = format!("{}{}", found.out, found.err);
    assert_eq!(
        found.code,
        Some(DAMAGED),
        "fsck with {} damaged:\n{all}",
        object.display()
    );
    let named = found
        .out
        .lines()
        .any(|line| line.starts_with("damaged:") && line.contains(id(object)));
    assert!(named, "fsck does not name {}:\n{all}", object.display());
    for words in reads {
        let read = place.run(words);
        let all = format!("{}{}", read.out, read.err);
        assert_eq!(
            read.code,
            Some(DAMAGED),
            "{words:?} with {} damaged:\n{all}",
            object.display()
        );
        assert!(read.err.contains("damaged"), "{words:?}:\n{all}");
    }
    fs::write(object, body).expect("an object can be written");
    place.ok(&["fsck"]);
}

/// Rows enough that a pack is mostly theirs: the middle of it is no table of contents.
fn rows() -> String {
    let mut text = String::from("city,mm\n");
    for number in 0..20_000_u64 {
        let mm = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        writeln!(text, "c{number},{mm}").expect("text takes text");
    }
    text
}

#[test]
fn a_flipped_bit_in_a_pack_of_a_table() {
    let place = Place::repository();
    place.write("rows.csv", &rows());
    let pack = made(&place, "packs", || {
        place.ok(&["table", "create", "rain", "--from", "rows.csv"]);
    });
    let query = ["sql", "SELECT sum(mm), count(DISTINCT city) FROM rain"];
    flipped(&place, &pack, &[&query, &["restore", "tables/rain"]]);
    place.ok(&query);
}

#[test]
fn a_flipped_bit_in_a_pack_of_a_file() {
    let place = Place::repository();
    place.write("rows.csv", &rows());
    let pack = made(&place, "packs", || {
        place.ok(&["add", "rows.csv"]);
    });
    place.ok(&["commit", "-m", "rows"]);
    fs::remove_file(place.file("rows.csv")).expect("a file can be removed");
    flipped(
        &place,
        &pack,
        &[&["restore", "rows.csv"], &["show", "--cat", "rows.csv@main"]],
    );
    assert!(
        !place.file("rows.csv").exists(),
        "nothing is left of a restore that failed"
    );
    place.ok(&["restore", "rows.csv"]);
    assert_eq!(fs::read_to_string(place.file("rows.csv")).expect("it is back"), rows());
}

#[test]
fn a_flipped_bit_in_a_tree_or_a_commit() {
    let place = Place::repository();
    place.write("a.txt", "a");
    place.ok(&["add", "a.txt"]);
    let mut tree = None;
    let commit = made(&place, "commits", || {
        tree = Some(made(&place, "trees", || {
            place.ok(&["commit", "-m", "one"]);
        }));
    });
    fs::remove_file(place.file("a.txt")).expect("a file can be removed");
    let tree = tree.expect("made above");
    flipped(
        &place,
        &tree,
        &[
            &["restore", "a.txt"],
            &["show", "--cat", "a.txt@main"],
            &["checkout", "main", "--force"],
        ],
    );
    flipped(&place, &commit, &[&["log"], &["show", "main"]]);
}

#[test]
fn a_flipped_bit_in_a_page_of_operations() {
    let place = Place::repository();
    // The root holds 128 operations; the one after them moves half into a page.
    let page = made(&place, "operations", || {
        for number in 0..130 {
            place.ok(&["branch", "create", &format!("b{number}")]);
        }
    });
    flipped(&place, &page, &[&["op", "log", "-n", "1000"]]);
}
