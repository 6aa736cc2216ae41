//! `drumlin online list`.

use clap::Args;
use drumlin_verbs::OnlineListRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, paint},
};

/// List what the online store holds
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin online list")]
pub struct List {}

impl List {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let views = cx.desk().await?.online_list(OnlineListRequest {}).await?;
        cx.ui.emit(&views, |out| {
            for view in &views {
                let about = format!("{} features, at {}", view.features.len(), view.commit.short());
                writeln!(out, "{:<24} {}", view.view, paint(FAINT, about))?;
            }
            Ok(())
        })
    }
}
