//! `drumlin online get`.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::Timestamp;
use drumlin_verbs::{OnlineGetRequest, OnlineRow, parse_time};
use serde_json::{Map, Value};

use super::stdin::json_lines;
use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Look up features by key
///
/// Each view answers with a status: PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE or DELETED.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin online get departure_delay origin=JFK tailnum=N14228 carrier=UA\n  drumlin online get weather origin=JFK --json\n  echo '{\"carrier\": \"UA\"}' | drumlin online get carrier_delays -"
)]
pub struct Get {
    /// A feature service, or a feature view
    name: String,
    /// KEY=VALUE of one row, nothing for a view without keys; - reads rows as JSON lines from stdin
    #[arg(value_name = "KEY=VALUE | -")]
    keys: Vec<String>,
    /// The time to answer for; an error when the store does not keep what answered then [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
}

impl Get {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let keys = match self.keys.as_slice() {
            [dash] if dash == "-" => json_lines()?,
            pairs => vec![row(pairs)?],
        };
        let request = OnlineGetRequest {
            name: self.name,
            keys,
            now: self.now,
        };
        let answers = cx.desk().await?.online_get(request).await?;
        if let Some(answer) = answers.first() {
            note_behind(cx, answer);
        }
        cx.ui
            .emit(&answers, |out| answers.iter().try_for_each(|answer| print(out, answer)))
    }
}

/// The keys of one row, as texts.
fn row(pairs: &[String]) -> Result<Map<String, Value>, CommandError> {
    let pair = |pair: &String| match pair.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Value::from(value))),
        None => Err(CommandError::invalid(format!("{pair:?} is not KEY=VALUE"))
            .with_hint("write the name of a key, =, and its value, such as origin=JFK")),
    };
    pairs.iter().map(pair).collect()
}

/// Says which views answer from another commit than the branch's.
fn note_behind(cx: &Context<'_>, answer: &OnlineRow) {
    let head = answer.head;
    for (view, commit) in answer.commit.iter().filter(|(_, commit)| **commit != head) {
        cx.ui.note(format!(
            "{view} answers from commit {}, and the branch is at {}: drumlin online materialize",
            commit.short(),
            head.short()
        ));
    }
}

fn print(out: &mut dyn Write, answer: &OnlineRow) -> io::Result<()> {
    let keys = answer.keys.iter();
    let keys: Vec<String> = keys.map(|(name, value)| format!("{name}={value}")).collect();
    writeln!(out, "{}", paint(NAME, keys.join(" ")))?;
    for (name, value) in &answer.features {
        let style = if name.contains("__status") || name.contains("__event_time") {
            FAINT
        } else {
            anstyle::Style::new()
        };
        writeln!(out, "  {}", paint(style, format!("{name:<36} {value}")))?;
    }
    Ok(())
}
