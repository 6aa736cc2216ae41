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
/// Crates on this floor and below build in seconds, because they never link what is listed next, but for the as-of operator,
/// which is made of it.
const LIGHT_FLOOR_MAX: u32 = 3;
const HEAVY_BELOW: [&str; 1] = ["asof"];
/// What an inference service does not link: the crate `online` and what it needs are megabytes, not hundreds.
const HEAVY_FOR_SERVING: [&str; 6] = [
    "arrow",
    "arrow-array",
    "parquet",
    "object_store",
    "tokio",
    "drumlin-chunks",
];
const HEAVY: [&str; 3] = ["datafusion", "deltalake", "deltalake-core"];

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

/// What each package of the lock file names as its dependencies.
fn lock() -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock"))
        .expect("the lock file exists")
        .parse()
        .expect("it is TOML");
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("a lock file lists packages") {
        let uses = package
            .get("dependencies")
            .and_then(|list| list.as_array())
            .into_iter()
            .flatten();
        let uses = uses.map(|line| {
            line.as_str()
                .expect("text")
                .split(' ')
                .next()
                .expect("a name")
                .to_owned()
        });
        needs
            .entry(package["name"].as_str().expect("text").to_owned())
            .or_default()
            .extend(uses);
    }
    needs
}

/// Every crate that a crate of ours links, by the manifests of ours and the lock file of the others: what our tests need is
/// left out.
fn linked(name: &str, needs: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = vec![format!("drumlin-{name}")];
    while let Some(next) = open.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        match next.strip_prefix("drumlin-") {
            Some(ours) => {
                let manifest = manifest(ours);
                let uses = manifest.get("dependencies").and_then(|table| table.as_table());
                open.extend(uses.into_iter().flatten().map(|(name, _)| name.clone()));
            }
            None => open.extend(needs.get(&next).into_iter().flatten().cloned()),
        }
    }
    seen
}

#[test]
fn light_floors_never_link_the_sql_engine() {
    let needs = lock();
    let light = |(name, floor): &&(&str, u32)| *floor <= LIGHT_FLOOR_MAX && !HEAVY_BELOW.contains(name);
    for (name, _) in FLOORS.iter().filter(light) {
        let seen = linked(name, &needs);
        for heavy in HEAVY {
            assert!(!seen.contains(heavy), "{name} (a light floor) links {heavy}");
        }
    }
}

#[test]
fn serving_links_little() {
    let seen = linked("online", &lock());
    for heavy in HEAVY_FOR_SERVING {
        assert!(!seen.contains(heavy), "serving links {heavy}");
    }
}
