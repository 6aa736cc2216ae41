//! `drumlin clone`.

use std::path::PathBuf;

use clap::Args;
use drumlin_chunks::Place;
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{NAME, paint},
};

/// Make another working copy of a repository
///
/// Both share one store: a commit in one is seen by the other at once, and nothing is stored twice.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin clone ../my-data experiment\n  drumlin clone /srv/data/.drumlin/repo here"
)]
pub struct Clone {
    /// A working copy, or where a repository is: a folder, or the URL of a bucket
    from: String,
    /// The folder to make
    folder: PathBuf,
}

impl Clone {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let from = self.from.parse::<Place>()?.from_base(&cx.current);
        let folder = cx.current.join(&self.folder);
        let copy = WorkingCopy::clone_from(from, &folder, cx.clock.clone(), &context::open).await?;
        let head = copy.head()?;
        let repository = copy.layout().repository.to_string();
        let value = json!({ "folder": copy.folder(), "repository": repository, "branch": head.branch, "commit": head.base.commit });
        cx.ui.emit(&value, |out| {
            writeln!(
                out,
                "Made a working copy in {} on {}",
                paint(NAME, copy.folder().display()),
                paint(NAME, head.label())
            )
        })
    }
}
