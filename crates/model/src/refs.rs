//! `Refs`: which commit each branch and tag names, and where those of other repositories were when last seen.
//! Part of the `root`; `operation` says how they change, `reference` what a name may be.
//! Invariant: no branch has the name of a tag, so a name means one commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{CommitId, TreeId},
    reference::RefName,
    stored::Rest,
};

/// All refs of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refs {
    pub branches: BTreeMap<RefName, Ref>,
    pub tags: BTreeMap<RefName, Ref>,
    /// The refs of other repositories as they were when last seen, by the name that the other repository has here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<RefName, Remote>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// The refs of another repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    pub branches: BTreeMap<RefName, Ref>,
    pub tags: BTreeMap<RefName, Ref>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// A ref as it is stored: where it points, and what else a program has noted of it. The notes go where the ref goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ref {
    pub commit: CommitId,
    pub tree: TreeId,
    /// The commit's generation, so that the next commit needs no look at this one. None where whoever set the ref did not
    /// know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// A commit, and its tree beside it so that reading a path needs no look at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefTarget {
    pub commit: CommitId,
    pub tree: TreeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    Branch,
    Tag,
}

impl RefKind {
    pub const ALL: [RefKind; 2] = [RefKind::Branch, RefKind::Tag];

    /// The kind in a word, as people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefKind::Branch => "branch",
            RefKind::Tag => "tag",
        }
    }
}

impl Ref {
    /// Where the ref points.
    pub fn target(&self) -> RefTarget {
        RefTarget {
            commit: self.commit,
            tree: self.tree,
        }
    }

    /// The same ref, pointing elsewhere, to a commit of that generation.
    #[must_use]
    pub fn moved_to(&self, RefTarget { commit, tree }: RefTarget, generation: Option<u64>) -> Self {
        Self {
            commit,
            tree,
            generation,
            rest: self.rest.clone(),
        }
    }
}

impl From<RefTarget> for Ref {
    fn from(RefTarget { commit, tree }: RefTarget) -> Self {
        Self {
            commit,
            tree,
            generation: None,
            rest: Rest::new(),
        }
    }
}

impl Refs {
    /// Where a branch or tag points, if there is one of that name.
    pub fn get(&self, kind: RefKind, name: &RefName) -> Option<RefTarget> {
        self.of(kind).get(name).map(Ref::target)
    }

    /// The branches or the tags.
    pub fn of(&self, kind: RefKind) -> &BTreeMap<RefName, Ref> {
        match kind {
            RefKind::Branch => &self.branches,
            RefKind::Tag => &self.tags,
        }
    }

    pub fn of_mut(&mut self, kind: RefKind) -> &mut BTreeMap<RefName, Ref> {
        match kind {
            RefKind::Branch => &mut self.branches,
            RefKind::Tag => &mut self.tags,
        }
    }

    /// What has the name, if anything does.
    pub fn holder(&self, name: &RefName) -> Option<RefKind> {
        RefKind::ALL.into_iter().find(|kind| self.of(*kind).contains_key(name))
    }

    /// How many refs there are, those of other repositories too.
    pub fn count(&self) -> usize {
        let remotes = self.remotes.values();
        let remote = remotes.map(|remote| remote.branches.len() + remote.tags.len());
        self.branches.len() + self.tags.len() + remote.sum::<usize>()
    }
}

impl Remote {
    pub fn of(&self, kind: RefKind) -> &BTreeMap<RefName, Ref> {
        match kind {
            RefKind::Branch => &self.branches,
            RefKind::Tag => &self.tags,
        }
    }

    pub fn of_mut(&mut self, kind: RefKind) -> &mut BTreeMap<RefName, Ref> {
        match kind {
            RefKind::Branch => &mut self.branches,
            RefKind::Tag => &mut self.tags,
        }
    }
}
