//! Folders that were written or read as a whole.

use drumlin_lineage::NodeKind;
use drumlin_model::Verb;

use crate::support::Story;

#[tokio::test]
async fn a_folder_that_was_written_covers_the_files_in_it() {
    let mut story = Story::new().await;
    let session = story.repo.session("main").await;
    session
        .write(&drumlin_testkit::path("images/cats/1.png"), "1".into())
        .await
        .unwrap();
    let mut info = drumlin_testkit::info("many");
    info.outputs = vec![drumlin_testkit::path("images")];
    let commit = session.commit(info).await.unwrap();
    story.steps.insert("many", commit);
    let graph = story.origins("images/cats/1.png").await;
    assert_eq!(
        graph.nodes[graph.roots[0]].address(),
        format!("images@{}", commit.short())
    );
    // A newer version of one file stands beside the folder.
    let outputs = &["images/cats/1.png"];
    story.made("main", "one", Verb::Commit, vec![], outputs).await;
    let inputs = vec![story.at("images", "one")];
    story.made("main", "t", Verb::TableCreate, inputs, &["tables/t"]).await;
    let names: Vec<String> = story
        .origins("tables/t")
        .await
        .nodes
        .iter()
        .map(|node| node.address())
        .collect();
    assert!(names.contains(&format!("images@{}", commit.short())), "{names:?}");
    assert!(
        names.contains(&format!("images/cats/1.png@{}", story.steps["one"].short())),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_folder_of_many_files_is_one_node_and_each_file_still_leads_up() {
    let mut story = Story::new().await;
    let files: Vec<String> = (0..150).map(|n| format!("raw/{n:03}.csv")).collect();
    let outputs: Vec<&str> = files.iter().map(String::as_str).collect();
    story.made("main", "raw", Verb::Commit, vec![], &outputs).await;
    let outputs = &["raw/007.csv"];
    story.made("main", "fixed", Verb::Commit, vec![], outputs).await;
    let inputs = vec![story.at("raw", "fixed")];
    story.made("main", "t", Verb::TableCreate, inputs, &["tables/t"]).await;
    let graph = story.origins("tables/t").await;
    assert_eq!(
        graph.nodes.iter().filter(|node| node.kind == NodeKind::Folder).count(),
        1
    );
    assert_eq!(graph.nodes.len(), 3, "the table, its run and the folder");
    insta::assert_snapshot!(story.readable(&story.impact("raw/008.csv").await), @r#"
    raw/008.csv@raw  file (commit)
    └── raw@fixed  folder
        └── tables/t@t  table (table create)
    "#);
    // Only the version that was there when the folder was read.
    insta::assert_snapshot!(story.readable(&story.impact("raw/007.csv").await), @r#"
    raw/007.csv@fixed  file (commit)
    └── raw@fixed  folder
        └── tables/t@t  table (table create)
    raw/007.csv@raw  file (commit)
    "#);
}
