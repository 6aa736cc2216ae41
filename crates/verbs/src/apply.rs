//! `apply`: definition files on disk become the branch's. A dry run makes the same plan, and stops there.

use std::path::{Path, PathBuf};

use drumlin_features::{
    apply::{self, Scope},
    registry,
};
use drumlin_model::{CommitId, RefName, names::FEATURES};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DefinitionChange, Desk, Error, Result};

/// Checks definitions, and commits them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplyRequest {
    /// Files, or the folder `features`, with which definitions whose files are gone are removed. When empty, that folder.
    pub paths: Vec<PathBuf>,
    /// Say what would change, and change nothing.
    pub dry_run: bool,
    /// The commit's message. Without it, what changed.
    pub message: Option<String>,
}

/// What changed, or would.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ApplyAnswer {
    #[schemars(with = "String")]
    pub branch: RefName,
    pub changes: Vec<DefinitionChange>,
    /// Definitions that stay as they are.
    pub unchanged: u64,
    /// Training sets that older definitions made. They stay, and rebuild as they were.
    pub training_sets: Vec<String>,
    /// Views whose online rows the next materialization makes anew, or removes.
    pub online_views: Vec<String>,
    /// Whether nothing was changed, and this is what would be.
    pub dry_run: bool,
    /// The commit that was made; none when there was nothing to do.
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    #[serde(skip)]
    is_empty: bool,
}

impl ApplyAnswer {
    /// Whether the branch already said all this.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }
}

impl Desk {
    /// Checks definitions, says what changes, and commits them. Nothing is committed when anything is wrong.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn apply(&self, request: ApplyRequest) -> Result<ApplyAnswer> {
        let (branch, by) = (self.branch()?, self.by());
        let paths = match request.paths.as_slice() {
            [] => vec![self.copy()?.folder().join(FEATURES)],
            paths => paths.iter().map(|path| self.file(path)).collect(),
        };
        let (files, scope) = self.definitions_on_disk(&paths)?;
        let plan = apply::plan(&self.engine()?, &branch, &files, scope).await?;
        let mut answer = ApplyAnswer {
            branch,
            changes: plan.changes.iter().cloned().map(DefinitionChange::of).collect(),
            unchanged: plan.unchanged as u64,
            training_sets: plan.training_sets.clone(),
            online_views: plan.online_views.clone(),
            dry_run: request.dry_run,
            commit: None,
            is_empty: plan.is_empty(),
        };
        if !request.dry_run && !plan.is_empty() {
            answer.commit = Some(plan.commit(by, request.message).await?);
            self.follow().await?;
            self.copy()?.add(&paths, self.progress()).await?;
        }
        Ok(answer)
    }

    /// The files as they are on disk, under the paths that they have in the tree.
    fn definitions_on_disk(&self, paths: &[PathBuf]) -> Result<(registry::Files, Scope)> {
        let mut files = registry::Files::new();
        let mut scope = Scope::Given;
        for path in paths {
            let metadata = std::fs::metadata(path).map_err(|_| Error::NoDefinitions { path: path.clone() })?;
            if metadata.is_file() {
                self.read_definitions(path, &mut files)?;
                continue;
            }
            if self.copy()?.to_repo_path(path)? == registry::folder() {
                scope = Scope::Whole;
            }
            self.read_folder(path, &mut files)?;
        }
        Ok((files, scope))
    }

    /// The definition files of a folder and of the folders in it, as the registry reads them from a commit.
    fn read_folder(&self, folder: &Path, files: &mut registry::Files) -> Result<()> {
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let path = entry.path();
            if entry.file_type().map_err(unreadable(folder))?.is_dir() {
                self.read_folder(&path, files)?;
            } else if registry::is_definition_file(&self.copy()?.to_repo_path(&path)?) {
                self.read_definitions(&path, files)?;
            }
        }
        Ok(())
    }

    fn read_definitions(&self, path: &Path, files: &mut registry::Files) -> Result<()> {
        let bytes = std::fs::read(path).map_err(unreadable(path))?;
        files.insert(self.copy()?.to_repo_path(path)?, bytes.into());
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action: "read",
        path,
        source,
    }
}
