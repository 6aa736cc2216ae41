//! Origins: from what was made down to raw files and what lies outside, each version that was current when it was read.

use drumlin_lineage::{Error, Limits, Lineage, NodeKind};
use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_testkit::path;

use crate::support::{Story, by_ann, code, outside};

#[tokio::test]
async fn a_training_set_leads_down_to_the_raw_files() {
    let story = Story::flights().await;
    let graph = story.origins("training/delays").await;
    assert!(!graph.truncated);
    insta::assert_snapshot!(story.readable(&graph), @r#"
    training/delays@train  training set (train create)
    ├── features/carrier.yaml@apply  feature definitions (apply)
    │   ├── tables/flights@flights  table (table create)
    │   │   └── raw/flights.csv@raw  file (commit)
    │   └── tables/weather@weather  table (table create)
    │       └── raw/weather.csv@raw  file (commit)
    ├── features/weather.yaml@apply  feature definitions (apply)
    │   ├── tables/flights@flights  table (table create)  (see above)
    │   └── tables/weather@weather  table (table create)  (see above)
    ├── tables/flights@flights  table (table create)  (see above)
    └── tables/weather@weather  table (table create)  (see above)
    "#);
}

#[tokio::test]
async fn a_file_in_a_table_is_the_table() {
    let story = Story::flights().await;
    let graph = story.origins("tables/flights/part").await;
    insta::assert_snapshot!(story.readable(&graph), @r#"
    tables/flights@flights  table (table create)
    └── raw/flights.csv@raw  file (commit)
    "#);
}

#[tokio::test]
async fn an_input_means_the_version_that_was_current_where_it_was_read() {
    let mut story = Story::flights().await;
    let outputs = &["raw/flights.csv"];
    story.made("main", "corrected", Verb::Commit, vec![], outputs).await;
    // Read at the newer commit, but from before and after the correction.
    let inputs = vec![
        story.at("raw/flights.csv", "train"),
        story.at("raw/weather.csv", "corrected"),
    ];
    story
        .made("main", "old", Verb::TableCreate, inputs, &["tables/old"])
        .await;
    let inputs = vec![story.at("raw/flights.csv", "corrected")];
    story
        .made("main", "new", Verb::TableCreate, inputs, &["tables/new"])
        .await;
    insta::assert_snapshot!(story.readable(&story.origins("tables/old").await), @r#"
    tables/old@old  table (table create)
    ├── raw/flights.csv@raw  file (commit)
    └── raw/weather.csv@raw  file (commit)
    "#);
    insta::assert_snapshot!(story.readable(&story.origins("tables/new").await), @r#"
    tables/new@new  table (table create)
    └── raw/flights.csv@corrected  file (commit)
    "#);
}

#[tokio::test]
async fn a_changed_table_is_made_from_its_earlier_versions_which_stand_side_by_side() {
    let mut story = Story::new().await;
    let outputs = &["tables/t"];
    for (step, verb) in [
        ("day1", Verb::TableCreate),
        ("day2", Verb::TableAppend),
        ("day3", Verb::TableUpsert),
    ] {
        let inputs = vec![outside(&format!("/data/{step}.csv"))];
        story.made("main", step, verb, inputs, outputs).await;
    }
    let inputs = vec![story.at("tables/t", "day3")];
    story
        .made("main", "train", Verb::TrainCreate, inputs, &["training/s"])
        .await;
    insta::assert_snapshot!(story.readable(&story.origins("training/s").await), @r#"
    training/s@train  training set (train create)
    └── tables/t@day3  table (table upsert)
        ├── /data/day3.csv  external source
        ├── tables/t@day2  table (table append)
        │   └── /data/day2.csv  external source
        └── tables/t@day1  table (table create)
            └── /data/day1.csv  external source
    "#);
    // Overwriting begins anew.
    let inputs = vec![outside("/data/all.csv")];
    story.made("main", "anew", Verb::TableOverwrite, inputs, outputs).await;
    insta::assert_snapshot!(story.readable(&story.origins("tables/t").await), @r#"
    tables/t@anew  table (table overwrite)
    └── /data/all.csv  external source
    "#);
}

#[tokio::test]
async fn a_thousand_appends_are_a_list_and_not_a_limit() {
    let mut story = Story::new().await;
    let outputs = &["tables/t"];
    story.made("main", "first", Verb::TableCreate, vec![], outputs).await;
    for day in 0..1000 {
        let inputs = vec![outside(&format!("/data/{day}.csv"))];
        story.made("main", "append", Verb::TableAppend, inputs, outputs).await;
    }
    let graph = story.origins("tables/t").await;
    assert!(!graph.truncated);
    let text = graph.to_text();
    assert_eq!(text.lines().count(), 1001 + 1000);
    assert!(
        text.lines()
            .all(|line| line.starts_with("tables") || line.find("──").unwrap() <= "│   │   ├".len())
    );
}

#[tokio::test]
async fn what_lies_outside_is_named_with_its_version() {
    let mut story = Story::new().await;
    let mut input = outside("https://example.org/weather.csv");
    input.version = Some("etag 7".into());
    let inputs = vec![input.clone(), outside("/data/a file.csv")];
    let outputs = &["tables/t"];
    story.made("main", "create", Verb::TableCreate, inputs, outputs).await;
    insta::assert_snapshot!(story.readable(&story.origins("tables/t").await), @r#"
    tables/t@create  table (table create)
    ├── /data/a file.csv  external source
    └── https://example.org/weather.csv (etag 7)  external source
    "#);
}

#[tokio::test]
async fn what_was_read_from_another_branch_is_followed_there() {
    let mut story = Story::flights().await;
    story.branch("side", "flights").await;
    let inputs = vec![outside("/late.csv")];
    let outputs = &["tables/flights"];
    story.made("side", "late", Verb::TableAppend, inputs, outputs).await;
    let inputs = vec![story.at("tables/flights", "late")];
    story
        .made("main", "mixed", Verb::TrainCreate, inputs, &["training/mixed"])
        .await;
    insta::assert_snapshot!(story.readable(&story.origins("training/mixed").await), @r#"
    training/mixed@mixed  training set (train create)
    └── tables/flights@late  table (table append)
        ├── /late.csv  external source
        └── tables/flights@flights  table (table create)
            └── raw/flights.csv@raw  file (commit)
    "#);
}

#[tokio::test]
async fn an_input_that_nothing_wrote_is_said_to_be_unknown() {
    let mut story = Story::flights().await;
    let inputs = vec![story.at("tables/nowhere", "raw")];
    story
        .made("main", "odd", Verb::TrainCreate, inputs, &["training/odd"])
        .await;
    insta::assert_snapshot!(story.readable(&story.origins("training/odd").await), @r#"
    training/odd@odd  training set (train create)
    └── tables/nowhere@raw  table (written by nothing that the history holds)
    "#);
}

#[tokio::test]
async fn the_code_and_its_state_are_shown() {
    let story = Story::new().await;
    for (file, dirty) in [("a", false), ("b", true)] {
        let session = story.repo.session("main").await;
        session.write(&path(file), file.into()).await.unwrap();
        let mut info = by_ann(Verb::Commit, "");
        info.by.code = Some(code(dirty));
        session.commit(info).await.unwrap();
        let text = story.origins(file).await.to_text();
        let end = if dirty {
            ", code 0123456789 with changes)\n"
        } else {
            ", code 0123456789)\n"
        };
        assert!(text.ends_with(end), "{text}");
    }
}

#[tokio::test]
async fn limits_cut_and_say_so() {
    let story = Story::flights().await;
    let lineage = story.lineage("main").await;
    let head = story.repo.head("main").await.unwrap();
    let at = |depth, nodes| {
        lineage
            .origins(&path("training/delays"), head, Limits { depth, nodes })
            .unwrap()
    };
    let shallow = at(1, 1000);
    assert!(shallow.truncated);
    assert!(shallow.to_text().ends_with("(there is more: a limit was reached)\n"));
    assert_eq!(
        shallow.nodes.iter().filter(|node| node.kind != NodeKind::Run).count(),
        5
    );
    assert!(!at(3, 1000).truncated, "the raw files are three steps away");
    assert!(at(64, 4).truncated);
    assert!(at(64, 4).nodes.len() < 12);
}

#[tokio::test]
async fn errors_name_what_was_asked() {
    let story = Story::flights().await;
    let lineage = story.lineage("main").await;
    let head = story.repo.head("main").await.unwrap();
    let error = lineage
        .origins(&path("tables/none"), head, Limits::default())
        .unwrap_err();
    assert!(matches!(error, Error::NeverWritten { .. }));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(matches!(&error.cures()[..], [Cure::Run { verb: Verb::Log, .. }]));
    assert!(lineage.impact(&path("tables/none"), Limits::default()).is_err());
    // Before it was written, it was not there.
    let error = lineage
        .origins(&path("tables/weather"), story.steps["flights"], Limits::default())
        .unwrap_err();
    assert!(matches!(error, Error::NeverWritten { .. }));
    let unknown = drumlin_model::CommitId::of(b"no commit");
    let error = lineage
        .origins(&path("tables/weather"), unknown, Limits::default())
        .unwrap_err();
    assert!(matches!(error, Error::UnknownCommit { .. }));
}

#[tokio::test]
async fn a_run_whose_provenance_is_gone_stays_and_says_so() {
    let story = Story::flights().await;
    let repo = &story.repo.repo;
    let weather = repo.commit(story.steps["weather"]).await.unwrap().provenance;
    let bucket = &repo.storage().bucket;
    bucket.delete(&format!("provenance/{weather}")).await.unwrap();
    let fresh = story.repo.reopen().await;
    let train = story.steps["train"];
    let lineage = Lineage::at(&fresh.repo, train).await.unwrap();
    let graph = lineage
        .origins(&path("training/delays"), train, Limits::default())
        .unwrap();
    let table = graph.nodes.iter().find(|node| node.name == "tables/weather").unwrap();
    assert_eq!(table.commit, Some(story.steps["weather"]), "what the commit changed");
    assert!(table.run.as_ref().unwrap().provenance.is_none());
    assert!(graph.to_text().contains("what made it is gone)"), "{}", graph.to_text());
    let json = graph.to_json();
    let nodes = json["nodes"].as_array().unwrap();
    let run = nodes
        .iter()
        .find(|node| node["id"] == format!("run:{}", story.steps["weather"]));
    let run = run.unwrap();
    assert_eq!(
        (&run["name"], &run["provenance_gone"]),
        (&"(gone)".into(), &true.into())
    );
    assert!(run.get("actor").is_none());
    assert!(graph.to_svg().contains("what made it is gone"));
    assert!(!graph.nodes.iter().any(|node| node.name == "raw/weather.csv"));
}
