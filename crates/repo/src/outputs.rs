//! `Outputs`: the paths that a commit names as its outputs: all that changed, or, of many, the folders that hold them.
//! `commit` and `merge` collect them while they read what changed.
//! Invariant: memory holds a few hundred paths, however many are added.

use std::collections::BTreeSet;

use drumlin_model::RepoPath;

/// How many outputs a commit names by itself; more are folded into their folders.
pub const OUTPUTS_MAX: usize = 256;

/// Paths, folded into folders from the deepest up until there are few enough. Names at the top cannot be folded: of too
/// many the first stand for all, and the difference of the trees tells the rest.
#[derive(Debug)]
pub(crate) struct Outputs {
    paths: BTreeSet<RepoPath>,
    /// How many folders a path may lie in; deeper ones are folded into the folder there.
    depth_max: usize,
}

impl Default for Outputs {
    fn default() -> Self {
        Outputs {
            paths: BTreeSet::new(),
            depth_max: usize::MAX,
        }
    }
}

impl Outputs {
    pub fn add(&mut self, path: &RepoPath) {
        self.paths.insert(folded(path, self.depth_max));
        while self.paths.len() > OUTPUTS_MAX {
            let deepest = self.paths.iter().map(depth).max().unwrap_or(0);
            if deepest == 0 {
                self.paths.pop_last();
                return;
            }
            // Were it folded only when all are known, this fold would be among those that are done.
            self.depth_max = deepest - 1;
            self.paths = self.paths.iter().map(|path| folded(path, self.depth_max)).collect();
        }
    }

    /// In the order of the paths.
    pub fn into_paths(self) -> Vec<RepoPath> {
        self.paths.into_iter().collect()
    }
}

impl<'a> FromIterator<&'a RepoPath> for Outputs {
    fn from_iter<I: IntoIterator<Item = &'a RepoPath>>(paths: I) -> Self {
        let mut outputs = Outputs::default();
        for path in paths {
            outputs.add(path);
        }
        outputs
    }
}

/// How many folders a path lies in.
fn depth(path: &RepoPath) -> usize {
    path.as_str().matches('/').count()
}

/// The path, or the folder above it that lies in `depth_max` folders.
fn folded(path: &RepoPath, depth_max: usize) -> RepoPath {
    match path.as_str().match_indices('/').nth(depth_max) {
        Some((end, _)) => RepoPath::new(&path.as_str()[..end]).expect("the start of a path is a path"),
        None => path.clone(),
    }
}
