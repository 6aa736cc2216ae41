//! `drumlin online`.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use clap::{Args, Subcommand};
use drumlin_features::{
    Registry,
    definition::ViewUse,
    online::{How, MaterializeRequest, Materialized, check_definitions, materialize},
};
use drumlin_model::{CommitId, RefExpr, Timestamp};
use drumlin_online::{Lookup, OwnedValue, Row, Serving, Value, exact_time};
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{FAINT, NAME, count, paint, plural},
};

/// Fill, read and write the online store
///
/// The newest row of each key, in `.drumlin/online`, readable by several processes at once. It is a view: delete it
/// and materialize again.
#[derive(Subcommand)]
pub enum Online {
    Materialize(Materialize),
    Get(Get),
    Push(Push),
    List(List),
}

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

/// Write rows straight into the online store, from JSON lines
///
/// Each line has the keys, the features and `event_time`; `"deleted": true` deletes the key. Older rows never replace
/// newer ones.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  echo '{\"origin\": \"JFK\", \"event_time\": \"2013-12-31T05:00:00Z\", \"temp\": 30.9}' | drumlin online push weather"
)]
pub struct Push {
    view: String,
}

/// List what the online store holds
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin online list")]
pub struct List {}

/// Rows read from stdin at most: more belong into a table.
const ROWS_MAX: usize = 100_000;
/// The most bytes read from stdin.
const STDIN_LEN_MAX: u64 = 256 << 20;

pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    exact_time(text)
        .ok_or_else(|| format!("{text:?} is not a time in whole microseconds, such as 2013-12-31T05:00:00Z"))
}

impl Online {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Online::Materialize(verb) => verb.run(cx).await,
            Online::Get(verb) => verb.run(cx).await,
            Online::Push(verb) => verb.run(cx).await,
            Online::List(verb) => verb.run(cx).await,
        }
    }
}

/// The online store of a working copy.
pub fn open(copy: &WorkingCopy) -> Result<Serving, CommandError> {
    Ok(Serving::open(&copy.layout().own().join("online"))?)
}

impl Materialize {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let engine = cx.engine(&copy)?;
        let request = MaterializeRequest {
            views: self.views,
            rebuild: self.rebuild,
            ..MaterializeRequest::default()
        };
        let (serving, now) = (open(&copy)?, cx.clock.now());
        let done = materialize(&serving, &engine, &snapshot, &request, now, &cx.ui.progress()).await?;
        let rows: Vec<_> = done.iter().map(materialized_json).collect();
        cx.ui.emit(&rows, |out| {
            writeln!(out, "Online store at {}", paint(NAME, snapshot.commit().short()))?;
            for view in &done {
                let about = format!(
                    "{}; read {}, stored {}",
                    how(view),
                    plural(view.rows_read, "row"),
                    count(view.rows_stored)
                );
                writeln!(
                    out,
                    "  {:<24} {:>10} keys  {}",
                    view.view,
                    count(view.keys),
                    paint(FAINT, about)
                )?;
            }
            Ok(())
        })
    }
}

fn materialized_json(view: &Materialized) -> serde_json::Value {
    json!({
        "view": view.view, "commit": view.commit, "how": view.how, "rows_read": view.rows_read,
        "rows_stored": view.rows_stored, "rows_skipped": view.rows_skipped, "keys": view.keys,
    })
}

fn how(view: &Materialized) -> &'static str {
    match view.how {
        How::Unchanged => "unchanged",
        How::Appended => "what was added",
        How::Full => "all",
        How::Removed => "removed",
    }
}

impl Get {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let head = context::snapshot(&copy, None).await?;
        let registry = Registry::load(&head).await?;
        let wants = match registry.service(&self.name) {
            Ok(service) => service.views.clone(),
            Err(no_service) => match registry.view(&self.name) {
                Ok(view) => vec![ViewUse::of(&view.name)],
                Err(_) => return Err(no_service.into()),
            },
        };
        let store = open(&copy)?;
        let mut lookup = store.prepare(&wants)?;
        check_definitions(&store, &registry, &wants)?;
        let rows = self.rows(&lookup)?;
        let values: Vec<Vec<Value<'_>>> = rows
            .iter()
            .map(|row| row.iter().map(OwnedValue::as_value).collect())
            .collect();
        let slices: Vec<&[Value<'_>]> = values.iter().map(Vec::as_slice).collect();
        let now = self.now.unwrap_or_else(|| cx.clock.now());
        let names: Vec<String> = lookup.keys().iter().map(|(name, _)| name.clone()).collect();
        let (answers, commits) = store.get(&mut lookup, &slices, now, |answers| {
            let rows = (0..answers.rows()).map(|row| answers.to_json(row));
            let commits = answers.commits().into_iter();
            let commits: BTreeMap<String, CommitId> = commits.map(|(view, commit)| (view.to_owned(), commit)).collect();
            (rows.collect::<Vec<_>>(), commits)
        })?;
        note_behind(cx, &commits, head.commit());
        let keyed = keyed(&names, &rows, &answers, &commits);
        cx.ui.emit(&keyed, |out| show(out, &names, &rows, &answers))
    }

