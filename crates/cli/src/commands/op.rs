//! `drumlin op`.

use clap::Subcommand;
use drumlin_verbs::{OP_LOG_LIMIT_DEFAULT, OpLogRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Look at the operations that moved branches and tags
#[derive(Subcommand)]
pub enum Op {
    /// List the operations, newest first
    #[command(after_help = "Examples:\n  drumlin op log\n  drumlin op log -n 100 --json")]
    Log {
        #[arg(short = 'n', long, default_value_t = OP_LOG_LIMIT_DEFAULT)]
        limit: usize,
    },
}

impl Op {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let Op::Log { limit } = self;
        let operations = cx.desk().await?.op_log(OpLogRequest { limit }).await?;
        cx.ui.emit(&operations, |out| {
            for operation in &operations {
                writeln!(out, "{}  {}", paint(NAME, operation.id), operation.summary)?;
                writeln!(
                    out,
                    "    {}",
                    paint(
                        FAINT,
                        format!("{} · {} · {}", operation.time, operation.actor, operation.verb)
                    )
                )?;
            }
            Ok(())
        })
    }
}
