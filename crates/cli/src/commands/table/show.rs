//! `drumlin table show`.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::RefExpr;
use drumlin_verbs::{TableShowAnswer, TableShowRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{BOLD, NAME, bytes, count, paint, plural},
};

/// Show a table's columns, rows and size
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table show flights\n  drumlin table show flights --at v1")]
pub struct Show {
    table: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl Show {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = TableShowRequest {
            table: self.table,
            at: self.at,
        };
        let shown = cx.desk().await?.table_show(request).await?;
        cx.ui.emit(&shown, |out| print(out, &shown))
    }
}

fn print(out: &mut dyn Write, shown: &TableShowAnswer) -> io::Result<()> {
    let table = &shown.table;
    writeln!(out, "{} at {}", paint(NAME, &table.path), shown.commit.short())?;
    let (rows, size, files) = (count(table.rows), bytes(table.bytes), plural(shown.files, "file"));
    writeln!(out, "{rows} rows, {size}, {files}, version {}", table.version)?;
    if !table.key.is_empty() {
        writeln!(out, "row key: {}", table.key.join(", "))?;
    }
    writeln!(out, "{}", paint(BOLD, "columns"))?;
    for column in &shown.columns {
        writeln!(out, "  {:<24} {}", column.name, column.data_type)?;
    }
    Ok(())
}
