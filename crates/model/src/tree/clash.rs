//! Finds a file that stands where a folder is needed, in one pass over paths in key order.
//! Builders and `fsck` of trees use it.
//! Invariant: what starts with a given path's bytes follows it without a gap, so a stack of open prefixes suffices.

use crate::path::RepoPath;

/// `file` has an entry of its own although `below` needs it to be a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub file: RepoPath,
    pub below: RepoPath,
}

/// Fed with ascending paths, reports each that stands below an earlier one.
#[derive(Default)]
pub struct ClashScan {
    /// Each is a byte prefix of the next.
    open: Vec<RepoPath>,
}

impl ClashScan {
    /// The nearest earlier path that `path` stands below, if any.
    pub fn push(&mut self, path: &RepoPath) -> Option<Clash> {
        while self
            .open
            .last()
            .is_some_and(|top| !path.as_str().starts_with(top.as_str()))
        {
            self.open.pop();
        }
        let file = self
            .open
            .iter()
            .rev()
            .find(|open| path.is_within(open) && *open != path)
            .cloned();
        self.open.push(path.clone());
        file.map(|file| Clash {
            file,
            below: path.clone(),
        })
    }
}
