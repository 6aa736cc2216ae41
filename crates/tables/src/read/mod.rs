//! Input files as streams of typed batches: CSV, JSON lines and Parquet, from disk or from a commit.
//! `source` finds the bytes and what provenance says of them; one module per format turns them into batches.
//! Invariant: reading never guesses past a value: what does not parse is an error that names file, line and column.

mod columnar;
mod columns;
mod csv;
mod json;
mod source;
mod text;

use std::{path::Path, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::{
    error::DataFusionError, execution::SendableRecordBatchStream, physical_plan::stream::RecordBatchReceiverStream,
};

pub(crate) use columnar::cast_strictly;
pub(crate) use source::{Incoming, InputFile};

use tempfile::TempPath;

use self::columns::{Batches, Known};
use crate::{
    error::{Error, Result},
    options::{FileFormat, ReadOptions},
    types::table_type,
};

/// Batches read ahead of whoever writes them.
const BATCHES_AHEAD: usize = 2;

/// A file and how it is read: cheap to copy, read as often as needed.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) file: Arc<Path>,
    pub(crate) name: String,
    pub(crate) format: FileFormat,
    pub(crate) options: ReadOptions,
    /// The copy of a file of the repository; gone when the last reader is.
    pub(crate) _copy: Option<Arc<TempPath>>,
}

impl Reader {
    /// The columns of the file. Types come from the options, then from `table` where it has the column, then from
    /// every value of the file. Blocks.
    pub(crate) fn schema(&self, table: Option<&Schema>) -> Result<SchemaRef> {
        let types = &self.options.types;
        let known = |column: &str| {
            let said = types
                .iter()
                .find(|(name, _)| name == column)
                .map(|(_, to)| Known::Said(to.to_arrow()));
            said.or_else(|| Some(Known::Table(table?.field_with_name(column).ok()?.data_type().clone())))
        };
        let found = match self.format {
            FileFormat::Csv => self.csv().schema(&known),
            FileFormat::JsonLines => self.json().schema(&known),
            FileFormat::Parquet => self.parquet().schema(&known),
        }?;
        let columns = || found.fields().iter().map(|field| field.name().clone());
        if let Some((column, _)) = types.iter().find(|(name, _)| found.index_of(name).is_err()) {
            let known = columns().collect();
            return Err(Error::NoColumn {
                file: self.name.clone(),
                column: column.clone(),
                known,
            });
        }
        let kinds = found.fields().iter().map(|field| field.data_type());
        for (column, kind) in columns().zip(kinds) {
            if table_type(kind).is_none() {
                let detail = format!("has the column {column} of the type {kind}, which a table cannot hold");
                return Err(Error::Content {
                    file: self.name.clone(),
                    detail,
                });
            }
        }
        Ok(found)
    }

    /// The rows, with the columns that [`Reader::schema`] found. Blocks.
    pub(crate) fn batches(&self, schema: SchemaRef) -> Result<Batches> {
        match self.format {
            FileFormat::Csv => self.csv().batches(schema),
            FileFormat::JsonLines => self.json().batches(schema),
            FileFormat::Parquet => self.parquet().batches(schema),
        }
    }

    /// The rows as a stream that is read on a thread of its own, a little ahead.
    pub(crate) fn stream(&self, schema: SchemaRef) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(schema.clone(), BATCHES_AHEAD);
        let (rows, reader) = (builder.tx(), self.clone());
        builder.spawn_blocking(move || {
            let failed = |error: Error| DataFusionError::External(Box::new(error));
            for batch in reader.batches(schema).map_err(failed)? {
                let last = batch.is_err();
                if rows.blocking_send(batch.map_err(failed)).is_err() || last {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }

    /// How many rows the file says that it has. Only Parquet says it; a file that is damaged says nothing.
    pub(crate) fn rows_said(&self) -> Option<u64> {
        match self.format {
            FileFormat::Parquet => self.parquet().rows_said(),
            FileFormat::Csv | FileFormat::JsonLines => None,
        }
    }

    fn csv(&self) -> csv::CsvFile<'_> {
        csv::CsvFile {
            file: &self.file,
            name: &self.name,
            options: &self.options,
        }
    }
    fn json(&self) -> json::JsonFile<'_> {
        json::JsonFile {
            file: &self.file,
            name: &self.name,
        }
    }
    fn parquet(&self) -> columnar::ParquetFile<'_> {
        columnar::ParquetFile {
            file: &self.file,
            name: &self.name,
        }
    }
}
