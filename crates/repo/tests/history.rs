//! Walks over history beside naive ones: log and merge base in random graphs, with clocks that are set back.

use std::collections::{BTreeMap, BTreeSet};

use drumlin_model::{CommitId, Timestamp};
use drumlin_repo::Merged;
use drumlin_testkit::{TestRepo, author, info, name};
use futures::TryStreamExt;
use proptest::prelude::*;

const BRANCHES: [&str; 4] = ["main", "b1", "b2", "b3"];

#[derive(Clone, Debug)]
enum Step {
    Commit {
        branch: usize,
    },
    Merge {
        into: usize,
        from: usize,
    },
    /// Minutes, back and forth.
    Clock {
        by: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let branch = || 0..BRANCHES.len();
    prop_oneof![
        3 => branch().prop_map(|branch| Step::Commit { branch }),
        3 => (branch(), branch()).prop_map(|(into, from)| Step::Merge { into, from }),
        1 => (-10i64..10).prop_map(|by| Step::Clock { by }),
    ]
}

/// Every commit with its parents.
type Graph = BTreeMap<CommitId, Vec<CommitId>>;

fn ancestors(graph: &Graph, of: CommitId) -> BTreeSet<CommitId> {
    let mut found = BTreeSet::from([of]);
    let mut queue = vec![of];
    while let Some(id) = queue.pop() {
        queue.extend(graph[&id].iter().filter(|parent| found.insert(**parent)));
    }
    found
}

/// The common ancestors that are above no other common ancestor.
fn best_common(graph: &Graph, a: CommitId, b: CommitId) -> BTreeSet<CommitId> {
    let common: BTreeSet<_> = ancestors(graph, a)
        .intersection(&ancestors(graph, b))
        .copied()
        .collect();
    let above = |id: &CommitId| {
        common
            .iter()
            .any(|other| other != id && ancestors(graph, *other).contains(id))
    };
    common.iter().filter(|id| !above(id)).copied().collect()
}

async fn grown(steps: &[Step]) -> (TestRepo, Graph, Vec<CommitId>) {
    let test = TestRepo::memory().await;
    let first = test.head("main").await.unwrap();
    let mut graph = Graph::from([(first, Vec::new())]);
    for branch in &BRANCHES[1..] {
        test.repo.branch_create(&author(), &name(branch), first).await.unwrap();
    }
    for (number, step) in steps.iter().enumerate() {
        let made = match step {
            Step::Commit { branch } => test
                .write(BRANCHES[*branch], &format!("f{number}"), &number.to_string())
                .await
                .unwrap(),
            Step::Merge { into, from } => {
                let from = test.head(BRANCHES[*from]).await.unwrap();
                match test
                    .repo
                    .merge(&name(BRANCHES[*into]), from, info("merge"))
                    .await
                    .unwrap()
                {
                    Merged::Committed(commit) => commit,
                    Merged::Conflicts(conflicts) => panic!("{conflicts:?}"),
                    _ => continue,
                }
            }
            Step::Clock { by } => {
                test.clock.advance_micros(by * 60_000_000);
                continue;
            }
        };
        graph.insert(made, test.repo.commit(made).await.unwrap().parents.clone());
    }
    let mut heads = Vec::new();
    for branch in BRANCHES {
        heads.push(test.head(branch).await.unwrap());
    }
    (test, graph, heads)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn walks_are_what_naive_walks_are(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (test, graph, heads) = grown(&steps).await;
            for &a in &heads {
                let log: Vec<_> = test.repo.log(a).map_ok(|(id, _)| id).try_collect().await.unwrap();
                assert_eq!(log.len(), ancestors(&graph, a).len());
                assert_eq!(log.into_iter().collect::<BTreeSet<_>>(), ancestors(&graph, a));
                for &b in &heads {
                    let best = best_common(&graph, a, b);
                    let found = test.repo.merge_base(a, b).await.unwrap();
                    assert!(best.contains(&found.unwrap()), "{found:?} is none of {best:?}");
                    assert_eq!(found, test.repo.merge_base(b, a).await.unwrap());
                }
            }
        });
    }
}

#[tokio::test]
async fn a_log_is_newest_first() {
    let test = TestRepo::memory().await;
    let base = test.write("main", "a", "1").await.unwrap();
    test.repo.branch_create(&author(), &name("side"), base).await.unwrap();
    let mut made = vec![test.head("main").await.unwrap()];
    for number in 0..6 {
        let branch = if number % 2 == 0 { "main" } else { "side" };
        made.push(test.write(branch, &format!("{branch}{number}"), "x").await.unwrap());
    }
    let side = test.head("side").await.unwrap();
    let merged = test.repo.merge(&name("main"), side, info("merge")).await.unwrap();
    let Merged::Committed(merged) = merged else {
        panic!("{merged:?}")
    };
    made.push(merged);
    let log: Vec<_> = test.repo.log(merged).try_collect().await.unwrap();
    let times: Vec<Timestamp> = log.iter().map(|(_, commit)| commit.time).collect();
    assert!(times.is_sorted_by(|a, b| a >= b));
    made.reverse();
    assert_eq!(log.iter().map(|(id, _)| *id).take(made.len()).collect::<Vec<_>>(), made);
}

#[tokio::test]
async fn a_difference_is_what_changed() {
    let test = TestRepo::memory().await;
    let before = test
        .commit("main", &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))])
        .await
        .unwrap();
    let after = test
        .commit("main", &[("a", Some("2")), ("b", None), ("d", Some("1"))])
        .await
        .unwrap();
    let tree = async |commit| test.repo.commit(commit).await.unwrap().tree;
    let found = test.repo.diff(tree(before).await, tree(after).await).await.unwrap();
    let found: Vec<_> = found.try_collect().await.unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|d| (d.path.as_str(), d.before.is_some(), d.after.is_some()))
        .collect();
    assert_eq!(shown, [("a", true, true), ("b", true, false), ("d", false, true)]);
}