    /// Rows of key values, in the order of the lookup's keys.
    fn rows(&self, lookup: &Lookup) -> Result<Vec<Vec<OwnedValue>>, CommandError> {
        if self.keys != ["-"] {
            let mut given = BTreeMap::new();
            for pair in &self.keys {
                let (name, value) = pair.split_once('=').ok_or_else(|| {
                    CommandError::invalid(format!("{pair:?} is not KEY=VALUE")).with_hint(self.example(lookup))
                })?;
                given.insert(name.to_owned(), value.into());
            }
            return Ok(vec![self.row(lookup, given)?]);
        }
        json_lines()?
            .into_iter()
            .map(|line| self.row(lookup, line.into_iter().collect()))
            .collect()
    }

    fn row(
        &self,
        lookup: &Lookup,
        mut given: BTreeMap<String, serde_json::Value>,
    ) -> Result<Vec<OwnedValue>, CommandError> {
        let mut row = Vec::new();
        for (name, kind) in lookup.keys() {
            let given = given.remove(name).ok_or_else(|| {
                CommandError::invalid(format!("{} needs a value for key {name:?}", self.name))
                    .with_hint(self.example(lookup))
            })?;
            let value = OwnedValue::from_json(name, *kind, &given).map_err(|_| {
                CommandError::invalid(format!("{given} is not a {kind}, the type of key {name:?}"))
                    .with_hint(self.example(lookup))
            })?;
            row.push(value);
        }
        match given.keys().next() {
            Some(name) => Err(CommandError::invalid(format!("{name:?} is not a key of {}", self.name))
                .with_hint(self.example(lookup))),
            None => Ok(row),
        }
    }

    fn example(&self, lookup: &Lookup) -> String {
        let keys: Vec<String> = lookup
            .keys()
            .iter()
            .map(|(name, kind)| format!("{name}=<{kind}>"))
            .collect();
        format!("drumlin online get {} {}", self.name, keys.join(" "))
    }
}

type Answer = BTreeMap<String, serde_json::Value>;

/// Says which views answer from another commit than the branch's.
fn note_behind(cx: &Context<'_>, commits: &BTreeMap<String, CommitId>, head: CommitId) {
    for (view, commit) in commits.iter().filter(|(_, commit)| **commit != head) {
        cx.ui.note(format!(
            "{view} answers from commit {}, and the branch is at {}: drumlin online materialize",
            commit.short(),
            head.short()
        ));
    }
}

fn keyed(
    names: &[String],
    rows: &[Vec<OwnedValue>],
    answers: &[Answer],
    commits: &BTreeMap<String, CommitId>,
) -> Vec<serde_json::Value> {
    let keyed = answers.iter().zip(rows).map(|(answer, row)| {
        let values = row.iter().map(|value| value.as_value().to_json());
        let keys: serde_json::Map<String, serde_json::Value> = names.iter().cloned().zip(values).collect();
        json!({ "keys": keys, "features": answer, "commit": commits })
    });
    keyed.collect()
}

fn show(out: &mut dyn Write, names: &[String], rows: &[Vec<OwnedValue>], answers: &[Answer]) -> std::io::Result<()> {
    for (answer, row) in answers.iter().zip(rows) {
        let keys: Vec<String> = names
            .iter()
            .zip(row)
            .map(|(name, value)| format!("{name}={}", value.as_value().to_json()))
            .collect();
        writeln!(out, "{}", paint(NAME, keys.join(" ")))?;
        for (name, value) in answer {
            let style = if name.contains("__status") || name.contains("__event_time") {
                FAINT
            } else {
                anstyle::Style::new()
            };
            writeln!(out, "  {}", paint(style, format!("{name:<36} {value}")))?;
        }
    }
    Ok(())
}

/// The objects on stdin, one a line.
fn json_lines() -> Result<Vec<serde_json::Map<String, serde_json::Value>>, CommandError> {
    let mut text = String::new();
    std::io::stdin()
        .take(STDIN_LEN_MAX)
        .read_to_string(&mut text)
        .map_err(|error| CommandError::io("cannot read rows from stdin", error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        serde_json::from_str(line).map_err(|error| {
            CommandError::invalid(format!("line {} of stdin is not a JSON object: {error}", at + 1))
                .with_hint("write one object a line: {\"key\": \"value\"}")
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    if rows.len() > ROWS_MAX {
        return Err(
            CommandError::invalid(format!("{} rows are more than {ROWS_MAX} at once", rows.len()))
                .with_hint("drumlin table append TABLE --from FILE, then drumlin online materialize"),
        );
    }
    Ok(rows)
}

impl Push {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let store = open(&copy)?;
        let state = store.view(&self.view)?;
        let rows = json_lines()?
            .iter()
            .map(|row| Row::from_json(&state, row))
            .collect::<Result<Vec<_>, _>>()?;
        let newer = store.push(&self.view, &rows, cx.clock.now())?;
        let value = json!({ "view": self.view, "rows": rows.len(), "newer": newer });
        cx.ui.emit(&value, |out| {
            writeln!(
                out,
                "Pushed {} to {}; {} newer than what was there",
                plural(rows.len() as u64, "row"),
                paint(NAME, &self.view),
                count(newer)
            )
        })
    }
}

impl List {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let views = open(&copy)?.views()?;
        let listed = views.iter().map(|view| {
            let mut json = serde_json::to_value(view).expect("a state has only string keys");
            json["commit"] = json!(view.watermark.commit);
            json
        });
        let listed: Vec<serde_json::Value> = listed.collect();
        cx.ui.emit(&listed, |out| {
            for view in &views {
                let about = format!("{} features, at {}", view.features.len(), view.watermark.commit.short());
                writeln!(out, "{:<24} {}", view.view, paint(FAINT, about))?;
            }
            Ok(())
        })
    }
}
