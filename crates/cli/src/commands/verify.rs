//! `drumlin verify`.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::Timestamp;
use drumlin_verbs::{VerifiedView, VerifyAnswer, VerifyRequest, parse_time};

use crate::{
    context::Context,
    error::CommandError,
    ui::{BAD, GOOD, NAME, count, paint, plural},
};

/// Prove that the online store answers as the offline join does, for every key
///
/// Joins all keys of the store against the tables at the commit that the store was built from, and compares each
/// value, status and event time. Exits with 255 when anything differs,
/// and with 1 when some keys cannot be asked at the given time.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin verify\n  drumlin verify weather\n  drumlin verify --now 2014-01-01T06:00:00Z"
)]
pub struct Verify {
    /// Feature views [default: all in the store]
    views: Vec<String>,
    /// The time of the comparison; keys whose answers then are not kept cannot be asked [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
}

impl Verify {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = VerifyRequest {
            views: self.views,
            now: self.now,
        };
        let verified = cx.desk().await?.verify(request).await?;
        note(cx, &verified);
        cx.ui.emit(&verified, |out| {
            verified.views.iter().try_for_each(|view| print(out, view))?;
            match verified.identical {
                true => writeln!(out, "Online and offline are identical"),
                false => Ok(()),
            }
        })?;
        Ok(verified.verdict()?)
    }
}

/// Says what of the branch is not in the store.
fn note(cx: &Context<'_>, verified: &VerifyAnswer) {
    for view in &verified.absent {
        cx.ui.note(format!(
            "{view} is online and not in the store, so nothing of it is compared: drumlin online materialize"
        ));
    }
    let head = verified.head.short();
    for view in &verified.behind {
        cx.ui.note(format!(
            "{view} is not at the branch's commit {head}: drumlin online materialize"
        ));
    }
}

fn print(out: &mut dyn Write, view: &VerifiedView) -> io::Result<()> {
    let mark = if view.is_identical() {
        paint(GOOD, "✓")
    } else {
        paint(BAD, "✗")
    };
    let some = |number: u64, what: &str| match number {
        0 => String::new(),
        number => format!("; {} {what}", count(number)),
    };
    writeln!(
        out,
        "{mark} {:<24} at {}: {}, {}{}{}; {} different, {} missing",
        paint(NAME, &view.view),
        view.commit.short(),
        plural(view.keys, "key"),
        plural(view.values, "value"),
        some(view.pushed, "pushed"),
        some(view.unanswered, "cannot be asked at this time"),
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
    Ok(())
}
