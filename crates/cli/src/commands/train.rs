//! `drumlin train`.

use clap::{Args, Subcommand};
use drumlin_asof::{KnownAt, OnNullTime};
use drumlin_features::{
    definition::ViewUse,
    training::{self, Create as Wanted, Features, Options, SetAt, SpineSource, TrainingSet},
};
use drumlin_model::{RefExpr, Timestamp};
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{BAD, FAINT, GOOD, NAME, count, paint, plural},
};

/// Make, rebuild and compare training sets
///
/// A training set is a spine (rows with keys and a time) completed with features as of each row's own time, stored as
/// Parquet at `training/NAME` and pinned by commit, definitions, spine and options.
#[derive(Subcommand)]
pub enum Train {
    Create(Create),
    List(List),
    Show(Show),
    Rebuild(Rebuild),
    Diff(Diff),
}

/// Make a training set
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin train create delays --spine flights --time time_hour --service departure_delay\n  drumlin train create june --spine \"SELECT * FROM flights WHERE month = 6\" --time time_hour --views weather,planes\n  drumlin train create delays --spine flights --time time_hour --service departure_delay --at v1 --with-status"
)]
pub struct Create {
    name: String,
    /// A table, or a query that begins with SELECT or WITH
    #[arg(long, value_name = "TABLE | QUERY")]
    spine: String,
    /// The spine's column that says when each row asks
    #[arg(long, value_name = "COLUMN")]
    time: String,
    /// The feature service that names the features
    #[arg(long, conflicts_with = "views", required_unless_present = "views")]
    service: Option<String>,
    /// Feature views, all features of each
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',')]
    views: Vec<String>,
    /// The version that pins definitions, data and spine [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
    /// Leave out what was not known then: none, row (at each row's own time), a time (RFC 3339) or a REF
    #[arg(long, value_name = "none|row|TIME|REF", default_value = "none")]
    known_at: String,
    /// Keep spine rows without a time, with null features
    #[arg(long)]
    keep_null_times: bool,
    /// Add `VIEW__status` columns: PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, DELETED
    #[arg(long)]
    with_status: bool,
    /// Add `VIEW__event_time` columns
    #[arg(long)]
    with_event_time: bool,
    /// Replace a set of that name
    #[arg(long)]
    replace: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// List the training sets
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin train list\n  drumlin train list --at v1")]
pub struct List {
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Show what a training set is and was made from
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin train show delays")]
pub struct Show {
    name: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

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

/// Compare two training sets: definitions, rows, values
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin train diff delays@main delays@fix-weather\n  drumlin train diff delays delays-2"
)]
pub struct Diff {
    /// NAME, or NAME@REF
    before: String,
    /// NAME, or NAME@REF
    after: String,
}

impl Train {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Train::Create(verb) => verb.run(cx).await,
            Train::List(verb) => verb.run(cx).await,
            Train::Show(verb) => verb.run(cx).await,
            Train::Rebuild(verb) => verb.run(cx).await,
            Train::Diff(verb) => verb.run(cx).await,
        }
    }
}

impl Create {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let branch = context::current_branch(&copy)?;
        let at = context::snapshot(&copy, self.at.as_ref()).await?;
        let first = self.spine.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        let spine = match first.as_str() {
            "select" | "with" => SpineSource::Sql(self.spine.clone()),
            _ => SpineSource::Table(self.spine.clone()),
        };
        let features = match self.service {
            Some(service) => Features::Service(service),
            None => Features::Views(self.views.into_iter().map(ViewUse::of).collect()),
        };
        let options = Options {
            known_at: known_at(&copy, &self.known_at).await?,
            on_null_time: if self.keep_null_times {
                OnNullTime::Keep
            } else {
                OnNullTime::Error
            },
            with_status: self.with_status,
            with_event_time: self.with_event_time,
            ..Options::new(self.time)
        };
        let wanted = Wanted {
            branch,
            name: self.name,
            spine,
            spine_at: at.clone(),
            features,
            at,
            options,
            replace: self.replace,
            message: self.message,
        };
        let by = cx.by();
        let created = training::create(&cx.engine(&copy)?, wanted, by, &cx.ui.progress()).await?;
        copy.follow(&cx.ui.progress()).await?;
        for notice in &created.notices {
            cx.ui.warn(notice);
        }
        let value = json!({ "set": created.set, "commit": created.commit, "notices": created.notices });
        cx.ui.emit(&value, |out| {
            print_set(out, &created.set)?;
            match created.commit {
                Some(commit) => writeln!(out, "written as {}", paint(NAME, commit.short())),
                None => writeln!(out, "already there, with the same id"),
            }
        })
    }
}

async fn known_at(copy: &drumlin_worktree::WorkingCopy, text: &str) -> Result<KnownAt, CommandError> {
    Ok(match text {
        "none" => KnownAt::None,
        "row" => KnownAt::Row,
        other => match Timestamp::parse_rfc3339(other) {
            Some(time) => KnownAt::Time(time),
            None => {
                let commit = context::resolve(copy.repo(), other).await?.commit;
                KnownAt::Time(copy.repo().commit(commit).await?.time)
            }
        },
    })
}

