//! Branches and merges: a merge brings versions together and is the origin of nothing.

use drumlin_model::Verb;
use drumlin_testkit::name;

use crate::support::{Story, by_ann};

async fn write(story: &mut Story, branch: &str, step: &'static str, output: &str) {
    story.made(branch, step, Verb::Commit, vec![], &[output]).await;
}

/// Gives the head of main, which was made by something else than a run, the name of a step.
async fn name_head(story: &mut Story, step: &'static str) {
    let head = story.repo.head("main").await.unwrap();
    story.steps.insert(step, head);
}

/// How `revert` and `cherry-pick` are told what to do.
#[tokio::test]
async fn after_a_merge_each_path_has_the_version_of_the_side_that_changed_it() {
    let mut story = Story::new().await;
    write(&mut story, "main", "base", "shared").await;
    write(&mut story, "main", "other", "other").await;
    story.branch("side", "other").await;
    write(&mut story, "side", "theirs", "shared").await;
    write(&mut story, "side", "new", "added").await;
    write(&mut story, "main", "ours", "other").await;
    story.merge("merged", "main", "side").await;
    for (path, made_by) in [("shared", "theirs"), ("added", "new"), ("other", "ours")] {
        let graph = story.origins(path).await;
        assert_eq!(graph.nodes[graph.roots[0]].commit, Some(story.steps[made_by]), "{path}");
    }
}

#[tokio::test]
async fn what_was_made_on_a_branch_is_in_the_impact_after_the_merge() {
    let mut story = Story::flights().await;
    story.branch("side", "train").await;
    let inputs = vec![story.at("tables/weather", "train")];
    let outputs = &["tables/fixed"];
    story.made("side", "fix", Verb::TableCreate, inputs, outputs).await;
    write(&mut story, "main", "meanwhile", "notes.txt").await;
    let names =
        |graph: drumlin_lineage::Graph| -> Vec<String> { graph.nodes.into_iter().map(|node| node.name).collect() };
    assert!(!names(story.impact("raw/weather.csv").await).contains(&"tables/fixed".to_owned()));
    story.merge("merged", "main", "side").await;
    assert!(names(story.impact("raw/weather.csv").await).contains(&"tables/fixed".to_owned()));
}

#[tokio::test]
async fn merges_both_ways_keep_the_newest_version() {
    let mut story = Story::new().await;
    write(&mut story, "main", "base", "file").await;
    story.branch("side", "base").await;
    write(&mut story, "main", "first", "file").await;
    write(&mut story, "side", "x", "x").await;
    story.merge("down", "side", "main").await;
    write(&mut story, "side", "second", "file").await;
    write(&mut story, "main", "y", "y").await;
    story.merge("up", "main", "side").await;
    let graph = story.origins("file").await;
    assert_eq!(graph.nodes[graph.roots[0]].commit, Some(story.steps["second"]));
}

#[tokio::test]
async fn a_revert_is_the_origin_of_what_it_put_back() {
    let mut story = Story::new().await;
    write(&mut story, "main", "base", "file").await;
    write(&mut story, "main", "mistake", "file").await;
    let repo = &story.repo;
    repo.repo
        .revert(&name("main"), story.steps["mistake"], by_ann(Verb::Revert, "revert"))
        .await
        .unwrap();
    name_head(&mut story, "back").await;
    let graph = story.origins("file").await;
    assert_eq!(
        story.readable(&graph),
        "file@back  file (revert)\n└── file@base  file (commit)",
        "what the mistake wrote is no part of it"
    );
}

#[tokio::test]
async fn a_cherry_pick_leads_to_the_commit_that_it_took_and_to_nothing_else_that_this_wrote() {
    let mut story = Story::new().await;
    write(&mut story, "main", "base", "notes").await;
    story.branch("side", "base").await;
    write(&mut story, "side", "raw", "raw.csv").await;
    let inputs = vec![drumlin_model::Input {
        into: vec![drumlin_testkit::path("one")],
        ..story.at("raw.csv", "raw")
    }];
    let outputs = &["one", "two"];
    story.made("side", "made", Verb::TableCreate, inputs, outputs).await;
    let repo = &story.repo;
    repo.repo
        .cherry_pick(
            &name("main"),
            story.steps["made"],
            by_ann(Verb::CherryPick, "cherry-pick"),
        )
        .await
        .unwrap();
    name_head(&mut story, "picked").await;
    assert_eq!(
        story.readable(&story.origins("one").await),
        "one@picked  file (cherry-pick)\n└── one@made  file (table create)\n    └── raw.csv@raw  file (commit)"
    );
    assert_eq!(
        story.readable(&story.origins("two").await),
        "two@picked  file (cherry-pick)\n└── two@made  file (table create)"
    );
    let touched = story.impact("raw.csv").await;
    assert!(touched.nodes.iter().all(|node| node.name != "two"), "{touched:?}");
    let runs = touched.nodes.iter().filter_map(|node| node.output.as_ref());
    assert_eq!(runs.map(|path| path.as_str()).collect::<Vec<_>>(), ["one", "one"]);
}

#[tokio::test]
async fn what_a_revert_takes_away_was_made_from_nothing() {
    let mut story = Story::new().await;
    write(&mut story, "main", "base", "notes").await;
    write(&mut story, "main", "added", "file").await;
    let repo = &story.repo.repo;
    repo.revert(&name("main"), story.steps["added"], by_ann(Verb::Revert, "revert"))
        .await
        .unwrap();
    name_head(&mut story, "gone").await;
    assert_eq!(story.readable(&story.origins("file").await), "file@gone  file (revert)");
}
