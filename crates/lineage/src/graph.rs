//! `Graph`: the answer to one question of lineage, as values; `text`, `json` and `svg` render it.
//! Invariant: edges run the way data ran, from what was read by a run to what it wrote, and never in a circle.

use std::sync::Arc;

use drumlin_model::{CommitId, Provenance, RepoPath, Timestamp};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    File,
    /// A folder that was read as a whole and holds too many things to show each.
    Folder,
    Table,
    /// A file of feature definitions.
    Features,
    TrainingSet,
    /// Something outside the repository.
    External,
    /// A commit: the run that read and wrote.
    Run,
}

impl NodeKind {
    pub const ALL: [NodeKind; 7] = [
        NodeKind::File,
        NodeKind::Folder,
        NodeKind::Table,
        NodeKind::Features,
        NodeKind::TrainingSet,
        NodeKind::External,
        NodeKind::Run,
    ];

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            NodeKind::File => "file",
            NodeKind::Folder => "folder",
            NodeKind::Table => "table",
            NodeKind::Features => "feature definitions",
            NodeKind::TrainingSet => "training set",
            NodeKind::External => "external source",
            NodeKind::Run => "run",
        }
    }

    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            NodeKind::Features => "features",
            NodeKind::TrainingSet => "training_set",
            NodeKind::External => "external",
            _ => self.label(),
        }
    }
}

/// A version of a thing, or a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: NodeKind,
    /// A path, an address outside the repository, or the verb of a run.
    pub name: String,
    /// The commit that wrote this version, or that is the run; none outside the repository.
    pub commit: Option<CommitId>,
    /// What the reader recorded of the version: a table version, a content hash, an etag.
    pub version: Option<String>,
    /// Of a run that made its outputs of different things: the one that this node is about.
    pub output: Option<RepoPath>,
    /// The run that wrote this, or that this is. None outside, and where history does not reach.
    pub run: Option<RunRecord>,
}

/// What a commit says of the run that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// When it was finished.
    pub time: Timestamp,
    /// None when it is gone: what the run read is not known then, and what it wrote is what its commit changed.
    pub provenance: Option<Arc<Provenance>>,
}

/// Data ran from one node to the other; both are positions in `Graph::nodes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Down to what things were made from.
    Origins,
    /// Up to what was made from them.
    Impact,
}

#[derive(Clone, Debug)]
pub struct Graph {
    pub direction: Direction,
    /// Nearest to the question first.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// What was asked about: one version for origins, every version for impact.
    pub roots: Vec<usize>,
    /// Whether a limit cut the answer short.
    pub truncated: bool,
}

/// A BLAKE3 hash in hexadecimal, and how much of one is shown.
const HASH_LEN: usize = 64;
const SHORT_LEN: usize = 12;

impl Node {
    /// The version for people: a hash by its start, as commits are shown; others whole.
    pub fn short_version(&self) -> Option<&str> {
        let version = self.version.as_deref()?;
        let is_hash = version.len() == HASH_LEN && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(if is_hash { &version[..SHORT_LEN] } else { version })
    }

    /// The node's name in the spelling of the command line: `path@commit`.
    pub fn address(&self) -> String {
        match (self.kind, self.commit, self.short_version()) {
            (NodeKind::External, _, Some(version)) => format!("{} ({version})", self.name),
            (_, Some(commit), _) => format!("{}@{}", self.name, commit.short()),
            _ => self.name.clone(),
        }
    }
}

impl Graph {
    /// For each node, the next ones in the direction of the question.
    pub(crate) fn next(&self) -> Vec<Vec<usize>> {
        let mut next = vec![Vec::new(); self.nodes.len()];
        for edge in &self.edges {
            match self.direction {
                Direction::Origins => next[edge.to].push(edge.from),
                Direction::Impact => next[edge.from].push(edge.to),
            }
        }
        next
    }
}
