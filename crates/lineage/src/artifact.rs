//! Which thing a path belongs to: a table and a training set are folders whose whole content is one thing.
//! `versions` keys its index by the answer; `graph` takes a node's kind from it.

use drumlin_model::{
    RepoPath,
    names::{FEATURES, TABLES, TRAINING},
};

use crate::graph::NodeKind;

/// The thing that `path` is or is a part of.
pub(crate) fn artifact(path: &RepoPath) -> RepoPath {
    let mut names = path.as_str().splitn(3, '/');
    match (names.next(), names.next()) {
        (Some(top @ (TABLES | TRAINING)), Some(name)) => {
            RepoPath::new(format!("{top}/{name}")).expect("the start of a path is a path")
        }
        _ => path.clone(),
    }
}

pub(crate) fn kind(path: &RepoPath) -> NodeKind {
    match path.as_str().split_once('/') {
        Some((TABLES, _)) => NodeKind::Table,
        Some((TRAINING, _)) => NodeKind::TrainingSet,
        Some((FEATURES, _)) => NodeKind::Features,
        _ => NodeKind::File,
    }
}
