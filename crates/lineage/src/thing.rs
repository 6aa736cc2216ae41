//! What a walk meets: `Thing`, a version of something; `Via`, the run between two; and how far it goes, `Limits`.
//! `Things` gives each thing a small number. Positions are those of `history`.

use std::collections::HashMap;

use drumlin_model::{CommitId, RepoPath};

/// How many steps from the question an answer reaches, unless told otherwise: more than any pipeline that people can follow.
/// Earlier versions of the same table are one step.
pub const DEPTH_MAX: usize = 64;
/// How many nodes an answer has, unless told otherwise: a page that a browser still draws.
pub const NODES_MAX: usize = 5_000;
/// How far an answer goes. What is cut off is marked as truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub depth: usize,
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: DEPTH_MAX,
            nodes: NODES_MAX,
        }
    }
}

/// A run that leads from one thing to others. When a run read different things for different outputs, each output has a
/// step of its own, named by `output`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Via {
    pub run: usize,
    pub output: Option<RepoPath>,
}

/// A version of something, or something that has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Thing {
    Version {
        path: RepoPath,
        at: usize,
    },
    /// A folder of many parts, as it was at a commit.
    Folder {
        path: RepoPath,
        at: usize,
    },
    External {
        name: String,
        version: Option<String>,
    },
    /// A path that was read at a commit which wrote it nowhere that history reaches.
    Unknown {
        name: String,
        commit: CommitId,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Things {
    pub all: Vec<Thing>,
    pub ids: HashMap<Thing, usize>,
    /// What the first reader recorded of the version.
    pub versions: HashMap<usize, String>,
}

impl Thing {
    pub fn at(&self) -> Option<usize> {
        match self {
            Thing::Version { at, .. } | Thing::Folder { at, .. } => Some(*at),
            Thing::External { .. } | Thing::Unknown { .. } => None,
        }
    }

    /// The run that wrote it.
    pub fn written_at(&self) -> Option<usize> {
        match self {
            Thing::Version { at, .. } => Some(*at),
            _ => None,
        }
    }

    pub fn path(&self) -> Option<&RepoPath> {
        match self {
            Thing::Version { path, .. } | Thing::Folder { path, .. } => Some(path),
            Thing::External { .. } | Thing::Unknown { .. } => None,
        }
    }
}

impl Things {
    pub fn id(&mut self, thing: Thing) -> usize {
        let next = self.all.len();
        let id = *self.ids.entry(thing.clone()).or_insert(next);
        if id == next {
            self.all.push(thing);
        }
        id
    }
}
