//! `drumlin table history`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TableHistoryRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Show the commits that changed a table, newest first
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table history flights -n 5")]
pub struct History {
    table: String,
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Where to start [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl History {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableHistoryRequest {
            table: self.table,
            limit: Some(self.limit),
            at: self.at,
        };
        let changes = cx.desk().await?.table_history(request).await?;
        cx.ui.emit(&changes, |out| {
            for change in &changes {
                let version = change
                    .version
                    .map_or("gone".to_owned(), |version| format!("v{version}"));
                let commit = paint(NAME, change.commit.short());
                writeln!(out, "{commit}  {version:<5} {}", change.message)?;
                let about = format!("{} · {} · {}", change.time, change.actor, change.verb);
                writeln!(out, "              {}", paint(FAINT, about))?;
            }
            Ok(())
        })
    }
}
