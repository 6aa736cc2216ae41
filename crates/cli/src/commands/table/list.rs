//! `drumlin table list`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TableListRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, bytes, count, paint},
};

/// List the tables
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table list\n  drumlin table list --at v1")]
pub struct List {
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl List {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let tables = cx.desk().await?.table_list(TableListRequest { at: self.at }).await?;
        cx.ui.emit(&tables, |out| {
            for table in &tables {
                let about = format!("{}, version {}", bytes(table.bytes), table.version);
                let (rows, about) = (count(table.rows), paint(FAINT, about));
                writeln!(out, "{:<24} {rows:>14} rows  {about}", table.name)?;
            }
            Ok(())
        })
    }
}
