//! What people get wrong: one clear line that names the thing, a hint that is a command, the right exit code, and nothing changed.

use std::{fs, path::PathBuf};

use crate::support::{Place, files_below};

/// A repository with a file, a table and a feature view.
fn furnished() -> Place {
    let place = Place::repository();
    place.write(
        "raw/rain.csv",
        "city,at,mm\noslo,2024-01-01T00:00:00Z,1\nbergen,2024-01-01T00:00:00Z,9\n",
    );
    place.ok(&["add", "raw"]);
    place.ok(&["commit", "-m", "raw"]);
    place.ok(&["table", "create", "rain", "--from", "raw/rain.csv"]);
    place.write("features/rain.yaml", RAIN);
    place.ok(&["apply"]);
    place
}

const RAIN: &str = "kind: entity\nname: city\nkeys: [{name: city, type: string}]\n---\nkind: feature_view\nname: rain\n\
                    entity: city\nsource: {table: rain}\nevent_time: at\n";

/// Runs a mistake: it must exit with 1, say all of `says` in one line, end with a hint, and move no branch.
fn mistake(place: &Place, words: &[&str], says: &[&str]) {
    let before = place.head();
    let err = place.fails(1, words);
    let first = err
        .lines()
        .find(|line| line.starts_with("error:"))
        .unwrap_or_else(|| panic!("no error line:\n{err}"));
    for text in says {
        assert!(err.contains(text), "drumlin {words:?} does not say {text:?}:\n{err}");
    }
    assert!(first.len() < 600, "the line is too long to read:\n{err}");
    assert!(err.contains("hint:"), "drumlin {words:?} gives no hint:\n{err}");
    assert!(!err.contains("panicked"), "{err}");
    assert_eq!(place.head(), before, "drumlin {words:?} moved the branch");
}

#[test]
fn paths_outside_the_repository() {
    let place = furnished();
    mistake(&place, &["add", "/etc/hostname"], &["/etc/hostname", "outside"]);
    mistake(&place, &["add", "../elsewhere"], &["elsewhere"]);
    mistake(&place, &["show", "a/../b@main"], &[".."]);
    mistake(&place, &["add", "nothing-here"], &["nothing-here"]);
}

#[test]
fn refs_that_are_not_there() {
    let place = furnished();
    mistake(&place, &["checkout", "mian"], &["mian"]);
    mistake(&place, &["show", "main~99"], &["99"]);
    mistake(&place, &["sql", "SELECT 1 FROM rain@nowhere"], &["nowhere"]);
    mistake(&place, &["merge", "nowhere"], &["nowhere"]);
    let err = place.fails(2, &["branch", "create", "a/b"]);
    assert!(err.contains("a/b"), "{err}");
}

#[test]
fn csv_files_with_mistakes() {
    let place = furnished();
    place.write(
        "ragged.csv",
        "city,at,mm\noslo,2024-01-02T00:00:00Z,1\nbergen,2024-01-02T00:00:00Z\n",
    );
    mistake(
        &place,
        &["table", "append", "rain", "--from", "ragged.csv"],
        &["ragged.csv", "3"],
    );
    place.write(
        "bad.csv",
        "city,at,mm\noslo,2024-01-02T00:00:00Z,1\nbergen,2024-01-02T00:00:00Z,wet\n",
    );
    mistake(
        &place,
        &["table", "append", "rain", "--from", "bad.csv"],
        &["bad.csv", "3", "mm", "wet"],
    );
    mistake(
        &place,
        &["table", "create", "x", "--from", "bad.csv", "--type", "mm=int64"],
        &["bad.csv", "3", "mm", "wet"],
    );
    mistake(&place, &["table", "create", "x", "--from", "none.csv"], &["none.csv"]);
    mistake(
        &place,
        &["table", "create", "rain", "--from", "raw/rain.csv"],
        &["rain"],
    );
    mistake(
        &place,
        &["table", "append", "rian", "--from", "raw/rain.csv"],
        &["rian", "rain"],
    );
    let rows = place.ok(&["sql", "SELECT count(*) FROM rain", "--format", "csv"]);
    assert_eq!(rows.lines().last(), Some("2"));
}

