//! The JSON and SVG of a graph: complete, well formed, and the same each time.

use drumlin_model::Verb;
use drumlin_testkit::path;

use crate::support::{Story, by_ann, code, outside};

#[tokio::test]
async fn json_has_every_node_and_edge_by_ids_that_mean_the_same_everywhere() {
    let story = Story::flights().await;
    let origins = story.origins("training/delays").await.to_json();
    let train = story.steps["train"];
    assert_eq!(origins["direction"], "origins");
    assert_eq!(origins["truncated"], false);
    assert_eq!(origins["roots"][0], format!("training_set:training/delays@{train}"));
    let nodes = origins["nodes"].as_array().unwrap();
    let ids: Vec<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    for edge in origins["edges"].as_array().unwrap() {
        assert!(ids.contains(&edge["from"].as_str().unwrap()) && ids.contains(&edge["to"].as_str().unwrap()));
    }
    let run = nodes.iter().find(|node| node["id"] == format!("run:{train}")).unwrap();
    assert_eq!(
        (&run["name"], &run["actor"], &run["message"]),
        (&"train create".into(), &"ann".into(), &"train".into())
    );
    // Read upwards, the same things have the same ids.
    let impact = story.impact("raw/weather.csv").await.to_json();
    assert!(
        impact["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["id"] == origins["roots"][0])
    );
}

#[tokio::test]
async fn a_run_tells_its_parameters_and_code() {
    let story = Story::new().await;
    let session = story.repo.session("main").await;
    session.write(&path("a"), "a".into()).await.unwrap();
    let mut info = by_ann(Verb::Commit, "a");
    info.by.code = Some(code(true));
    info.parameters = [("max_age".to_owned(), serde_json::json!({"hours": 3}))].into();
    session.commit(info).await.unwrap();
    let json = story.origins("a").await.to_json();
    let run = json["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["kind"] == "run")
        .unwrap();
    assert_eq!(run["parameters"]["max_age"]["hours"], 3);
    assert_eq!(run["code"]["dirty"], true);
}

#[tokio::test]
async fn the_same_history_draws_the_same() {
    let story = Story::flights().await;
    let (one, two) = (
        story.origins("training/delays").await,
        story.origins("training/delays").await,
    );
    assert_eq!(one.to_svg(), two.to_svg());
    assert_eq!(one.to_json(), two.to_json());
    assert_eq!(one.to_text(), two.to_text());
}

/// The boxes of a drawing: left, top, width, height.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let drawn = svg
        .lines()
        .filter(|line| line.starts_with("<g><title>") || line.contains("</title><rect"));
    let number = |line: &str, name: &str| -> f64 {
        let rest = line
            .split_once("<rect")
            .unwrap()
            .1
            .split_once(&format!(" {name}=\""))
            .unwrap()
            .1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    drawn
        .filter(|line| line.contains("<rect"))
        .map(|line| ["x", "y", "width", "height"].map(|name| number(line, name)))
        .collect()
}

#[tokio::test]
async fn boxes_do_not_meet_and_lie_on_the_page() {
    let story = Story::flights().await;
    for graph in [story.origins("training/delays").await, story.impact("raw").await] {
        let boxes = boxes(&graph.to_svg());
        assert_eq!(boxes.len(), graph.nodes.len());
        for (at, a) in boxes.iter().enumerate() {
            assert!(a[0] >= 0.0 && a[1] >= -0.1, "{a:?}");
            for b in &boxes[at + 1..] {
                let apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
                assert!(apart, "{a:?} and {b:?}");
            }
        }
    }
}

#[tokio::test]
async fn names_from_outside_cannot_break_out_of_the_drawing() {
    let mut story = Story::new().await;
    let inputs = vec![
        outside("\"/><script>alert(1)</script>&\u{1}\u{ffff}"),
        outside(&"long/".repeat(40)),
    ];
    let outputs = &["tables/<b>&\"x\""];
    story.made("main", "t", Verb::TableCreate, inputs, outputs).await;
    let svg = story.origins("tables/<b>&\"x\"").await.to_svg();
    assert!(!svg.contains("<script") && !svg.contains("<b>"));
    assert!(svg.contains("tables/&lt;b&gt;&amp;&quot;x&quot;"));
    assert!(
        svg.chars()
            .all(|letter| letter == '\n' || !letter.is_control() && letter != '\u{ffff}')
    );
    assert!(svg.contains('…'), "a long name is shortened in its box");
    let opened = svg.matches("<g").count();
    assert_eq!(opened, svg.matches("</g>").count());
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}

#[tokio::test]
async fn a_drawing_that_was_cut_short_says_so() {
    let story = Story::flights().await;
    let head = story.repo.head("main").await.unwrap();
    let limits = drumlin_lineage::Limits { depth: 1, nodes: 100 };
    let graph = story
        .lineage("main")
        .await
        .origins(&path("training/delays"), head, limits)
        .unwrap();
    assert!(graph.to_svg().contains("There is more"));
}
