//! `drumlin verify`.

use std::io::Write;

use clap::Args;
use drumlin_features::{
    Registry,
    online::{Verified, verify},
};
use drumlin_model::{CommitId, ErrorKind, Timestamp};
use drumlin_online::ViewState;
use serde_json::json;

use crate::{
    commands::online::{open, parse_time},
    context::{self, Context},
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
        let copy = cx.working_copy().await?;
        let engine = cx.engine(&copy)?;
        let now = self.now.unwrap_or_else(|| cx.clock.now());
        let store = open(&copy)?;
        let head = context::snapshot(&copy, None).await?;
        let registry = Registry::load(&head).await?;
        let lag = Lag::of(&registry, &store.views()?, head.commit());
        lag.note(cx);
        let views = verify(&store, &engine, &self.views, now, &cx.ui.progress()).await?;
        let identical = views.iter().all(Verified::is_identical);
        let json = json!({
            "identical": identical, "views": views, "head": head.commit(), "absent": lag.absent, "behind": lag.behind,
        });
        cx.ui.emit(&json, |out| {
            views.iter().try_for_each(|view| show(out, view))?;
            if identical {
                writeln!(out, "Online and offline are identical")
            } else {
                Ok(())
            }
        })?;
        outcome(&views)
    }
}

/// What of the branch is not in the store.
struct Lag {
    /// Views that are `online: true` and not there.
    absent: Vec<String>,
    /// Views that are at another commit than the branch.
    behind: Vec<String>,
    head: CommitId,
}

impl Lag {
    fn of(registry: &Registry, states: &[ViewState], head: CommitId) -> Lag {
        let online = registry.views().filter(|view| view.online);
        let absent = online.filter(|view| !states.iter().any(|state| state.view == view.name));
        let behind = states.iter().filter(|state| state.watermark.commit != head);
        Lag {
            absent: absent.map(|view| view.name.clone()).collect(),
            behind: behind.map(|state| state.view.clone()).collect(),
            head,
        }
    }

    fn note(&self, cx: &Context<'_>) {
        for view in &self.absent {
            cx.ui.note(format!(
                "{view} is online and not in the store, so nothing of it is compared: drumlin online materialize"
            ));
        }
        for view in &self.behind {
            cx.ui.note(format!(
                "{view} is not at the branch's commit {}: drumlin online materialize",
                self.head.short()
            ));
        }
    }
}

fn show(out: &mut dyn Write, view: &Verified) -> std::io::Result<()> {
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

/// A difference is a fault of the store; a key that cannot be asked is one of the question.
fn outcome(views: &[Verified]) -> Result<(), CommandError> {
    if views.iter().any(|view| view.different > 0 || view.missing > 0) {
        let message = "the online store answers differently from the tables";
        return Err(CommandError::new(ErrorKind::Corrupt, message).with_hint("drumlin online materialize --rebuild"));
    }
    let unanswered: u64 = views.iter().map(|view| view.unanswered).sum();
    match views.iter().filter_map(|view| view.answers_from).max() {
        None => Ok(()),
        Some(from) => Err(CommandError::new(
            ErrorKind::Precondition,
            format!(
                "{} cannot be asked at this time; from {from} on all can",
                plural(unanswered, "key")
            ),
        )
        .with_hint(format!("drumlin verify --now {from}"))),
    }
}
