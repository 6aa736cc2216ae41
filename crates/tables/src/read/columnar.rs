//! Parquet files as batches of the types that a Delta table holds.
//! `mod` picks this module by format.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{
    columns::{Batches, Known, check_names},
    csv::expected,
    text::{can_parse, parse_column},
};
use crate::{
    error::{Error, Result},
    types::{table_type, widens},
};

const BATCH_ROWS: usize = 8192;

pub(super) struct ParquetFile<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
}

impl ParquetFile<'_> {
    pub(super) fn schema(&self, known: &dyn Fn(&str) -> Option<Known>) -> Result<SchemaRef> {
        let stored = self.open()?.schema().clone();
        let names: Vec<_> = stored.fields().iter().map(|field| field.name().clone()).collect();
        check_names(self.name, &names)?;
        let fields = stored.fields().iter().map(|field| {
            let stored = field.data_type();
            let to = match known(field.name()) {
                Some(Known::Said(said)) => Some(said),
                // Else the table says what does not fit: reading it as the table's type would change values.
                Some(Known::Table(table)) if widens(stored, &table) => Some(table),
                _ => table_type(stored),
            };
            let to = to.ok_or_else(|| Error::Content {
                file: self.name.into(),
                detail: format!(
                    "has the column {} of the type {}, which a table cannot hold",
                    field.name(),
                    field.data_type()
                ),
            })?;
            Ok(Field::new(field.name(), to, true))
        });
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    pub(super) fn batches(&self, schema: SchemaRef) -> Result<Batches> {
        let doing = format!("read {}", self.name);
        let reader = self.open()?.with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|source| Error::Parquet {
            doing: doing.clone(),
            source,
        })?;
        let name = self.name.to_owned();
        let mut row = 1;
        Ok(Box::new(reader.map(move |batch| {
            let batch = batch.map_err(Error::arrow(doing.clone()))?;
            let first_row = row;
            row += batch.num_rows() as u64;
            let columns = batch.columns().iter().zip(schema.fields());
            let columns = columns.map(|(column, field)| cast_strictly(column, field, &name, first_row));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            RecordBatch::try_new(schema.clone(), columns).map_err(Error::arrow(doing.clone()))
        })))
    }

    pub(super) fn rows_said(&self) -> Option<u64> {
        let rows = self.open().ok()?.metadata().file_metadata().num_rows();
        u64::try_from(rows).ok()
    }

    fn open(&self) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = File::open(self.file).map_err(Error::io(format!("read {}", self.name)))?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| Error::Content {
            file: self.name.to_owned(),
            detail: format!("is not a Parquet file: {error}"),
        })
    }
}

/// Casts without losing or changing a value: what does not fit, or does not come back, is an error that names the row.
pub(crate) fn cast_strictly(column: &ArrayRef, field: &Field, file: &str, first_row: u64) -> Result<ArrayRef> {
    let (from, to) = (column.data_type(), field.data_type());
    if from == to {
        return Ok(column.clone());
    }
    let doing = || format!("read column {} of {file}", field.name());
    let misfit = |row: usize| Error::Line {
        file: file.to_owned(),
        line: first_row + row as u64,
        detail: format!("the value of {} is not {}", field.name(), expected(to)),
    };
    let safe = |column: &ArrayRef, to: &DataType| cast_with_options(column, to, &CastOptions::default());
    if is_text(from) && !is_text(to) && can_parse(to) {
        let text = safe(column, &DataType::Utf8).map_err(Error::arrow(doing()))?;
        return parse_column(text.as_string(), to, &[]).map_err(|bad| misfit(bad.row));
    }
    let cast = safe(column, to).map_err(Error::arrow(doing()))?;
    if let Some(row) = (0..column.len()).find(|&row| column.is_valid(row) && cast.is_null(row)) {
        return Err(misfit(row));
    }
    if from == &DataType::Null || (is_text(from) && is_text(to)) {
        return Ok(cast);
    }
    let back = safe(&cast, from).map_err(Error::arrow(doing()))?;
    if &back != column
        && let Some(row) = (0..column.len()).find(|&row| back.slice(row, 1) != column.slice(row, 1))
    {
        return Err(misfit(row));
    }
    Ok(cast)
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}
