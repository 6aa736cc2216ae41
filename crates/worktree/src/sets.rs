//! `Sets`: which folders of a tree are one thing to programs (a Delta table, a training set) and not files for people.
//! `checkout` leaves them in the repository until `restore` is asked for one by name.

use std::collections::HashMap;

use drumlin_model::{
    RepoPath,
    names::{DELTA_LOG, SET_RECORD, TRAINING},
};
use drumlin_repo::Snapshot;

use crate::Result;

pub(crate) struct Sets<'t> {
    tree: &'t Snapshot,
    known: HashMap<RepoPath, bool>,
}

impl<'t> Sets<'t> {
    pub fn new(tree: &'t Snapshot) -> Self {
        Sets {
            tree,
            known: HashMap::new(),
        }
    }

    /// The outermost set that `path` belongs to.
    pub async fn around(&mut self, path: &RepoPath) -> Result<Option<RepoPath>> {
        let mut outermost = None;
        for folder in path.ancestors() {
            if self.is_set(&folder).await? {
                outermost = Some(folder);
            }
        }
        Ok(outermost)
    }

    async fn is_set(&mut self, folder: &RepoPath) -> Result<bool> {
        if let Some(known) = self.known.get(folder) {
            return Ok(*known);
        }
        let is_set = self.is_table(folder).await? || self.is_training_set(folder).await?;
        self.known.insert(folder.clone(), is_set);
        Ok(is_set)
    }

    async fn is_table(&self, folder: &RepoPath) -> Result<bool> {
        let Ok(log) = folder.join(DELTA_LOG) else {
            return Ok(false);
        };
        Ok(self.tree.folder_exists(&log).await?)
    }

    async fn is_training_set(&self, folder: &RepoPath) -> Result<bool> {
        if folder.parent().is_none_or(|parent| parent.as_str() != TRAINING) {
            return Ok(false);
        }
        let Ok(manifest) = folder.join(SET_RECORD) else {
            return Ok(false);
        };
        Ok(self.tree.entry(&manifest).await?.is_some())
    }
}
