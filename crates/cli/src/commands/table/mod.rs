//! `drumlin table`: a file for each verb; here are the words for a file of rows, and what a write did.

mod append;
mod create;
mod delete;
mod history;
mod list;
mod overwrite;
mod show;
mod upsert;

use std::io::{self, Write};

use clap::{Args, Subcommand};
use drumlin_verbs::{ColumnType, FileFormat, RowsFrom, TableWriteAnswer};

use crate::{
    context::Context,
    error::CommandError,
    ui::{NAME, paint, plural},
};

/// Make, change and look at tables
///
/// A table is a Delta table in the repository, at `tables/NAME`. Each verb that writes is one commit.
#[derive(Subcommand)]
pub enum Table {
    Create(create::Create),
    Append(append::Append),
    Overwrite(overwrite::Overwrite),
    Upsert(upsert::Upsert),
    Delete(delete::Delete),
    List(list::List),
    Show(show::Show),
    History(history::History),
}

/// Which file, and how it is read.
#[derive(Args)]
pub struct Input {
    /// A CSV, JSON lines or Parquet file; PATH@REF takes it from a version of the repository
    #[arg(long, value_name = "FILE")]
    from: String,
    /// What the file is [default: by its ending]
    #[arg(long, value_name = "csv|jsonl|parquet")]
    format: Option<FileFormat>,
    /// The type of a column; the others are inferred from the whole file
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = parse_type)]
    types: Vec<(String, ColumnType)>,
    /// A CSV field that means "no value" [default: empty and NA]
    #[arg(long = "null", value_name = "TEXT")]
    nulls: Vec<String>,
    /// The character between CSV fields
    #[arg(long, default_value = ",", value_parser = parse_delimiter)]
    delimiter: char,
    /// The CSV's first line holds values, not names
    #[arg(long)]
    no_header: bool,
}

impl Table {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Table::Create(verb) => verb.run(cx).await,
            Table::Append(verb) => verb.run(cx).await,
            Table::Overwrite(verb) => verb.run(cx).await,
            Table::Upsert(verb) => verb.run(cx).await,
            Table::Delete(verb) => verb.run(cx).await,
            Table::List(verb) => verb.run(cx).await,
            Table::Show(verb) => verb.run(cx).await,
            Table::History(verb) => verb.run(cx).await,
        }
    }
}

impl Input {
    fn rows(self) -> RowsFrom {
        RowsFrom {
            from: self.from,
            format: self.format,
            // Of a column that is named twice, the first type counts.
            types: self.types.into_iter().rev().collect(),
            nulls: self.nulls,
            delimiter: Some(self.delimiter),
            no_header: self.no_header,
        }
    }
}

fn parse_type(text: &str) -> Result<(String, ColumnType), String> {
    let (column, kind) = text.split_once('=').ok_or("write COLUMN=TYPE, such as seats=int32")?;
    let kind = kind.parse::<ColumnType>().map_err(|error| error.to_string())?;
    Ok((column.to_owned(), kind))
}

fn parse_delimiter(text: &str) -> Result<char, String> {
    match text.as_bytes() {
        [byte] => Ok(char::from(*byte)),
        b"\\t" => Ok('\t'),
        _ => Err("a delimiter is one character, or \\t".into()),
    }
}

/// What a write did to a table.
fn print_written(out: &mut dyn Write, written: &TableWriteAnswer) -> io::Result<()> {
    let table = paint(NAME, &written.table);
    let Some(commit) = written.commit else {
        return writeln!(out, "{table}: nothing to do");
    };
    let rows = [
        (written.rows_added, "added"),
        (written.rows_updated, "updated"),
        (written.rows_deleted, "deleted"),
    ];
    let some = rows.iter().filter(|(rows, _)| *rows > 0);
    let some: Vec<String> = some
        .map(|(rows, did)| format!("{} {did}", plural(*rows, "row")))
        .collect();
    let rows = if some.is_empty() {
        "no rows".to_owned()
    } else {
        some.join(", ")
    };
    let commit = paint(NAME, commit.short());
    writeln!(out, "{table}: {rows}; version {} as {commit}", written.version)
}
