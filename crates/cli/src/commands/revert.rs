//! `drumlin revert`.

use clap::Args;
use drumlin_model::RefExpr;

use crate::{
    commands::merge::finish,
    context::{self, Context},
    error::CommandError,
};

/// Make a commit that takes back what another one did
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin revert main~1\n  drumlin revert 3f9c2a10 -m 'the file was wrong'")]
pub struct Revert {
    /// The commit to take back
    commit: RefExpr,
    #[arg(short, long)]
    message: Option<String>,
}

impl Revert {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let branch = context::current_branch(&copy)?;
        let commit = copy.repo().resolve(&self.commit).await?.commit;
        let message = self.message.unwrap_or_else(|| format!("revert {}", commit.short()));
        let merged = copy
            .repo()
            .revert(&branch, commit, cx.commit_info("revert", message, Vec::new()))
            .await?;
        let before = format!("{}~1", commit.short());
        finish(cx, &copy, &branch, ("Reverted", &before), merged).await
    }
}
