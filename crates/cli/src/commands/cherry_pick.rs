//! `drumlin cherry-pick`.

use clap::Args;
use drumlin_model::RefExpr;

use crate::{
    commands::merge::finish,
    context::{self, Context},
    error::CommandError,
};

/// Make a commit here that does what another one did elsewhere
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin cherry-pick fix-weather~1")]
pub struct CherryPick {
    /// The commit whose changes to bring here
    commit: RefExpr,
    #[arg(short, long)]
    message: Option<String>,
}

impl CherryPick {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let branch = context::current_branch(&copy)?;
        let commit = copy.repo().resolve(&self.commit).await?.commit;
        let original = copy.repo().commit_info(commit).await?;
        let message = self.message.unwrap_or_else(|| original.message.clone());
        let merged = copy
            .repo()
            .cherry_pick(&branch, commit, cx.commit_info("cherry-pick", message, Vec::new()))
            .await?;
        finish(cx, &copy, &branch, ("Picked", &commit.short()), merged).await
    }
}
