//! A graph as JSON: nodes, edges by the nodes' ids, and what was asked about.
//! An id names the same thing in every answer, so that answers can be put together.

use serde_json::{Map, Value, json};

use crate::graph::{Direction, Graph, Node, NodeKind};

impl Graph {
    /// `{direction, roots, nodes: [{id, kind, name, ...}], edges: [{from, to}], truncated}`. Edges run the way data ran.
    /// A run's node has the whole record; that of a version has the commit, verb, actor and time that wrote it. Where the
    /// provenance is gone, `provenance_gone` is true and all but the time is missing.
    pub fn to_json(&self) -> Value {
        let ids: Vec<String> = self.nodes.iter().map(Node::id).collect();
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .zip(&ids)
            .map(|(node, id)| node_json(node, id))
            .collect();
        let edges: Vec<Value> = self
            .edges
            .iter()
            .map(|edge| json!({ "from": ids[edge.from], "to": ids[edge.to] }))
            .collect();
        let roots: Vec<&String> = self.roots.iter().map(|&root| &ids[root]).collect();
        let direction = match self.direction {
            Direction::Origins => "origins",
            Direction::Impact => "impact",
        };
        json!({
            "direction": direction,
            "roots": roots,
            "nodes": nodes,
            "edges": edges,
            "truncated": self.truncated,
        })
    }
}

impl Node {
    /// `kind:name@commit`, `run:commit`, `run:commit:output` or `external:name#version`.
    pub fn id(&self) -> String {
        let kind = self.kind.word();
        match (self.kind, &self.commit, &self.version) {
            (NodeKind::Run, Some(commit), _) => match &self.output {
                Some(output) => format!("{kind}:{commit}:{output}"),
                None => format!("{kind}:{commit}"),
            },
            (_, Some(commit), _) => format!("{kind}:{}@{commit}", self.name),
            (_, None, Some(version)) => format!("{kind}:{}#{version}", self.name),
            (_, None, None) => format!("{kind}:{}", self.name),
        }
    }
}

fn node_json(node: &Node, id: &str) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("id", json!(id));
    put("kind", json!(node.kind.word()));
    put("name", json!(node.name));
    if let Some(commit) = node.commit {
        put("commit", json!(commit));
    }
    if let Some(version) = &node.version {
        put("version", json!(version));
    }
    if let Some(output) = &node.output {
        put("output", json!(output));
    }
    if let Some(run) = &node.run {
        put("finished", json!(run.time.to_string()));
        put("provenance_gone", json!(run.provenance.is_none()));
    }
    if let Some(provenance) = node.run.as_ref().and_then(|run| run.provenance.as_ref()) {
        put("verb", json!(provenance.verb));
        put("actor", json!(provenance.actor));
        if node.kind == NodeKind::Run {
            put("started", json!(provenance.started.to_string()));
            put("message", json!(provenance.message));
            put("parameters", json!(provenance.parameters));
            put("code", json!(provenance.code));
        }
    }
    Value::Object(fields)
}
