//! `apply`: plans what a set of definition files would change on a branch, and commits it as one commit.
//! `registry` and `definition::check` say whether the files are right; the plan is shown before anything is written.
//! Invariant: a plan that cannot be committed whole is an error, and then nothing has changed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use drumlin_model::{By, CommitId, Cure, Input, RefName, RepoPath, names::Verb};
use drumlin_repo::{CommitInfo, Session};
use drumlin_tables::Engine;
use serde::Serialize;
use serde_json::Value;
use tracing::instrument;

use crate::{
    definition::{Definition, Kind},
    error::{Error, Result},
    registry::{Files, Registry, files_of, is_definition_file},
    source::{self, Views},
    training,
};

/// What files that were not given mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The given files are all: definition files of the branch that are not among them go.
    Whole,
    /// The given files replace or join those of the branch.
    Given,
}

/// What `apply` would do.
#[derive(Debug)]
pub struct Plan {
    pub branch: RefName,
    pub base: CommitId,
    pub changes: Vec<Change>,
    pub unchanged: usize,
    /// Training sets of the branch that were made by definitions that this changes. They stay as they are.
    pub training_sets: Vec<String>,
    /// Views whose online rows the next materialize makes anew, or removes.
    pub online_views: Vec<String>,
    session: Session,
    writes: Vec<(RepoPath, Option<Bytes>)>,
    inputs: Vec<Input>,
}

/// One definition that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    pub file: RepoPath,
    pub what: What,
    /// Whether values may differ; not so for descriptions, owners and tags.
    pub meaning: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Added,
    Changed { fields: Vec<FieldChange> },
    Removed,
}

/// A field by its path (`max_age`, `features.temp.type`), and its value in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Checks `files` against the head of `branch` and its tables, and says what would change.
#[instrument(level = "debug", skip_all, fields(%branch, files = files.len()))]
pub async fn plan(engine: &Engine, branch: &RefName, files: &Files, scope: Scope) -> Result<Plan> {
    let session = engine.repo().session(branch).await?;
    let base = session.base();
    let before_files = files_of(&base).await?;
    let mut after_files = match scope {
        Scope::Whole => Files::new(),
        Scope::Given => before_files.clone(),
    };
    for (path, bytes) in files {
        if !is_definition_file(path) {
            return Err(Error::Input {
                what: "the file",
                value: path.to_string(),
                why: "is not a definition file".into(),
                cures: vec![Cure::say("definitions are features/NAME.yaml")],
            });
        }
        after_files.insert(path.clone(), bytes.clone());
    }
    let after = Registry::from_files(&after_files)?;
    let views = source::resolve_all(engine, &base, &after).await?;
    // What stands on the branch may be broken by hand: then everything given counts as added.
    let before = Registry::from_files(&before_files).unwrap_or_default();
    let (changes, unchanged) = compare(&before, &after);
    let touched = touched_views(&changes, &before, &after);
    let writes = writes(&before_files, &after_files);
    Ok(Plan {
        branch: branch.clone(),
        base: base.commit(),
        training_sets: training::using(&base, &touched).await?,
        online_views: touched
            .into_iter()
            .filter(|name| is_online(name, &before, &after))
            .collect(),
        changes,
        unchanged,
        inputs: inputs(&after, &views, &writes),
        writes,
        session,
    })
}

impl Plan {
    /// Whether the branch already says all this.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub fn count(&self, kind: fn(&What) -> bool) -> usize {
        self.changes.iter().filter(|change| kind(&change.what)).count()
    }

    /// Writes the files in one commit, whose message is a sentence of what was done when none is given. When others changed the
    /// same files meanwhile, it is a conflict and nothing changes. Nor does it when the future is dropped before its end.
    #[instrument(level = "debug", skip_all, fields(branch = %self.branch, changes = self.changes.len()))]
    pub async fn commit(self, by: By, message: Option<String>) -> Result<CommitId> {
        for (path, bytes) in &self.writes {
            match bytes {
                Some(bytes) => self.session.write(path, bytes.clone()).await?,
                None => drop(self.session.remove(path).await?),
            }
        }
        let message = message.unwrap_or_else(|| self.sentence());
        let parameters = [(
            "definitions".to_owned(),
            self.changes.iter().map(|change| change.name.as_str()).collect(),
        )];
        let info = CommitInfo {
            by,
            verb: Verb::Apply,
            message,
            inputs: self.inputs,
            outputs: self.writes.into_iter().map(|(path, _)| path).collect(),
            parameters: BTreeMap::from(parameters),
        };
        Ok(self.session.commit(info).await?)
    }

    fn sentence(&self) -> String {
        let names = |kind: fn(&What) -> bool| {
            let named = self.changes.iter().filter(|change| kind(&change.what));
            named.map(|change| change.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let parts = [
            ("add", names(|what| matches!(what, What::Added))),
            ("change", names(|what| matches!(what, What::Changed { .. }))),
            ("remove", names(|what| matches!(what, What::Removed))),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(verb, names)| format!("{verb} {names}"))
            .collect();
        if said.is_empty() {
            "Apply definitions: no change of meaning".into()
        } else {
            format!("Apply definitions: {}", said.join("; "))
        }
    }
}

fn writes(before: &Files, after: &Files) -> Vec<(RepoPath, Option<Bytes>)> {
    let changed = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes));
    let removed = before.keys().filter(|path| !after.contains_key(*path));
    let put = changed.map(|(path, bytes)| (path.clone(), Some(bytes.clone())));
    put.chain(removed.map(|path| (path.clone(), None))).collect()
}

