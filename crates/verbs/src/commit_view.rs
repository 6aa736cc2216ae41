//! `CommitView`: a commit as answers show it. Stored commits keep times as numbers; answers write them as RFC 3339 texts.

use std::collections::BTreeMap;

use drumlin_model::{Code, CommitId, Input, Provenance, RepoPath, TreeId};
use drumlin_repo::Recorded;
use schemars::JsonSchema;
use serde::Serialize;

/// A commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CommitView {
    #[schemars(with = "String")]
    pub id: CommitId,
    #[schemars(with = "String")]
    pub tree: TreeId,
    /// None for the first commit; the first parent is the branch that was written to.
    #[schemars(with = "Vec<String>")]
    pub parents: Vec<CommitId>,
    /// 1 for the first commit, else one more than the greatest of the parents.
    pub generation: u64,
    /// When it was finished, RFC 3339.
    pub time: String,
    /// None when the provenance is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// None when it is gone: erased, or lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceView>,
}

/// What made a commit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProvenanceView {
    /// The verb, such as `table append`.
    pub verb: String,
    pub actor: String,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339.
    pub finished: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub inputs: Vec<InputView>,
    /// What was written: files, or folders whose whole content is one thing (a table, a training set).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    #[schemars(with = "Vec<String>")]
    pub outputs: Vec<RepoPath>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub parameters: BTreeMap<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeView>,
}

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InputView {
    /// A repository path, or a URL or file path outside the repository.
    pub name: String,
    /// The commit that the path was read at; none for what is outside the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    /// The version of the thing itself where it has one: a table version, a content hash, an etag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The outputs that it went into; all of them when none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    #[schemars(with = "Vec<String>")]
    pub into: Vec<RepoPath>,
}

/// The state of the code's own version control.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CodeView {
    pub git_commit: String,
    /// Whether files differed from that commit.
    pub dirty: bool,
}

impl CommitView {
    pub fn of(Recorded { id, commit, provenance }: &Recorded) -> Self {
        let provenance = provenance.stored();
        Self {
            id: *id,
            tree: commit.tree,
            parents: commit.parents.clone(),
            generation: commit.generation,
            time: commit.time.to_string(),
            message: provenance.map(|stored| stored.message.clone()),
            provenance: provenance.map(|stored| ProvenanceView::of(stored)),
        }
    }
}

impl ProvenanceView {
    fn of(provenance: &Provenance) -> Self {
        Self {
            verb: provenance.verb.clone(),
            actor: provenance.actor.clone(),
            started: provenance.started.to_string(),
            finished: provenance.finished.to_string(),
            inputs: provenance.inputs.iter().map(InputView::of).collect(),
            outputs: provenance.outputs.clone(),
            parameters: provenance.parameters.clone(),
            code: provenance.code.as_ref().map(CodeView::of),
        }
    }
}

impl InputView {
    fn of(input: &Input) -> Self {
        Self {
            name: input.name.clone(),
            commit: input.commit,
            version: input.version.clone(),
            into: input.into.clone(),
        }
    }
}

impl CodeView {
    pub(crate) fn of(code: &Code) -> Self {
        Self {
            git_commit: code.git_commit.clone(),
            dirty: code.dirty,
        }
    }
}