#[test]
fn sql_with_mistakes() {
    let place = furnished();
    mistake(&place, &["sql", "SELEC 1"], &["SELEC"]);
    mistake(&place, &["sql", "SELECT mmm FROM rain"], &["mmm"]);
    mistake(&place, &["sql", "DROP TABLE rain"], &[]);
    mistake(&place, &["sql", "SELECT * FROM snow"], &["snow"]);
}

#[test]
fn definitions_with_mistakes() {
    let place = furnished();
    place.write(
        "features/rain.yaml",
        &RAIN.replace("event_time: at", "event_time: at\nmax_agee: 3h"),
    );
    mistake(&place, &["apply"], &["features/rain.yaml:10", "max_agee", "max_age"]);
    place.write(
        "features/rain.yaml",
        &RAIN.replace("{table: rain}", "{sql: 'SELECT at, mm FROM rain'}"),
    );
    mistake(&place, &["apply"], &["features/rain.yaml", "city"]);
    place.write(
        "features/rain.yaml",
        &RAIN.replace("{table: rain}", "{sql: 'SELECT city, mm FROM rain'}"),
    );
    mistake(&place, &["apply"], &["features/rain.yaml", "at"]);
    place.write(
        "features/rain.yaml",
        &RAIN.replace("event_time: at", "event_time: at\nmax_age: 0h"),
    );
    mistake(&place, &["apply"], &["features/rain.yaml", "max"]);
}

/// Definitions in folders of `features` are definitions too: applying the whole neither misses nor removes them.
#[test]
fn definitions_in_folders() {
    let place = furnished();
    place.ok(&["apply"]);
    fs::create_dir_all(place.file("features/city")).expect("a folder");
    fs::rename(place.file("features/rain.yaml"), place.file("features/city/rain.yaml")).expect("moved");
    place.ok(&["apply"]);
    let listed = place.json(&["feature", "list"]).to_string();
    assert!(listed.contains("features/city/rain.yaml"), "{listed}");
    let plan = place.json(&["apply", "--dry-run"]);
    assert_eq!(plan["changes"], serde_json::json!([]));
    assert!(place.file("features/city/rain.yaml").exists());
}

#[test]
fn spines_with_mistakes() {
    let place = furnished();
    let create = |spine: &str| {
        [
            "train", "create", "t", "--views", "rain", "--time", "at", "--spine", spine,
        ]
        .map(str::to_owned)
    };
    for (spine, says) in [
        ("SELECT at FROM rain", vec!["city"]),
        ("SELECT city FROM rain", vec!["at"]),
        ("SELECT city, CAST(NULL AS TIMESTAMP) AS at FROM rain", vec!["null"]),
        ("snow", vec!["snow"]),
    ] {
        let words = create(spine);
        mistake(&place, &words.iter().map(String::as_str).collect::<Vec<_>>(), &says);
    }
    mistake(&place, &["online", "get", "rain", "city=oslo"], &["rain"]);
    mistake(&place, &["train", "show", "nothing"], &["nothing"]);
}

/// Verbs that read, verbs that write, and verbs that do both: none may begin in a repository that it cannot understand.
const ON_A_NEWER_FORMAT: &[&[&str]] = &[
    &["log"],
    &["status"],
    &["add", "new.txt"],
    &["show", "main"],
    &["diff", "main~1", "main"],
    &["commit", "-m", "more"],
    &["sql", "SELECT * FROM rain"],
    &["table", "create", "snow", "--from", "raw/rain.csv"],
    &["table", "append", "rain", "--from", "raw/rain.csv"],
    &["table", "list"],
    &["apply"],
    &["feature", "list"],
    &[
        "train", "create", "t", "--spine", "rain", "--views", "rain", "--time", "at",
    ],
    &["online", "materialize"],
    &["online", "get", "rain", "city=oslo"],
    &["verify"],
    &["lineage", "tables/rain"],
    &["fsck"],
    &["checkout", "main"],
    &["branch", "create", "other"],
    &["branch", "list"],
    &["tag", "create", "v1"],
    &["merge", "main~1"],
    &["reset", "main~1"],
    &["undo"],
    &["restore", "raw"],
    &["op", "log"],
    &["clone", ".", "copy"],
    &["revert", "main"],
    &["cherry-pick", "main"],
    &["train", "list"],
];

