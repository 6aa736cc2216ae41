//! `drumlin config`: where each value comes from, which goes first, and that files keep what they hold.

use std::fs;

use crate::support::{Place, Ran, command_in, ran};

/// Runs in `place` with a home folder and further variables.
fn run(place: &Place, home: &Place, words: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = command_in(place.path(), words);
    command
        .env_remove("DRUMLIN_ACTOR")
        .env("HOME", home.path())
        .env("USER", "ada");
    ran(command
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts"))
}

fn ok(place: &Place, home: &Place, words: &[&str], variables: &[(&str, &str)]) -> String {
    let ran = run(place, home, words, variables);
    assert_eq!(ran.code, Some(0), "drumlin {words:?}:\n{}{}", ran.out, ran.err);
    ran.out
}

/// The line of a setting in the list.
fn listed(list: &str, key: &str) -> String {
    let line = list.lines().find(|line| line.starts_with(key));
    line.unwrap_or_else(|| panic!("no {key} in:\n{list}")).to_owned()
}

#[test]
fn the_list_says_where_each_value_comes_from() {
    let (place, home) = (Place::repository(), Place::empty());
    let list = ok(&place, &home, &["config", "list"], &[]);
    assert_eq!(list.lines().count(), 4, "{list}");
    assert_eq!(listed(&list, "actor"), "actor    ada            what is built in");
    assert_eq!(listed(&list, "memory"), "memory   2GB            what is built in");
    ok(&place, &home, &["config", "set", "--user", "memory", "1GB"], &[]);
    let list = ok(&place, &home, &["config"], &[]);
    assert!(
        listed(&list, "memory").ends_with(".config/drumlin/config.toml"),
        "{list}"
    );
    ok(&place, &home, &["config", "set", "memory", "512MB"], &[]);
    let list = ok(&place, &home, &["config", "list"], &[]);
    assert!(listed(&list, "memory").contains("512MB"), "{list}");
    assert!(listed(&list, "memory").ends_with(".drumlin/config.toml"), "{list}");
    let variables = [("DRUMLIN_MEMORY", "256MB")];
    let list = ok(&place, &home, &["config", "list"], &variables);
    assert_eq!(
        listed(&list, "memory"),
        "memory   256MB          the environment (DRUMLIN_MEMORY)"
    );
    let list = ok(&place, &home, &["config", "list", "--memory", "128MB"], &variables);
    assert_eq!(listed(&list, "memory"), "memory   128MB          --memory");
    let list = ok(&place, &home, &["config", "list", "--json"], &variables);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let memory = &list[2];
    assert_eq!(memory["key"], "memory");
    assert_eq!(memory["value"], 256_000_000);
    assert_eq!(memory["text"], "256MB");
    assert_eq!(memory["from"], "environment");
    assert_eq!(memory["variable"], "DRUMLIN_MEMORY");
    assert_eq!(ok(&place, &home, &["config", "get", "memory"], &[]), "512MB\n");
    ok(&place, &home, &["config", "unset", "memory"], &[]);
    assert_eq!(ok(&place, &home, &["config", "get", "memory"], &[]), "1GB\n");
    let changed = ok(&place, &home, &["config", "unset", "--user", "memory", "--json"], &[]);
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("JSON");
    assert_eq!(changed["before"], 1_000_000_000);
    assert_eq!(changed["now"]["from"], "built_in");
}

#[test]
fn what_is_set_is_used() {
    let (place, home) = (Place::repository(), Place::empty());
    ok(&place, &home, &["config", "set", "actor", "grace"], &[]);
    place.write("a.txt", "1");
    ok(&place, &home, &["add", "a.txt"], &[]);
    ok(&place, &home, &["commit", "-m", "one"], &[]);
    assert!(ok(&place, &home, &["log", "-n", "1"], &[]).contains("grace"));
    ok(&place, &home, &["config", "set", "color", "always"], &[]);
    assert!(ok(&place, &home, &["log"], &[]).contains('\u{1b}'));
    assert!(!ok(&place, &home, &["log", "--color", "never"], &[]).contains('\u{1b}'));
    // Settings of one person hold everywhere, also where there is no repository.
    let elsewhere = Place::empty();
    ok(&elsewhere, &home, &["config", "set", "--user", "threads", "3"], &[]);
    assert_eq!(
        ok(&place, &home, &["config", "get", "threads", "--color", "never"], &[]),
        "3\n"
    );
    let xdg = [("XDG_CONFIG_HOME", elsewhere.path().to_str().expect("UTF-8"))];
    ok(&elsewhere, &home, &["config", "set", "--user", "threads", "5"], &xdg);
    assert!(elsewhere.file("drumlin/config.toml").exists());
}

#[test]
fn a_file_keeps_its_comments_and_what_a_newer_program_wrote() {
    let (place, home) = (Place::repository(), Place::empty());
    let file = place.file(".drumlin/config.toml");
    let text = fs::read_to_string(&file).expect("there are settings");
    let text = format!("{text}\n# of the team\n[remotes]\nstore = \"s3://data\"\n\n[settings]\nlater = 1 # yes\n");
    fs::write(&file, &text).expect("it can be written");
    let ran = run(&place, &home, &["config", "set", "threads", "2"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.err.matches("warning:").count(), 2, "{}", ran.err);
    assert!(
        ran.err.contains("\"remotes\"") && ran.err.contains("\"later\""),
        "{}",
        ran.err
    );
    assert_eq!(
        fs::read_to_string(&file).expect("it is there"),
        format!("{text}threads = 2\n")
    );
}

#[test]
fn mistakes_name_the_thing_and_what_was_meant() {
    let (place, home) = (Place::repository(), Place::empty());
    let fails = |words: &[&str], variables: &[(&str, &str)], says: &[&str]| {
        let ran = run(&place, &home, words, variables);
        assert_eq!(ran.code, Some(1), "drumlin {words:?}:\n{}{}", ran.out, ran.err);
        assert!(ran.err.contains("hint:"), "{}", ran.err);
        for text in says {
            assert!(ran.err.contains(text), "no {text:?} in:\n{}", ran.err);
        }
    };
    fails(&["config", "get", "memroy"], &[], &["memroy", "\"memory\""]);
    fails(&["config", "set", "threads", "none"], &[], &["threads", "none"]);
    fails(&["status"], &[("DRUMLIN_MEMORY", "much")], &["DRUMLIN_MEMORY", "much"]);
    let file = place.file(".drumlin/config.toml");
    let text = fs::read_to_string(&file).expect("there are settings");
    fs::write(&file, format!("{text}\n[settings]\nmemory = \"much\"\n")).expect("it can be written");
    fails(&["status"], &[], &["config.toml", "line 6", "much"]);
    let elsewhere = Place::empty();
    let ran = run(&elsewhere, &home, &["config", "set", "threads", "2"], &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("drumlin init"), "{}", ran.err);
}
