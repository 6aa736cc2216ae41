//! `drumlin online materialize`.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::{MaterializedHow, MaterializedRow, OnlineMaterializeRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, count, paint, plural},
};

/// Bring the online store to a commit
///
/// Reads only what was added since the last time where that is enough. Late rows arrive whenever they are newer than
/// what is there.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin online materialize\n  drumlin online materialize weather carrier_delays\n  drumlin online materialize --rebuild"
)]
pub struct Materialize {
    /// Feature views [default: all with `online: true`]
    views: Vec<String>,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
    /// Build anew, even where adding would do
    #[arg(long)]
    rebuild: bool,
}

impl Materialize {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = OnlineMaterializeRequest {
            views: self.views,
            at: self.at,
            rebuild: self.rebuild,
        };
        let done = cx.desk().await?.online_materialize(request).await?;
        cx.ui.emit(&done, |out| print(out, &done))
    }
}

fn print(out: &mut dyn Write, done: &[MaterializedRow]) -> io::Result<()> {
    let Some(first) = done.first() else {
        return writeln!(out, "No feature view is online");
    };
    writeln!(out, "Online store at {}", paint(NAME, first.commit.short()))?;
    for view in done {
        let (how, read, stored) = (how(view.how), plural(view.rows_read, "row"), count(view.rows_stored));
        let about = paint(FAINT, format!("{how}; read {read}, stored {stored}"));
        let keys = count(view.keys);
        writeln!(out, "  {:<24} {keys:>10} keys  {about}", view.view)?;
    }
    Ok(())
}

fn how(how: MaterializedHow) -> &'static str {
    match how {
        MaterializedHow::Unchanged => "unchanged",
        MaterializedHow::Appended => "what was added",
        MaterializedHow::Full => "all",
        MaterializedHow::Removed => "removed",
    }
}
