//! Imports go down: a crate may name only crates of lower floors, and the lower ones never link the SQL engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{files, root};

/// The floor of each crate. A new crate must be given one here, with a reason in `docs/architecture.md`.
const FLOORS: [(&str, u32); 13] = [
    ("model", 0),
    ("chunks", 1),
    ("repo", 2),
    ("online", 2),
    ("asof", 3),
    ("objects", 3),
    ("worktree", 3),
    ("tables", 4),
    ("features", 5),
    ("lineage", 5),
    ("verbs", 6),
    ("cli", 7),
    ("testkit", u32::MAX),
];
fn floor(name: &str) -> u32 {
    let found = FLOORS.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("crate {name:?} has no floor: add it to FLOORS"))
        .1
}

fn manifest(name: &str) -> toml::Table {
    let path = root().join("crates").join(name).join("Cargo.toml");
    std::fs::read_to_string(path)
        .expect("each crate has a manifest")
        .parse()
        .expect("a manifest is TOML")
}

fn ours(manifest: &toml::Table, section: &str) -> Vec<String> {
    let dependencies = manifest.get(section).and_then(|table| table.as_table());
    dependencies
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| Some(name.strip_prefix("drumlin-")?.to_owned()))
        .collect()
}

#[test]
fn every_crate_has_a_floor() {
    let mut folders: Vec<String> = std::fs::read_dir(root().join("crates"))
        .expect("the crates folder exists")
        .map(|entry| {
            entry
                .expect("an entry can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    folders.sort();
    let mut known: Vec<_> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    assert_eq!(folders, known);
}

#[test]
fn imports_go_down() {
    for (name, own_floor) in FLOORS {
        for section in ["dependencies", "build-dependencies"] {
            for used in ours(&manifest(name), section) {
                assert_ne!(used, "testkit", "{name}: testkit is for dev-dependencies");
                assert!(
                    floor(&used) < own_floor,
                    "{name} (floor {own_floor}) must not import {used} (floor {})",
                    floor(&used)
                );
            }
        }
        for used in ours(&manifest(name), "dev-dependencies")
            .iter()
            .filter(|used| *used != "testkit")
        {
            assert!(
                floor(used) <= own_floor,
                "the tests of {name} must not import {used}, which is above it"
            );
        }
    }
}

#[test]
fn source_names_only_declared_crates() {
    for source in files("crates", &[".rs"]).iter().filter(|source| !source.is_test()) {
        let own = source.crate_name();
        for (other, other_floor) in FLOORS {
            let named = source.text.contains(&format!("drumlin_{other}::"));
            let allowed = other_floor < floor(own) || other == own;
            assert!(
                !named || allowed,
                "{} names drumlin_{other}, which is not below it",
                source.path
            );
        }
    }
}

/// What a crate must not link, not even through others, and why.
const NEVER_LINKS: [(&str, &[&str], &str); 12] = [
    (
        "model",
        &["tokio", "object_store", "arrow", "heed"],
        "pure data does no I/O",
    ),
    ("chunks", &ENGINE, "floors 0 to 3 build in seconds"),
    ("repo", &ENGINE, "floors 0 to 3 build in seconds"),
    ("repo", &["heed", "ignore"], "a server has no working copy"),
    ("online", &ENGINE, "an inference service links megabytes, not hundreds"),
    (
        "online",
        &[
            "arrow",
            "arrow-array",
            "parquet",
            "object_store",
            "tokio",
            "drumlin-chunks",
        ],
        "an inference service reads no tables",
    ),
    ("objects", &ENGINE, "floors 0 to 3 build in seconds"),
    ("worktree", &ENGINE, "floors 0 to 3 build in seconds"),
    (
        "asof",
        &["deltalake", "deltalake-core", "heed", "drumlin-repo"],
        "the operator knows no repository and no table format",
    ),
    ("tables", &["heed"], "tables have no online store and no working copy"),
    ("lineage", &ENGINE, "lineage is read from history alone"),
    (
        "verbs",
        &["clap", "indicatif", "anstream"],
        "a server and Python have no terminal",
    ),
];
const ENGINE: [&str; 3] = ["datafusion", "deltalake", "deltalake-core"];

#[test]
fn crates_link_only_what_they_may() {
    let lock = lock();
    let mut wrong = Vec::new();
    for (name, never, why) in NEVER_LINKS {
        let linked = linked(&lock, name);
        let found: Vec<&&str> = never.iter().filter(|heavy| linked.contains(**heavy)).collect();
        if !found.is_empty() {
            wrong.push(format!("{name} links {found:?}, but {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each package of the lock file needs. Of ours it names what their tests need too, so those are asked for by manifest.
fn lock() -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock"))
        .expect("the lock file exists")
        .parse()
        .expect("it is TOML");
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("a lock file lists packages") {
        let lines = package.get("dependencies").and_then(|list| list.as_array());
        let uses = lines.into_iter().flatten().map(|line| {
            let line = line.as_str().expect("a dependency is text");
            line.split(' ').next().expect("it starts with a name").to_owned()
        });
        let name = package["name"].as_str().expect("a name is text");
        needs.entry(name.to_owned()).or_default().extend(uses);
    }
    needs
}

/// All that a crate of ours links, through others too.
fn linked(lock: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = direct(name);
    while let Some(next) = open.pop() {
        if seen.insert(next.clone()) {
            match next.strip_prefix("drumlin-") {
                Some(ours) => open.extend(direct(ours)),
                None => open.extend(lock.get(&next).into_iter().flatten().cloned()),
            }
        }
    }
    seen
}

fn direct(name: &str) -> Vec<String> {
    let manifest = manifest(name);
    let table = manifest.get("dependencies").and_then(|table| table.as_table());
    table.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}
