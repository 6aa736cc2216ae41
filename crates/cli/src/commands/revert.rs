//! `drumlin revert`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::RevertRequest;

use crate::{commands::merge::print, context::Context, error::CommandError};

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
        let request = RevertRequest {
            commit: self.commit,
            message: self.message,
        };
        let merged = cx.desk().await?.revert(request).await?;
        print(cx, "Reverted", &merged)
    }
}
