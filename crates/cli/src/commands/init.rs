//! `drumlin init`.

use std::path::PathBuf;

use clap::Args;
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{NAME, paint},
};

/// Make a folder a repository
///
/// Files that are there stay as they are; `drumlin add` keeps them. Everything of Drumlin's own goes to `.drumlin/`.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin init\n  drumlin init my-data")]
pub struct Init {
    /// The folder, made when it is not there
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let folder = cx.current.join(&self.folder);
        std::fs::create_dir_all(&folder)
            .map_err(|error| CommandError::io(format!("cannot make {}", folder.display()), error))?;
        let copy = WorkingCopy::init(&folder, cx.clock.clone(), &context::open).await?;
        let head = copy.head()?;
        let branch = head.branch.as_ref().map(ToString::to_string);
        let value = json!({ "folder": copy.folder(), "branch": branch, "commit": head.base.commit });
        cx.ui.emit(&value, |out| {
            writeln!(out, "Made a repository in {}", paint(NAME, copy.folder().display()))?;
            writeln!(
                out,
                "On branch {}; next: drumlin add PATH",
                paint(NAME, branch.as_deref().unwrap_or("main"))
            )
        })
    }
}
