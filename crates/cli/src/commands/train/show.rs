//! `drumlin train show`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TrainShowRequest;

use super::set::print_set;
use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, count, paint},
};

/// Show what a training set is and was made from
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin train show delays")]
pub struct Show {
    name: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl Show {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TrainShowRequest {
            name: self.name,
            at: self.at,
        };
        let set = cx.desk().await?.train_show(request).await?;
        cx.ui.emit(&set, |out| {
            print_set(out, &set)?;
            for column in &set.schema {
                let nulls = match column.nulls {
                    0 => String::new(),
                    nulls => format!("{} null", count(nulls)),
                };
                let (name, kind) = (&column.name, &column.data_type);
                writeln!(out, "  {name:<32} {kind:<12} {}", paint(FAINT, nulls))?;
            }
            Ok(())
        })
    }
}
