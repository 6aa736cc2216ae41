//! `lineage`: what a thing was made from, or what was made from it. The floor below reads it from history and draws it.

use drumlin_lineage::{Direction, Graph, Limits, Lineage, Node, NodeKind};
use drumlin_model::{CommitId, RefExpr, RepoPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CodeView, Desk, Result};

/// Asks what a thing was made from, or what was made from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LineageRequest {
    /// A file, a table, a definition or a training set.
    pub path: RepoPath,
    /// The version. Without it, the current branch.
    #[serde(default)]
    pub at: Option<RefExpr>,
    /// What was made from it, instead.
    #[serde(default)]
    pub impact: bool,
    /// The most steps from the thing.
    #[serde(default)]
    pub depth: Option<usize>,
}

/// The graph between versions of things and the runs that read and wrote them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LineageAnswer {
    /// `origins` or `impact`.
    pub direction: String,
    /// The ids of the nodes that were asked about.
    pub roots: Vec<String>,
    /// The nearest first.
    pub nodes: Vec<LineageNode>,
    pub edges: Vec<LineageEdge>,
    /// Whether a limit cut the answer short.
    pub truncated: bool,
    #[serde(skip)]
    graph: Graph,
}

/// A version of a thing, or a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LineageNode {
    pub id: String,
    /// `file`, `folder`, `table`, `features`, `training_set`, `external` or `run`.
    pub kind: String,
    /// A path, an address outside the repository, or the verb of a run.
    pub name: String,
    /// The commit that wrote this version, or that is the run; none outside the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    /// What the reader recorded of the version: a table version, a content hash, an etag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of a run that made its outputs of different things: the one that this node is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub output: Option<RepoPath>,
    /// The record of the run that wrote this, or that this is. None outside, and where history does not reach.
    #[serde(flatten)]
    pub record: Option<LineageRecord>,
    /// When the run was finished whose provenance is gone, RFC 3339: there is no more to be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance_gone: Option<String>,
}

/// What is known of the run behind a node.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LineageRecord {
    pub verb: String,
    pub actor: String,
    /// RFC 3339.
    pub finished: String,
    /// RFC 3339; of runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Of runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<serde_json::Map<String, serde_json::Value>>,
    /// Of runs: the Git commit of the code that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeView>,
}

/// Data ran from one node to the other; both are ids.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LineageEdge {
    pub from: String,
    pub to: String,
}

impl LineageAnswer {
    fn of(graph: Graph) -> Self {
        let id = |at: usize| graph.nodes[at].id();
        Self {
            direction: match graph.direction {
                Direction::Origins => "origins".to_owned(),
                Direction::Impact => "impact".to_owned(),
            },
            roots: graph.roots.iter().map(|&root| id(root)).collect(),
            nodes: graph.nodes.iter().map(LineageNode::of).collect(),
            edges: graph
                .edges
                .iter()
                .map(|edge| LineageEdge {
                    from: id(edge.from),
                    to: id(edge.to),
                })
                .collect(),
            truncated: graph.truncated,
            graph,
        }
    }

    /// The graph as indented lines.
    pub fn to_text(&self) -> String {
        self.graph.to_text()
    }

    /// The graph as a drawing.
    pub fn to_svg(&self) -> String {
        self.graph.to_svg()
    }
}

impl LineageNode {
    fn of(node: &Node) -> Self {
        let run = node.run.as_ref();
        let provenance_gone = run
            .filter(|run| run.provenance.is_none())
            .map(|run| run.time.to_string());
        let record = run.and_then(|run| run.provenance.as_deref()).map(|provenance| {
            let is_run = node.kind == NodeKind::Run;
            LineageRecord {
                verb: provenance.verb.clone(),
                actor: provenance.actor.clone(),
                finished: provenance.finished.to_string(),
                started: is_run.then(|| provenance.started.to_string()),
                message: is_run.then(|| provenance.message.clone()),
                parameters: is_run.then(|| provenance.parameters.clone().into_iter().collect()),
                code: provenance.code.as_ref().filter(|_| is_run).map(CodeView::of),
            }
        });
        Self {
            id: node.id(),
            kind: node.kind.word().to_owned(),
            name: node.name.clone(),
            commit: node.commit,
            version: node.version.clone(),
            output: node.output.clone(),
            record,
            provenance_gone,
        }
    }
}

impl Desk {
    /// Shows what a thing was made from, or what was made from it.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn lineage(&self, request: LineageRequest) -> Result<LineageAnswer> {
        let commit = self.snapshot(request.at.as_ref()).await?.commit();
        let graphs = Lineage::at(&self.repo, commit).await?;
        let defaults = Limits::default();
        let limits = Limits {
            depth: request.depth.unwrap_or(defaults.depth),
            ..defaults
        };
        let graph = if request.impact {
            graphs.impact(&request.path, limits)?
        } else {
            graphs.origins(&request.path, commit, limits)?
        };
        Ok(LineageAnswer::of(graph))
    }
}
