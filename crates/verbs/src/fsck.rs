//! `fsck`: whether every byte of the repository is what its name says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Error, Result};

/// Asks for a check of every byte.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FsckRequest {}

/// What the check looked at, and what it found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FsckAnswer {
    pub refs: u64,
    pub commits: u64,
    pub trees: u64,
    /// Different contents of files.
    pub files: u64,
    /// The bytes of those.
    pub bytes: u64,
    pub packs: u64,
    pub blobs: u64,
    /// What is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

impl FsckAnswer {
    /// An error when something is damaged or missing.
    pub fn verdict(&self) -> Result<()> {
        match self.problems.len() {
            0 => Ok(()),
            problems => Err(Error::Damage { problems }),
        }
    }
}

impl Desk {
    /// Checks every byte of the repository. An error means that the check could not be made; what was found is the answer.
    #[tracing::instrument(skip_all, level = "debug")]
    pub async fn fsck(&self, _request: FsckRequest) -> Result<FsckAnswer> {
        let report = self.repo.fsck(self.progress()).await?;
        Ok(FsckAnswer {
            refs: report.refs,
            commits: report.commits,
            trees: report.trees,
            files: report.files,
            bytes: report.bytes,
            packs: report.packs,
            blobs: report.blobs,
            problems: report.problems.iter().map(ToString::to_string).collect(),
        })
    }
}
