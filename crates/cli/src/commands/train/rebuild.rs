//! `drumlin train rebuild`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TrainRebuildRequest;

use crate::{
    context::Context,
    error::CommandError,
    ui::{BAD, GOOD, paint, plural},
};

/// Build a training set again from what pins it, and compare the bytes
///
/// Nothing is written. Exits with 1 when the content differs.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin train rebuild delays\n  drumlin train rebuild delays --at v1")]
pub struct Rebuild {
    name: String,
    /// The version that holds the set [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl Rebuild {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TrainRebuildRequest {
            name: self.name,
            at: self.at,
        };
        let rebuilt = cx.desk().await?.train_rebuild(request).await?;
        cx.ui.emit(&rebuilt, |out| {
            writeln!(out, "recorded  {}\nrebuilt   {}", rebuilt.recorded, rebuilt.rebuilt)?;
            let verdict = if rebuilt.equal {
                paint(GOOD, "the same bytes")
            } else {
                paint(BAD, "other bytes")
            };
            writeln!(out, "{}: {verdict}", plural(rebuilt.rows, "row"))?;
            for part in &rebuilt.altered {
                writeln!(out, "{} is not what the record says", paint(BAD, part))?;
            }
            Ok(())
        })?;
        Ok(rebuilt.verdict()?)
    }
}
