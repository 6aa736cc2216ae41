//! `drumlin train list`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TrainListRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, count, paint},
};

/// How much of a hash is shown.
const HASH_SHOWN_LEN: usize = 12;

/// List the training sets
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin train list\n  drumlin train list --at v1")]
pub struct List {
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl List {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let sets = cx.desk().await?.train_list(TrainListRequest { at: self.at }).await?;
        cx.ui.emit(&sets, |out| {
            for set in &sets {
                let content: String = set.content.chars().take(HASH_SHOWN_LEN).collect();
                let pinned = paint(FAINT, format!("content {content} at {}", set.commit.short()));
                let (name, rows) = (paint(NAME, &set.name), count(set.rows));
                writeln!(out, "{name:<24} {rows:>12} rows  {pinned}")?;
            }
            Ok(())
        })
    }
}
