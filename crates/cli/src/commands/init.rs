//! `drumlin init`.

use std::path::PathBuf;

use clap::Args;
use drumlin_verbs::{Desk, InitRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, label, paint},
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
        let request = InitRequest { folder: self.folder };
        let (_, made) = Desk::init(&cx.current, cx.options(), request).await?;
        cx.ui.emit(&made, |out| {
            writeln!(out, "Made a repository in {}", paint(NAME, made.folder.display()))?;
            let label = label(made.branch.as_ref(), made.commit);
            writeln!(out, "On branch {}; next: drumlin add PATH", paint(NAME, label))
        })
    }
}
