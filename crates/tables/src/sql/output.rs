//! Rows for people and programs: a table with types, CSV, JSON lines, Parquet. All stream but the table, which is cut short.
//! The command line gives the place to write to.

use std::io::Write;

use arrow::{
    array::{Array, RecordBatch},
    csv::WriterBuilder as CsvWriterBuilder,
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
    json::{LineDelimitedWriter, WriterBuilder as JsonWriterBuilder, writer::LineDelimited},
    util::display::{ArrayFormatter, FormatOptions},
};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use datafusion::execution::SendableRecordBatchStream;
use drumlin_chunks::{Progress, Task, Unit};
use futures::StreamExt;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use crate::{
    engine::Engine,
    error::{Error, Result},
    types::type_name,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// For people: at most this many rows.
    Table {
        rows_max: usize,
    },
    Csv,
    JsonLines,
    Parquet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsWritten {
    pub rows: u64,
    /// Whether there were more rows than a table may show.
    pub more: bool,
}

/// Writes the rows of a running query.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn write_rows(
    engine: &Engine,
    mut rows: SendableRecordBatchStream,
    format: RowFormat,
    out: &mut (dyn Write + Send),
    progress: &dyn Progress,
) -> Result<RowsWritten> {
    let task = Task::start(progress, "query", None, Unit::Rows);
    let schema = rows.schema();
    let mut writer = Rows::new(format, &schema, out)?;
    let mut written = RowsWritten::default();
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| engine.query_error(error))?;
        let batch = match format {
            RowFormat::Table { rows_max } => {
                let room = rows_max - written.rows as usize;
                written.more |= batch.num_rows() > room;
                batch.slice(0, batch.num_rows().min(room))
            }
            _ => batch,
        };
        writer.write(&batch)?;
        task.advance(batch.num_rows() as u64);
        written.rows += batch.num_rows() as u64;
        if written.more {
            break;
        }
    }
    // A table is shown at its end, when no bar may be in its way.
    drop(task);
    writer.finish()?;
    Ok(written)
}

enum Rows<'a> {
    Table {
        table: Table,
        out: &'a mut (dyn Write + Send),
    },
    Csv(Box<arrow::csv::Writer<&'a mut (dyn Write + Send)>>),
    JsonLines(arrow::json::Writer<&'a mut (dyn Write + Send), LineDelimited>),
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
}

const DOING: &str = "write the rows";

impl<'a> Rows<'a> {
    fn new(format: RowFormat, schema: &SchemaRef, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        Ok(match format {
            RowFormat::Table { .. } => Rows::Table {
                table: empty_table(schema),
                out,
            },
            RowFormat::Csv => {
                flat(schema)?;
                let mut writer = CsvWriterBuilder::new().with_header(true).build(out);
                writer.write(&RecordBatch::new_empty(schema.clone())).map_err(failed)?;
                Rows::Csv(Box::new(writer))
            }
            RowFormat::JsonLines => {
                let writer: LineDelimitedWriter<_> = JsonWriterBuilder::new().with_explicit_nulls(true).build(out);
                Rows::JsonLines(writer)
            }
            RowFormat::Parquet => {
                let level = ZstdLevel::default();
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(level))
                    .build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Rows::Parquet(Box::new(writer.map_err(|source| Error::Parquet {
                    doing: DOING.into(),
                    source,
                })?))
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Rows::Table { table, .. } => add_rows(table, batch).map_err(failed),
            Rows::Csv(writer) => writer.write(batch).map_err(failed),
            Rows::JsonLines(writer) => writer.write(batch).map_err(failed),
            Rows::Parquet(writer) => writer.write(batch).map_err(|source| Error::Parquet {
                doing: DOING.into(),
                source,
            }),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Rows::Table { table, out } => writeln!(out, "{table}").map_err(Error::io(DOING)),
            Rows::Csv(_) => Ok(()),
            Rows::JsonLines(mut writer) => writer.finish().map_err(failed),
            Rows::Parquet(writer) => match writer.close() {
                Ok(_) => Ok(()),
                Err(source) => Err(Error::Parquet {
                    doing: DOING.into(),
                    source,
                }),
            },
        }
    }
}

/// Refuses columns that a CSV has no way to write.
fn flat(schema: &SchemaRef) -> Result<()> {
    let nested = schema.fields().iter().find(|field| field.data_type().is_nested());
    nested.map_or(Ok(()), |field| {
        let kind = type_name(field.data_type());
        Err(Error::Content {
            file: "the result".into(),
            detail: format!(
                "has the column {} of the type {kind}, which a CSV cannot hold; write it as jsonl or parquet",
                field.name()
            ),
        })
    })
}

fn failed(error: ArrowError) -> Error {
    match error {
        // A closed pipe must be known as what it is.
        ArrowError::IoError(_, source) => Error::Io {
            doing: DOING.into(),
            source,
        },
        // The CSV writer has only words for it.
        ArrowError::CsvError(text) if text.to_ascii_lowercase().contains("broken pipe") => Error::Io {
            doing: DOING.into(),
            source: std::io::ErrorKind::BrokenPipe.into(),
        },
        source => Error::Arrow {
            doing: DOING.into(),
            source,
        },
    }
}

fn empty_table(schema: &SchemaRef) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    let names = schema.fields().iter().map(|field| {
        let cell = Cell::new(format!("{}\n{}", field.name(), type_name(field.data_type())));
        cell.set_alignment(alignment(field.data_type()))
    });
    table.set_header(names);
    table
}

fn add_rows(table: &mut Table, batch: &RecordBatch) -> Result<(), ArrowError> {
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    let columns = batch.columns().iter();
    let formatters = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let cells = formatters
            .iter()
            .zip(batch.columns())
            .map(|(formatter, column)| Cell::new(formatter.value(row)).set_alignment(alignment(column.data_type())));
        table.add_row(cells);
    }
    Ok(())
}

fn alignment(data_type: &DataType) -> CellAlignment {
    if data_type.is_numeric() {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    }
}
