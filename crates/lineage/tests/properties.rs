//! Random histories with branches and merges: what `Lineage` answers against a search that is plainly right.

use std::collections::{BTreeMap, BTreeSet};

use drumlin_lineage::{Direction, Graph, NodeKind};
use drumlin_model::{CommitId, Input, Verb};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::support::Story;

const PATHS: [&str; 6] = [
    "raw/a.csv",
    "raw/b.csv",
    "tables/t",
    "tables/u",
    "features/f.yaml",
    "training/s",
];
const STEPS: [&str; 24] = [
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17",
    "s18", "s19", "s20", "s21", "s22", "s23",
];

/// A commit that writes some paths after reading others, each at some earlier step.
#[derive(Clone, Debug)]
struct Step {
    append: bool,
    outputs: BTreeSet<usize>,
    reads: Vec<StepRead>,
}

/// A path, the step whose version it has, and the output that it went into (all when there is none).
type StepRead = (usize, prop::sample::Index, Option<prop::sample::Index>);

impl Step {
    fn output(&self, chosen: &prop::sample::Index) -> usize {
        *chosen.get(&self.outputs.iter().copied().collect::<Vec<_>>())
    }
}

fn step() -> impl Strategy<Value = Step> {
    let read = (
        0..PATHS.len(),
        any::<prop::sample::Index>(),
        any::<Option<prop::sample::Index>>(),
    );
    let reads = prop::collection::vec(read, 0..3);
    let outputs = prop::collection::btree_set(0..PATHS.len(), 1..3);
    (any::<bool>(), outputs, reads).prop_map(|(append, outputs, reads)| Step { append, outputs, reads })
}

/// What is known of a history in a line: for each commit, what it wrote and read.
#[derive(Default)]
struct Model {
    steps: Vec<(CommitId, Step, Vec<ModelRead>)>,
}

type Version = (usize, usize);
/// A version, and the output that it went into.
type ModelRead = (Version, Option<usize>);

impl Model {
    /// The newest step up to `at` that wrote the path.
    fn current(&self, path: usize, at: usize) -> Option<Version> {
        (0..=at)
            .rev()
            .find(|&step| self.steps[step].1.outputs.contains(&path))
            .map(|step| (path, step))
    }

    fn made_from(&self, (made, at): Version) -> BTreeSet<Version> {
        let (_, step, reads) = &self.steps[at];
        let went = reads.iter().filter(|(_, into)| into.is_none_or(|into| into == made));
        let mut from: BTreeSet<Version> = went.filter_map(|&((path, at), _)| self.current(path, at)).collect();
        if step.append && at > 0 {
            from.extend(self.current(made, at - 1));
        }
        from
    }

    /// All that a version was made from, itself included.
    fn origins(&self, version: Version) -> BTreeSet<Version> {
        let mut all = BTreeSet::from([version]);
        let mut pending = vec![version];
        while let Some(version) = pending.pop() {
            pending.extend(self.made_from(version).into_iter().filter(|&from| all.insert(from)));
        }
        all
    }

    fn versions(&self) -> Vec<Version> {
        let steps = self.steps.iter().enumerate();
        steps
            .flat_map(|(at, (_, step, _))| step.outputs.iter().map(move |&path| (path, at)))
            .collect()
    }

    fn names(&self, versions: &BTreeSet<Version>) -> BTreeSet<(String, CommitId)> {
        versions
            .iter()
            .map(|&(path, at)| (PATHS[path].to_owned(), self.steps[at].0))
            .collect()
    }
}

/// The versions of a graph that history knows; a path that was read before it was written is there without a record.
fn known(graph: &Graph) -> BTreeSet<(String, CommitId)> {
    let versions = graph
        .nodes
        .iter()
        .filter(|node| node.kind != NodeKind::Run && node.run.is_some());
    versions.map(|node| (node.name.clone(), node.commit.unwrap())).collect()
}

async fn build(steps: Vec<Step>) -> (Story, Model) {
    let (mut story, mut model) = (Story::new().await, Model::default());
    for (at, step) in steps.into_iter().enumerate() {
        let reads: Vec<_> = step
            .reads
            .iter()
            .filter(|_| at > 0)
            .map(|(path, read, into)| ((*path, read.index(at)), into.as_ref().map(|into| step.output(into))))
            .collect();
        let inputs: Vec<Input> = reads
            .iter()
            .map(|&((path, read), into)| Input {
                into: into
                    .into_iter()
                    .map(|into| drumlin_testkit::path(PATHS[into]))
                    .collect(),
                ..story.at(PATHS[path], STEPS[read])
            })
            .collect();
        let outputs: Vec<&str> = step.outputs.iter().map(|&path| PATHS[path]).collect();
        let verb = match step.append {
            true => Verb::TableAppend,
            false => Verb::TableCreate,
        };
        let commit = story.made("main", STEPS[at], verb, inputs, &outputs).await;
        model.steps.push((commit, step, reads));
    }
    (story, model)
}

async fn check(steps: Vec<Step>) {
    let (story, model) = build(steps).await;
    let lineage = story.lineage("main").await;
    let mut touched: BTreeMap<usize, BTreeSet<Version>> = BTreeMap::new();
    for version in model.versions() {
        let (path, at) = version;
        let asked = drumlin_testkit::path(PATHS[path]);
        let graph = lineage.origins(&asked, model.steps[at].0, Default::default()).unwrap();
        let origins = model.origins(version);
        assert_eq!(
            known(&graph),
            model.names(&origins),
            "origins of {} at step {at}",
            PATHS[path]
        );
        check_shape(&graph);
        for (origin, _) in origins {
            touched.entry(origin).or_default().insert(version);
        }
    }
    for (path, touched) in touched {
        let graph = lineage
            .impact(&drumlin_testkit::path(PATHS[path]), Default::default())
            .unwrap();
        assert_eq!(known(&graph), model.names(&touched), "impact of {}", PATHS[path]);
        check_shape(&graph);
    }
}

/// No circles, no loose ends, edges in the direction of the data.
fn check_shape(graph: &Graph) {
    let mut waiting = vec![0; graph.nodes.len()];
    graph.edges.iter().for_each(|edge| waiting[edge.to] += 1);
    let mut ready: Vec<usize> = (0..graph.nodes.len()).filter(|&node| waiting[node] == 0).collect();
    let mut sorted = 0;
    while let Some(node) = ready.pop() {
        sorted += 1;
        for edge in graph.edges.iter().filter(|edge| edge.from == node) {
            waiting[edge.to] -= 1;
            if waiting[edge.to] == 0 {
                ready.push(edge.to);
            }
        }
    }
    assert_eq!(sorted, graph.nodes.len(), "a circle");
    let ends = graph.edges.iter().map(|edge| match graph.direction {
        Direction::Origins => edge.from,
        Direction::Impact => edge.to,
    });
    let mut reached: BTreeSet<usize> = ends.collect();
    reached.extend(&graph.roots);
    assert_eq!(reached.len(), graph.nodes.len(), "a node that nothing leads to");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.seeds"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn answers_are_those_of_a_plain_search(steps in prop::collection::vec(step(), 1..STEPS.len())) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(steps));
    }
}
