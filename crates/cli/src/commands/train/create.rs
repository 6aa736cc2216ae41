//! `drumlin train create`.

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::TrainCreateRequest;

use super::set::print_set;
use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint},
};

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

impl Create {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TrainCreateRequest {
            name: self.name,
            spine: self.spine,
            time: self.time,
            service: self.service,
            views: self.views,
            at: self.at,
            known_at: self.known_at,
            keep_null_times: self.keep_null_times,
            with_status: self.with_status,
            with_event_time: self.with_event_time,
            replace: self.replace,
            message: self.message,
        };
        let created = cx.desk().await?.train_create(request).await?;
        for notice in &created.notices {
            cx.ui.warn(notice);
        }
        cx.ui.emit(&created, |out| {
            print_set(out, &created.set)?;
            match created.commit {
                Some(commit) => writeln!(out, "written as {}", paint(NAME, commit.short())),
                None => writeln!(out, "already there, with the same id"),
            }
        })
    }
}
