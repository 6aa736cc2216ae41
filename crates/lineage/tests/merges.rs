//! Branches and merges: a merge brings versions together and is the origin of nothing.

use drumlin_testkit::{info, name};

use crate::support::{Run, Story};

async fn write(story: &mut Story, branch: &str, step: &'static str, output: &str) {
    story
        .run(
            branch,
            Run {
                step,
                operation: "commit",
                inputs: vec![],
                outputs: &[output],
            },
        )
        .await;
}

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
    story
        .run(
            "side",
            Run {
                step: "fix",
                operation: "table create",
                inputs,
                outputs,
            },
        )
        .await;
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
    let mut undo = info("revert");
    undo.provenance.operation = "revert".into();
    let repo = &story.repo.repo;
    repo.revert(&name("main"), story.steps["mistake"], undo).await.unwrap();
    let graph = story.origins("file").await;
    assert_eq!(
        graph.nodes[graph.roots[0]].commit,
        Some(story.repo.head("main").await.unwrap())
    );
}