impl List {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let sets = training::list(&context::snapshot(&copy, self.at.as_ref()).await?).await?;
        cx.ui.emit(&sets, |out| {
            for set in &sets {
                let short = |text: &str| text.chars().take(12).collect::<String>();
                let pinned = format!("content {} at {}", short(&set.content), set.commit.short());
                writeln!(
                    out,
                    "{:<24} {:>12} rows  {}",
                    paint(NAME, &set.name),
                    count(set.rows),
                    paint(FAINT, pinned)
                )?;
            }
            Ok(())
        })
    }
}

impl Show {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let set = training::show(&context::snapshot(&copy, self.at.as_ref()).await?, &self.name).await?;
        cx.ui.emit(&set, |out| {
            print_set(out, &set)?;
            for column in &set.schema {
                let nulls = if column.nulls > 0 {
                    format!("{} null", count(column.nulls))
                } else {
                    String::new()
                };
                writeln!(
                    out,
                    "  {:<32} {:<12} {}",
                    column.name,
                    column.data_type,
                    paint(FAINT, nulls)
                )?;
            }
            Ok(())
        })
    }
}

impl Rebuild {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let set = SetAt {
            at: &snapshot,
            name: &self.name,
        };
        let rebuilt = training::rebuild(&cx.engine(&copy)?, set, &cx.ui.progress()).await?;
        let value = json!({
            "name": self.name, "recorded": rebuilt.recorded.content, "rebuilt": rebuilt.content,
            "rows": rebuilt.rows, "altered": rebuilt.altered, "equal": rebuilt.equal,
        });
        cx.ui.emit(&value, |out| {
            writeln!(
                out,
                "recorded  {}\nrebuilt   {}",
                rebuilt.recorded.content, rebuilt.content
            )?;
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
        if rebuilt.equal {
            return Ok(());
        }
        let message = format!("training set {} did not come out as it was recorded", self.name);
        Err(CommandError::new(drumlin_model::ErrorKind::Precondition, message).with_hint("drumlin fsck"))
    }
}

impl Diff {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let engine = cx.engine(&copy)?;
        let (before, after) = (named(&copy, &self.before).await?, named(&copy, &self.after).await?);
        let [old, new] = [&before, &after].map(|(at, name)| SetAt { at, name });
        let diff = training::diff(&engine, old, new, &cx.ui.progress()).await?;
        cx.ui.emit(&diff, |out| {
            if diff.same_content {
                return writeln!(out, "{} and {} have the same bytes", self.before, self.after);
            }
            for definition in &diff.definitions {
                writeln!(out, "definition of {}", paint(NAME, &definition.view))?;
                for field in definition.fields.iter().flatten() {
                    let show = |value: &Option<serde_json::Value>| {
                        value.as_ref().map_or("none".to_owned(), ToString::to_string)
                    };
                    writeln!(
                        out,
                        "    {}: {} → {}",
                        field.field,
                        show(&field.before),
                        show(&field.after)
                    )?;
                }
            }
            let rows = format!(
                "+{} -{} rows, {} changed of {} in both",
                count(diff.rows_added),
                count(diff.rows_removed),
                count(diff.rows_changed),
                count(diff.rows_common)
            );
            writeln!(out, "{rows}")?;
            for column in &diff.columns {
                let what = match (column.in_before, column.in_after) {
                    (true, true) => format!("{} differ", plural(column.rows_changed, "row")),
                    (true, false) => "only in the first".to_owned(),
                    _ => "only in the second".to_owned(),
                };
                writeln!(out, "  {:<32} {what}", column.column)?;
            }
            Ok(())
        })
    }
}

/// `NAME` at the current branch, or `NAME@REF`.
async fn named(
    copy: &drumlin_worktree::WorkingCopy,
    text: &str,
) -> Result<(drumlin_repo::Snapshot, String), CommandError> {
    let (name, at) = match text.rsplit_once('@') {
        Some((name, at)) => (name, Some(at.parse::<RefExpr>()?)),
        None => (text, None),
    };
    Ok((context::snapshot(copy, at.as_ref()).await?, name.to_owned()))
}

fn print_set(out: &mut dyn std::io::Write, set: &TrainingSet) -> std::io::Result<()> {
    writeln!(out, "training set {}: {} rows", paint(NAME, &set.name), count(set.rows))?;
    writeln!(out, "id        {}", set.id)?;
    writeln!(out, "content   {}", set.content)?;
    writeln!(out, "pinned at {}", set.commit)?;
    for (view, counts) in &set.counts.views {
        let statuses: Vec<String> = counts
            .statuses
            .iter()
            .map(|(status, rows)| format!("{status} {}", count(*rows)))
            .collect();
        writeln!(out, "  {:<18} {}", paint(NAME, view), paint(FAINT, statuses.join(", ")))?;
    }
    Ok(())
}
