//! The examples of the README are run, in order, in one folder, with the data that they speak of.

use std::{fmt::Write, fs, path::Path};

use crate::support::Place;

/// The blocks of one language in a page of Markdown.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or("").to_owned())
        .collect()
}

/// Splits a line as a shell does, for the quotes that the examples use.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (Some(mark), c) if c == mark => quote = None,
            (None, ' ') => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[test]
fn the_readme_runs() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).expect("there is a README");
    let place = Place::empty();
    let mut readings = String::from("sensor,at,temp\n");
    for hour in 0..24 {
        for sensor in ["s1", "s2"] {
            writeln!(readings, "{sensor},2024-03-01T{hour:02}:00:00Z,{}.5", hour - 3).expect("text grows");
        }
    }
    place.write("raw/readings.csv", &readings);
    place.write(
        "raw/alarms.csv",
        "sensor,at,level\ns1,2024-03-01T12:30:00Z,3\ns2,2024-03-02T12:00:00Z,1\n",
    );
    place.write("corrections.csv", "sensor,at,temp\ns1,2024-03-01T12:00:00Z,9.5\n");
    let yaml = blocks(&page, "yaml");
    assert_eq!(yaml.len(), 1, "the README defines features in one file");
    place.write("features/climate.yaml", &yaml[0]);
    let mut commands = 0;
    for block in blocks(&page, "console") {
        for line in block.lines().filter_map(|line| line.strip_prefix("$ drumlin ")) {
            let words = words(line);
            place.ok(&words.iter().map(String::as_str).collect::<Vec<_>>());
            commands += 1;
        }
    }
    assert!(commands >= 20, "only {commands} examples were found");
}
