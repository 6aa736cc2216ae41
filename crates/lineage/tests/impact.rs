//! Impact: from a raw file up to everything that it touches, at each of its versions.

use drumlin_model::Verb;

use crate::support::{Story, outside};

#[tokio::test]
async fn a_raw_file_leads_up_to_everything_made_from_it() {
    let story = Story::flights().await;
    insta::assert_snapshot!(story.readable(&story.impact("raw/weather.csv").await), @r#"
    raw/weather.csv@raw  file (commit)
    └── tables/weather@weather  table (table create)
        ├── features/carrier.yaml@apply  feature definitions (apply)
        │   └── training/delays@train  training set (train create)
        ├── features/weather.yaml@apply  feature definitions (apply)
        │   └── training/delays@train  training set (train create)
        └── training/delays@train  training set (train create)
    "#);
    insta::assert_snapshot!(story.readable(&story.impact("raw/airlines.csv").await), @r#"
    raw/airlines.csv@raw  file (commit)
    "#);
}

#[tokio::test]
async fn each_version_has_its_own_impact_the_newest_first() {
    let mut story = Story::flights().await;
    let outputs = &["raw/weather.csv"];
    story.made("main", "late", Verb::Commit, vec![], outputs).await;
    let inputs = vec![story.at("raw/weather.csv", "late")];
    let outputs = &["tables/weather"];
    story.made("main", "again", Verb::TableOverwrite, inputs, outputs).await;
    let graph = story.impact("raw/weather.csv").await;
    assert_eq!(graph.roots.len(), 2);
    insta::assert_snapshot!(story.readable(&graph), @r#"
    raw/weather.csv@late  file (commit)
    └── tables/weather@again  table (table overwrite)
    raw/weather.csv@raw  file (commit)
    └── tables/weather@weather  table (table create)
        ├── features/carrier.yaml@apply  feature definitions (apply)
        │   └── training/delays@train  training set (train create)
        ├── features/weather.yaml@apply  feature definitions (apply)
        │   └── training/delays@train  training set (train create)
        └── training/delays@train  training set (train create)
    "#);
}

#[tokio::test]
async fn what_an_append_changed_is_touched_by_what_was_there_before() {
    let mut story = Story::new().await;
    let outputs = &["tables/t"];
    story.made("main", "raw", Verb::Commit, vec![], &["raw/a.csv"]).await;
    let inputs = vec![story.at("raw/a.csv", "raw")];
    story.made("main", "create", Verb::TableCreate, inputs, outputs).await;
    for step in ["b", "c"] {
        let inputs = vec![outside(&format!("{step}.csv"))];
        story.made("main", step, Verb::TableAppend, inputs, outputs).await;
    }
    let inputs = vec![story.at("tables/t", "c")];
    story
        .made("main", "train", Verb::TrainCreate, inputs, &["training/s"])
        .await;
    insta::assert_snapshot!(story.readable(&story.impact("raw/a.csv").await), @r#"
    raw/a.csv@raw  file (commit)
    └── tables/t@create  table (table create)
        ├── tables/t@b  table (table append)
        └── tables/t@c  table (table append)
            └── training/s@train  training set (train create)
    "#);
}

#[tokio::test]
async fn a_folder_stands_for_all_that_is_in_it() {
    let story = Story::flights().await;
    let graph = story.impact("raw").await;
    assert_eq!(graph.roots.len(), 3);
    assert!(graph.nodes.iter().any(|node| node.name == "training/delays"));
}