#[test]
fn a_repository_of_a_newer_format() {
    let place = furnished();
    place.ok(&["online", "materialize"]);
    // So that `commit`, `add` and `apply` would have something to do.
    place.write("staged.txt", "staged");
    place.ok(&["add", "staged.txt"]);
    place.write("new.txt", "not seen before");
    place.write(
        "features/rain.yaml",
        &RAIN.replace("event_time: at", "event_time: at\nmax_age: 3h"),
    );
    let root = place.file(".drumlin/repo/root");
    let text = fs::read_to_string(&root).expect("the root is text");
    let newer = text.replacen("drumlin root 1 ", "drumlin root 9 ", 1);
    assert_ne!(newer, text, "the first line of the root names its format");
    fs::write(&root, newer).expect("the root can be written");
    let before = files_below(&place.file(".drumlin/repo"));
    for words in ON_A_NEWER_FORMAT {
        let ran = place.run(words);
        assert_eq!(ran.code, Some(1), "drumlin {words:?}:\n{}{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "drumlin {words:?} found something out all the same");
        let (hints, errors): (Vec<&str>, Vec<&str>) = ran.err.lines().partition(|line| line.starts_with("hint:"));
        assert!(errors.len() == 1 && hints.len() <= 1, "one line says it:\n{}", ran.err);
        assert!(errors[0].contains("format 9"), "drumlin {words:?}:\n{}", ran.err);
        let after = files_below(&place.file(".drumlin/repo"));
        // Whole maps would fill the screen: say which files.
        let differ = before.iter().filter(|(path, body)| after.get(*path) != Some(body));
        let differ: Vec<&PathBuf> = differ.map(|(path, _)| path).collect();
        assert!(differ.is_empty(), "drumlin {words:?} changed {differ:?}");
        assert!(
            after.keys().eq(before.keys()),
            "drumlin {words:?} made files: {:?}",
            after.keys()
        );
    }
}

#[test]
fn a_damaged_root_is_corrupt() {
    let place = furnished();
    let root = place.file(".drumlin/repo/root");
    let mut bytes = fs::read(&root).expect("the root can be read");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&root, bytes).expect("the root can be written");
    place.fails(255, &["log"]);
}

#[test]
fn outside_a_repository() {
    let place = Place::empty();
    let err = place.fails(1, &["status"]);
    assert!(err.contains("drumlin init"), "{err}");
    place.ok(&["init"]);
    let err = place.fails(1, &["init"]);
    assert!(err.contains("already"), "{err}");
}

#[test]
fn work_is_not_overwritten() {
    let place = furnished();
    place.ok(&["checkout", "-b", "other"]);
    place.write("raw/rain.csv", "city,at,mm\n");
    place.ok(&["add", "raw"]);
    place.ok(&["commit", "-m", "emptied"]);
    place.write("raw/rain.csv", "my own work");
    mistake(&place, &["checkout", "main"], &["raw/rain.csv"]);
    assert_eq!(
        fs::read_to_string(place.file("raw/rain.csv")).expect("it is there"),
        "my own work"
    );
}

/// What `undo` says is what is so afterwards.
#[test]
fn undo_says_where_the_refs_are_now() {
    let place = Place::repository();
    place.write("a.txt", "1");
    place.ok(&["add", "a.txt"]);
    place.ok(&["commit", "-m", "one"]);
    let before = place.json(&["show", "main"])["id"].as_str().expect("an id").to_owned();
    place.write("a.txt", "2");
    place.ok(&["add", "a.txt"]);
    place.ok(&["commit", "-m", "two"]);
    let said = place.ok(&["undo"]);
    assert_eq!(place.json(&["show", "main"])["id"], before);
    assert!(said.contains(&format!("main is now {}", &before[..12])), "{said}");
    place.ok(&["tag", "create", "v1"]);
    assert!(place.ok(&["undo"]).contains("v1 is now gone"));
}
