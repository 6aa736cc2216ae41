//! `drumlin verify`.

use clap::Args;
use drumlin_model::{ErrorKind, Timestamp};
use serde_json::json;

use crate::{
    commands::online::{open, parse_time},
    context::Context,
    error::CommandError,
    ui::{BAD, GOOD, NAME, count, paint, plural},
};

/// Prove that the online store answers as the offline join does, for every key
///
/// Joins all keys of the store against the tables at the commit that the store was built from, and compares each
/// value, status and event time. Exits with 255 when anything differs.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin verify\n  drumlin verify weather\n  drumlin verify --now 2014-01-01T06:00:00Z"
)]
pub struct Verify {
    /// Feature views [default: all in the store]
    views: Vec<String>,
    /// The time of the comparison, not before the newest rows: the store keeps no older ones [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
}

impl Verify {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let engine = cx.engine(&copy)?;
        let now = self.now.unwrap_or_else(|| cx.clock.now());
        let views = open(&copy)?
            .verify(&engine, &self.views, now, &cx.ui.progress())
            .await?;
        let identical = views.iter().all(drumlin_features::online::Verified::is_identical);
        cx.ui.emit(&json!({ "identical": identical, "views": views }), |out| {
            for view in &views {
                let mark = if view.is_identical() {
                    paint(GOOD, "✓")
                } else {
                    paint(BAD, "✗")
                };
                let pushed = if view.pushed > 0 {
                    format!("; {} pushed", count(view.pushed))
                } else {
                    String::new()
                };
                let compared = format!("{}, {}{pushed}", plural(view.keys, "key"), plural(view.values, "value"));
                writeln!(
                    out,
                    "{mark} {:<24} {compared}; {} different, {} missing",
                    paint(NAME, &view.view),
                    count(view.different),
                    count(view.missing)
                )?;
                for mismatch in &view.mismatches {
                    let key = serde_json::to_string(&mismatch.key).expect("keys have only string names");
                    writeln!(
                        out,
                        "    {key} {}: online {}, offline {}",
                        mismatch.what, mismatch.online, mismatch.offline
                    )?;
                }
            }
            if identical {
                writeln!(out, "Online and offline are identical")
            } else {
                Ok(())
            }
        })?;
        if identical {
            return Ok(());
        }
        Err(CommandError::new(
            ErrorKind::Corrupt,
            "the online store answers differently from the tables",
        )
        .with_hint("drumlin online materialize --rebuild"))
    }
}