/// Which definitions differ between two registries, and how many do not.
pub fn compare(before: &Registry, after: &Registry) -> (Vec<Change>, usize) {
    let mut changes = Vec::new();
    let mut unchanged = 0;
    for placed in after.definitions() {
        let new = &placed.definition;
        let change = |what, meaning| Change {
            kind: new.kind(),
            name: new.name().to_owned(),
            file: placed.place.file.clone(),
            what,
            meaning,
        };
        match before.get(new.kind(), new.name()).map(|placed| &placed.definition) {
            None => changes.push(change(What::Added, true)),
            Some(old) if old == new => unchanged += 1,
            Some(old) => {
                let fields = field_changes(old, new);
                changes.push(change(What::Changed { fields }, old.hash() != new.hash()));
            }
        }
    }
    for placed in before.definitions() {
        let old = &placed.definition;
        if after.get(old.kind(), old.name()).is_none() {
            let (kind, name, file) = (old.kind(), old.name().to_owned(), placed.place.file.clone());
            changes.push(Change {
                kind,
                name,
                file,
                what: What::Removed,
                meaning: true,
            });
        }
    }
    (changes, unchanged)
}

/// Field by field, what differs between two definitions of one name.
pub fn field_changes(old: &Definition, new: &Definition) -> Vec<FieldChange> {
    let flat = |definition: &Definition| {
        let mut fields = BTreeMap::new();
        let json = serde_json::to_value(definition).expect("a definition has only string keys");
        flatten(String::new(), json, &mut fields);
        fields
    };
    let (old, new) = (flat(old), flat(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differing
        .map(|name| FieldChange {
            field: name.clone(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect()
}

/// Maps by their keys, lists of named things by their names; everything else is one value.
fn flatten(path: String, value: Value, out: &mut BTreeMap<String, Value>) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(below(&name), value, out);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item_name(item).is_some()) => {
            for item in items {
                let name = below(item_name(&item).expect("it was checked"));
                flatten(name, item, out);
            }
        }
        value => {
            out.insert(path, value);
        }
    }
}

fn item_name(item: &Value) -> Option<&str> {
    ["as", "name", "view"].iter().find_map(|key| item.get(key)?.as_str())
}

/// Views whose values may differ: changed themselves, or through an entity.
fn touched_views(changes: &[Change], before: &Registry, after: &Registry) -> BTreeSet<String> {
    let meant = |kind| {
        changes
            .iter()
            .filter(move |change| change.kind == kind && change.meaning)
            .map(|change| change.name.as_str())
    };
    let entities: BTreeSet<&str> = meant(Kind::Entity).collect();
    let added: BTreeSet<&str> = changes
        .iter()
        .filter(|change| change.what == What::Added)
        .map(|change| change.name.as_str())
        .collect();
    let views = before.views().chain(after.views());
    let by_entity = views.filter(|view| view.entities.iter().any(|name| entities.contains(name.as_str())));
    let touched = by_entity.map(|view| view.name.as_str()).chain(meant(Kind::FeatureView));
    touched
        .filter(|name| !added.contains(name))
        .map(str::to_owned)
        .collect()
}

fn is_online(name: &str, before: &Registry, after: &Registry) -> bool {
    [before, after]
        .into_iter()
        .any(|registry| registry.view(name).is_ok_and(|view| view.online))
}

/// The tables that the views of the written files read, each with the files that it went into.
fn inputs(registry: &Registry, views: &Views, writes: &[(RepoPath, Option<Bytes>)]) -> Vec<Input> {
    let written: BTreeSet<&RepoPath> = writes.iter().map(|(path, _)| path).collect();
    let mut files: BTreeMap<&Input, BTreeSet<&RepoPath>> = BTreeMap::new();
    for (view, inputs) in views.inputs() {
        let file = registry.get(Kind::FeatureView, view).map(|placed| &placed.place.file);
        let Some(file) = file.filter(|file| written.contains(file)) else {
            continue;
        };
        for input in inputs {
            files.entry(input).or_default().insert(file);
        }
    }
    let inputs = files.into_iter().map(|(input, files)| Input {
        into: files.into_iter().cloned().collect(),
        ..input.clone()
    });
    inputs.collect()
}
