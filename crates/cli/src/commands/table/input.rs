//! `Input`: the words that say which file a table's rows come from, and how it is read.

use clap::Args;
use drumlin_verbs::{ColumnType, FileFormat, RowsFrom};

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

impl Input {
    pub fn rows(self) -> RowsFrom {
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
