//! `init` and `clone`: they make a working copy, and so the desk itself.

use std::path::{Path, PathBuf};

use drumlin_chunks::Place;
use drumlin_model::{CommitId, RefName};
use drumlin_worktree::{Head, WorkingCopy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, DeskOptions, Error, Result};

/// Makes a folder a repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InitRequest {
    /// The folder, made when it is not there. Files in it stay.
    pub folder: PathBuf,
}

/// A new working copy with a repository of its own.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InitAnswer {
    pub folder: PathBuf,
    #[schemars(with = "Option<String>")]
    pub branch: Option<RefName>,
    #[schemars(with = "String")]
    pub commit: CommitId,
}

/// Makes another working copy of a repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloneRequest {
    /// A working copy, or where a repository is: a folder, or the URL of a bucket.
    pub from: String,
    /// The folder to make.
    pub folder: PathBuf,
}

/// A new working copy of a repository that is there already.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CloneAnswer {
    pub folder: PathBuf,
    /// Where the repository is, which both share.
    pub repository: String,
    #[schemars(with = "Option<String>")]
    pub branch: Option<RefName>,
    #[schemars(with = "String")]
    pub commit: CommitId,
}

impl Desk {
    /// Makes a folder a working copy with a repository inside. Paths of the request start at `current`.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn init(current: &Path, options: DeskOptions, request: InitRequest) -> Result<(Desk, InitAnswer)> {
        let folder = current.join(&request.folder);
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
            action: "make",
            path: folder.clone(),
            source,
        })?;
        let copy = WorkingCopy::init(&folder, options.clock.clone(), &*options.open).await?;
        let Head { branch, base } = copy.head()?;
        let answer = InitAnswer {
            folder: copy.folder().to_owned(),
            branch,
            commit: base.commit,
        };
        Ok((Desk::of_copy(copy, &folder, options), answer))
    }

    /// Makes another working copy of a repository; both share one store. Paths of the request start at `current`.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn clone(current: &Path, options: DeskOptions, request: CloneRequest) -> Result<(Desk, CloneAnswer)> {
        let from = request.from.parse::<Place>()?.from_base(current);
        let folder = current.join(&request.folder);
        let copy = WorkingCopy::clone_from(from, &folder, options.clock.clone(), &*options.open).await?;
        let Head { branch, base } = copy.head()?;
        let answer = CloneAnswer {
            folder: copy.folder().to_owned(),
            repository: copy.layout().repository.to_string(),
            branch,
            commit: base.commit,
        };
        Ok((Desk::of_copy(copy, &folder, options), answer))
    }
}
