//! A graph as a tree of text for a terminal: one line a version, with the run that wrote it.
//! Runs have no lines of their own. What was shown before is not shown again below.

use std::collections::HashSet;

use drumlin_model::Timestamp;

use crate::graph::{Direction, Graph, Node, NodeKind, RunRecord};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// How much of the code's Git commit is shown, in characters.
const GIT_COMMIT_LEN: usize = 10;

impl Graph {
    /// The tree, a line feed after each line.
    pub fn to_text(&self) -> String {
        let mut tree = Tree {
            graph: self,
            below: below(self),
            shown: HashSet::new(),
            text: String::new(),
        };
        for &root in &self.roots {
            tree.node(root, "", "", self.direction == Direction::Origins);
        }
        if self.truncated {
            tree.text.push_str("(there is more: a limit was reached)\n");
        }
        tree.text
    }
}

/// For each version, those one run away.
fn below(graph: &Graph) -> Vec<Vec<usize>> {
    let next = graph.next();
    let is_run = |node: usize| graph.nodes[node].kind == NodeKind::Run;
    let across = |node: usize| if is_run(node) { next[node].clone() } else { vec![node] };
    (0..graph.nodes.len())
        .map(|node| {
            let mut below: Vec<usize> = next[node].iter().flat_map(|&via| across(via)).collect();
            let mut met = HashSet::new();
            below.retain(|&node| met.insert(node));
            below
        })
        .collect()
}

struct Tree<'a> {
    graph: &'a Graph,
    below: Vec<Vec<usize>>,
    shown: HashSet<usize>,
    text: String,
}

impl Tree<'_> {
    fn node(&mut self, node: usize, first: &str, rest: &str, with_versions: bool) {
        let children = self.children(node, with_versions);
        let seen = !self.shown.insert(node) && !children.is_empty();
        self.text.push_str(first);
        self.text.push_str(&line(&self.graph.nodes[node]));
        self.text.push_str(if seen { "  (see above)\n" } else { "\n" });
        if seen {
            return;
        }
        let last = children.len().saturating_sub(1);
        for (at, (child, with_versions)) in children.into_iter().enumerate() {
            let (branch, stem) = if at == last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            self.node(
                child,
                &format!("{rest}{branch}"),
                &format!("{rest}{stem}"),
                with_versions,
            );
        }
    }

    /// What stands below a node: first other things; then, when asked for, the node's other versions side by side, or a table
    /// with a thousand appends would be a tree a thousand steps deep. The flag says whether a child brings its own.
    fn children(&self, node: usize, with_versions: bool) -> Vec<(usize, bool)> {
        let (mut versions, others): (Vec<_>, Vec<_>) = self.below[node]
            .iter()
            .copied()
            .partition(|&child| self.same_thing(child, node));
        let mut children: Vec<_> = others.into_iter().map(|child| (child, true)).collect();
        if !with_versions {
            return children;
        }
        let mut met = HashSet::from([node]);
        while let Some(version) = versions.pop() {
            if met.insert(version) {
                children.push((version, false));
                versions.extend(
                    self.below[version]
                        .iter()
                        .filter(|&&child| self.same_thing(child, node)),
                );
            }
        }
        children
    }

    fn same_thing(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.graph.nodes[a], &self.graph.nodes[b]);
        a.kind == b.kind && a.name == b.name && a.kind != NodeKind::External
    }
}

fn line(node: &Node) -> String {
    let mut line = format!("{}  {}", node.address(), node.kind.label());
    if let (Some(version), true) = (node.short_version(), node.kind != NodeKind::External) {
        line.push_str(&format!(" version {version}"));
    }
    match &node.run {
        Some(record) => line.push_str(&format!(" ({})", run(record))),
        None if matches!(node.kind, NodeKind::External | NodeKind::Folder) => {}
        None => line.push_str(" (written by nothing that the history holds)"),
    }
    line
}

/// Who did what, when, with which code.
fn run(record: &RunRecord) -> String {
    let micros = record.time.micros();
    let seconds = Timestamp::from_micros(micros - micros.rem_euclid(MICROS_PER_SECOND));
    let Some(provenance) = &record.provenance else {
        return format!("{seconds}, what made it is gone");
    };
    let mut text = format!("{} by {}, {seconds}", provenance.verb, provenance.actor);
    if let Some(code) = &provenance.code {
        let commit: String = code.git_commit.chars().take(GIT_COMMIT_LEN).collect();
        let changed = if code.dirty { " with changes" } else { "" };
        text.push_str(&format!(", code {commit}{changed}"));
    }
    text
}
