//! `drumlin cherry-pick`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::CherryPickRequest;

use crate::{commands::merge::print, context::Context, error::CommandError};

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
        let request = CherryPickRequest {
            commit: self.commit,
            message: self.message,
        };
        let merged = cx.desk().await?.cherry_pick(request).await?;
        print(cx, "Picked", &merged)
    }
}
