//! The two questions, origins and impact: a walk from what was asked about to everything that it leads to, as a `Graph`.
//! `lineage` says what the steps from a thing are.
//! Invariant: a version is visited once however many ways lead to it, so no walk can go round.

use std::collections::{HashMap, HashSet, VecDeque};

use drumlin_model::{CommitId, RepoPath};

use crate::{
    artifact::kind,
    error::{Error, Result},
    graph::{Direction, Edge, Graph, Node, NodeKind},
    lineage::Lineage,
    thing::{Limits, Thing, Via},
};

/// What the run is called of which nothing is known any more.
const GONE: &str = "(gone)";

impl Lineage {
    /// What `path`, as it is at `commit`, was made from: down to raw files and what lies outside.
    pub fn origins(&self, path: &RepoPath, commit: CommitId, limits: Limits) -> Result<Graph> {
        let at = self.history.position(commit).ok_or(Error::UnknownCommit { commit })?;
        let current = self.writers.current(&self.history, path);
        let mut starts: Vec<Thing> = self.parts(path, &[at], &current).remove(0);
        if starts.is_empty() {
            return Err(Error::NeverWritten {
                path: path.clone(),
                commit,
            });
        }
        starts.sort();
        Ok(walk(self, starts, Direction::Origins, limits))
    }

    /// Everything that was made from any version of `path`, up to the commit that this was read at.
    pub fn impact(&self, path: &RepoPath, limits: Limits) -> Result<Graph> {
        let mut starts = self.all_versions(path);
        if starts.is_empty() {
            return Err(Error::NeverWritten {
                path: path.clone(),
                commit: self.head,
            });
        }
        // Newest first.
        starts.sort_by(|a, b| b.at().cmp(&a.at()).then_with(|| a.cmp(b)));
        Ok(walk(self, starts, Direction::Impact, limits))
    }
}

/// Breadth first, so that each node is met at its smallest depth.
fn walk(lineage: &Lineage, starts: Vec<Thing>, direction: Direction, limits: Limits) -> Graph {
    let mut walk = Walk::new(lineage, direction);
    let mut queue: VecDeque<(Thing, usize)> = VecDeque::new();
    for start in starts {
        if walk.graph.nodes.len() >= limits.nodes {
            walk.graph.truncated = true;
            break;
        }
        let node = walk.thing(&start);
        walk.graph.roots.push(node);
        queue.push_back((start, 0));
    }
    while let Some((thing, depth)) = queue.pop_front() {
        let from = walk.thing(&thing);
        for (run, others) in lineage.steps(&thing, direction) {
            if depth >= limits.depth || walk.graph.nodes.len() >= limits.nodes {
                walk.graph.truncated = true;
                break;
            }
            let via = run.map_or(from, |run| walk.run(&run));
            walk.link(from, via);
            for other in others {
                let is_new = !walk.ids.contains_key(&Key::Thing(other.clone()));
                let to = walk.thing(&other);
                walk.link(via, to);
                match is_new {
                    true if other.path() == thing.path() => queue.push_front((other, depth)),
                    true => queue.push_back((other, depth + 1)),
                    false => {}
                }
            }
        }
    }
    walk.graph
}

/// What a node of the graph being built stands for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Thing(Thing),
    Run(Via),
}

struct Walk<'a> {
    lineage: &'a Lineage,
    graph: Graph,
    ids: HashMap<Key, usize>,
    linked: HashSet<Edge>,
}

impl<'a> Walk<'a> {
    fn new(lineage: &'a Lineage, direction: Direction) -> Self {
        let graph = Graph {
            direction,
            nodes: Vec::new(),
            edges: Vec::new(),
            roots: Vec::new(),
            truncated: false,
        };
        Self {
            lineage,
            graph,
            ids: HashMap::new(),
            linked: HashSet::new(),
        }
    }

    fn thing(&mut self, thing: &Thing) -> usize {
        let lineage = self.lineage;
        self.node(Key::Thing(thing.clone()), || node(lineage, thing))
    }

    fn run(&mut self, via: &Via) -> usize {
        let record = &self.lineage.history.commits[via.run];
        self.node(Key::Run(via.clone()), || Node {
            kind: NodeKind::Run,
            name: record
                .run
                .provenance
                .as_ref()
                .map_or_else(|| GONE.to_owned(), |provenance| provenance.verb.clone()),
            commit: Some(record.id),
            version: None,
            output: via.output.clone(),
            run: Some(record.run.clone()),
        })
    }

    fn node(&mut self, key: Key, make: impl FnOnce() -> Node) -> usize {
        let next = self.graph.nodes.len();
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.graph.nodes.push(make());
        }
        id
    }

    /// `near` is the one closer to the question.
    fn link(&mut self, near: usize, far: usize) {
        let edge = match self.graph.direction {
            Direction::Origins => Edge { from: far, to: near },
            Direction::Impact => Edge { from: near, to: far },
        };
        if near != far && self.linked.insert(edge) {
            self.graph.edges.push(edge);
        }
    }
}

fn node(lineage: &Lineage, thing: &Thing) -> Node {
    let record = thing.at().map(|at| &lineage.history.commits[at]);
    let version = lineage
        .things
        .ids
        .get(thing)
        .and_then(|id| lineage.things.versions.get(id))
        .cloned();
    let commit = record.map(|record| record.id);
    let written = thing.written_at().map(|at| lineage.history.commits[at].run.clone());
    match thing {
        Thing::Version { path, .. } => Node {
            kind: kind(path),
            name: path.to_string(),
            commit,
            version,
            output: None,
            run: written,
        },
        Thing::Folder { path, .. } => Node {
            kind: NodeKind::Folder,
            name: path.to_string(),
            commit,
            version,
            output: None,
            run: None,
        },
        Thing::External { name, version } => Node {
            kind: NodeKind::External,
            name: name.clone(),
            commit: None,
            version: version.clone(),
            output: None,
            run: None,
        },
        Thing::Unknown { name, commit } => {
            let kind = RepoPath::new(name).map_or(NodeKind::External, |path| kind(&path));
            Node {
                kind,
                name: name.clone(),
                commit: Some(*commit),
                version,
                output: None,
                run: None,
            }
        }
    }
}
