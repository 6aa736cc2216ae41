//! Parquet files as batches of the types that a Delta table holds.
//! `mod` picks this module by format.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Batches, check_names, csv::expected};
use crate::{
    error::{Error, Result},
    options::UTC,
};

const BATCH_ROWS: usize = 8192;

pub(super) struct ParquetFile<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
}

impl ParquetFile<'_> {
    pub(super) fn schema(&self, known: &dyn Fn(&str) -> Option<DataType>) -> Result<SchemaRef> {
        let stored = self.open()?.schema().clone();
        let names: Vec<_> = stored.fields().iter().map(|field| field.name().clone()).collect();
        check_names(self.name, &names)?;
        let fields = stored.fields().iter().map(|field| {
            let to = known(field.name())
                .or_else(|| table_type(field.data_type()))
                .ok_or_else(|| Error::Content {
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

    fn open(&self) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = File::open(self.file).map_err(Error::io(format!("read {}", self.name)))?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| Error::Content {
            file: self.name.to_owned(),
            detail: format!("is not a Parquet file: {error}"),
        })
    }
}

/// Casts without losing a value: what does not fit is an error that names the row.
fn cast_strictly(column: &ArrayRef, field: &Field, file: &str, first_row: u64) -> Result<ArrayRef> {
    let to = field.data_type();
    let options = |safe| CastOptions {
        safe,
        ..CastOptions::default()
    };
    cast_with_options(column, to, &options(false)).map_err(|error| {
        let cast = cast_with_options(column, to, &options(true)).ok();
        let lost = |cast: &ArrayRef| (0..column.len()).find(|&row| column.is_valid(row) && cast.is_null(row));
        match cast.as_ref().and_then(lost) {
            Some(row) => Error::Line {
                file: file.to_owned(),
                line: first_row + row as u64,
                detail: format!("the value of {} is not {}", field.name(), expected(to)),
            },
            None => Error::Arrow {
                doing: format!("read column {} of {file}", field.name()),
                source: error,
            },
        }
    })
}

/// The type of a table's column that holds every value of this one; none when there is none.
pub(crate) fn table_type(from: &DataType) -> Option<DataType> {
    let nested = |field: &Arc<Field>| -> Option<Arc<Field>> {
        Some(Arc::new(Field::new(field.name(), table_type(field.data_type())?, true)))
    };
    Some(match from {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => from.clone(),
        DataType::Float32 | DataType::Float64 | DataType::Date32 | DataType::Decimal128(..) => from.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        DataType::Dictionary(_, value) => table_type(value)?,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", table_type(item.data_type())?, true)))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect::<Option<Fields>>()?),
        _ => return None,
    })
}
