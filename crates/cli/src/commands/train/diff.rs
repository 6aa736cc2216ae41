//! `drumlin train diff`.

use std::io::{self, Write};

use clap::Args;
use drumlin_verbs::{Named, TrainDiffAnswer, TrainDiffRequest};
use serde_json::Value;

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, count, paint, plural},
};

/// Compare two training sets: definitions, rows, values
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin train diff delays@main delays@fix-weather\n  drumlin train diff delays delays-2"
)]
pub struct Diff {
    /// NAME, or NAME@REF
    before: Named,
    /// NAME, or NAME@REF
    after: Named,
}

impl Diff {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let names = (self.before.to_string(), self.after.to_string());
        let request = TrainDiffRequest {
            before: self.before,
            after: self.after,
        };
        let diff = cx.desk().await?.train_diff(request).await?;
        cx.ui.emit(&diff, |out| match diff.same_content {
            true => writeln!(out, "{} and {} have the same bytes", names.0, names.1),
            false => print(out, &diff),
        })
    }
}

fn print(out: &mut dyn Write, diff: &TrainDiffAnswer) -> io::Result<()> {
    let shown = |value: &Option<Value>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
    for definition in &diff.definitions {
        writeln!(out, "definition of {}", paint(NAME, &definition.view))?;
        for field in definition.fields.iter().flatten() {
            let (before, after) = (shown(&field.before), shown(&field.after));
            writeln!(out, "    {}: {before} → {after}", field.field)?;
        }
    }
    writeln!(
        out,
        "+{} -{} rows, {} changed of {} in both",
        count(diff.rows_added),
        count(diff.rows_removed),
        count(diff.rows_changed),
        count(diff.rows_common)
    )?;
    for column in &diff.columns {
        let what = match (column.in_before, column.in_after) {
            (true, true) => format!("{} differ", plural(column.rows_changed, "row")),
            (true, false) => "only in the first".to_owned(),
            _ => "only in the second".to_owned(),
        };
        writeln!(out, "  {:<32} {what}", column.column)?;
    }
    Ok(())
}
