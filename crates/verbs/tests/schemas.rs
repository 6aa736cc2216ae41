//! The published schemas are those of the types. `UPDATE_SCHEMAS=1 cargo test -p drumlin-verbs schemas` writes them anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use drumlin_model::Verb;
use drumlin_verbs::{answer_schema, error_schema};

/// What the variable is called that has the files written instead of compared.
const UPDATE: &str = "UPDATE_SCHEMAS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas")
}

/// The files that there should be, by name.
fn wanted() -> BTreeMap<String, String> {
    let verbs = Verb::ALL
        .iter()
        .filter_map(|verb| Some((verb.identifier(), answer_schema(*verb)?)));
    verbs
        .chain([("error".to_owned(), error_schema())])
        .map(|(name, schema)| {
            let json = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
            (format!("{name}.json"), json + "\n")
        })
        .collect()
}

fn there() -> BTreeMap<String, String> {
    let files = fs::read_dir(folder()).expect("the folder of the schemas is there");
    files
        .map(|entry| {
            let entry = entry.expect("an entry");
            let text = fs::read_to_string(entry.path()).expect("a schema is text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect()
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    let wanted = wanted();
    if std::env::var_os(UPDATE).is_some() {
        let _ = fs::remove_dir_all(folder());
        fs::create_dir_all(folder()).expect("the folder can be made");
        for (name, text) in &wanted {
            fs::write(folder().join(name), text).expect("a schema can be written");
        }
    }
    let there = there();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&there), names(&wanted), "run the tests with {UPDATE}=1");
    for (name, text) in &wanted {
        assert!(
            there[name] == *text,
            "{name} is not what its type says: run the tests with {UPDATE}=1"
        );
    }
}

#[test]
fn the_reference_names_every_schema() {
    let page = folder().join("../json.md");
    let page = fs::read_to_string(page).expect("there is a page on the JSON of answers");
    for name in wanted().keys() {
        assert!(
            page.contains(&format!("(schemas/{name})")),
            "docs/reference/json.md does not link {name}"
        );
    }
}
