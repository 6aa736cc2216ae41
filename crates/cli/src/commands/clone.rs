//! `drumlin clone`.

use std::path::PathBuf;

use clap::Args;
use drumlin_repo::working_copy::WorkingCopy;
use serde_json::json;

use crate::{
    context::Context,
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
    /// A working copy, or the folder of a repository's store
    from: PathBuf,
    /// The folder to make
    folder: PathBuf,
}

impl Clone {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let from = cx.current.join(&self.from);
        let inside = from.join(".drumlin");
        let repository = if inside.is_dir() {
            WorkingCopy::discover(&from, cx.clock.clone())
                .await?
                .layout()
                .repository
                .clone()
        } else {
            from
        };
        let folder = cx.current.join(&self.folder);
        let copy = WorkingCopy::clone_from(&repository, &folder, cx.clock.clone()).await?;
        let head = copy.head()?;
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
