//! `drumlin online push`.

use clap::Args;
use drumlin_verbs::OnlinePushRequest;

use super::stdin::json_lines;
use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, count, paint, plural},
};

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

impl Push {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let desk = cx.desk().await?;
        let request = OnlinePushRequest {
            view: self.view,
            rows: json_lines()?,
        };
        let pushed = desk.online_push(request).await?;
        cx.ui.emit(&pushed, |out| {
            let (rows, view, newer) = (
                plural(pushed.rows, "row"),
                paint(NAME, &pushed.view),
                count(pushed.newer),
            );
            writeln!(out, "Pushed {rows} to {view}; {newer} newer than what was there")
        })
    }
}
