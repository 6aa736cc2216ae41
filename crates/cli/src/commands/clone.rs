//! `drumlin clone`.

use std::path::PathBuf;

use clap::Args;
use drumlin_verbs::{CloneRequest, Desk};

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, label, paint},
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
        let request = CloneRequest {
            from: self.from,
            folder: self.folder,
        };
        let (_, made) = Desk::clone(&cx.current, cx.options(), request).await?;
        cx.ui.emit(&made, |out| {
            writeln!(
                out,
                "Made a working copy in {} on {}",
                paint(NAME, made.folder.display()),
                paint(NAME, label(made.branch.as_ref(), made.commit))
            )
        })
    }
}
