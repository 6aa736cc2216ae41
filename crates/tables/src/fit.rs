//! `Fit`: how rows of one schema become rows of a table: columns matched by name, widened without loss, filled with nulls.
//! `write` applies it to every batch; the errors here are what `append` says of a file that does not fit.
//! Invariant: no value changes its meaning: what would round or cut is refused by type, before a row is read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    datatypes::{Field, Schema, SchemaRef},
};
use drumlin_model::{
    Cure, RepoPath,
    names::{Verb, did_you_mean, table_name},
};

use crate::{
    error::{Error, Result},
    read::cast_strictly,
    types::{table_type, type_name, widens},
};

#[derive(Debug)]
pub(crate) struct Fit {
    /// The table's schema after the write.
    pub(crate) schema: SchemaRef,
    /// Whether it has columns that it had not before.
    pub(crate) evolved: bool,
    /// For each column of the table, which input column it comes from; null when none.
    from: Vec<Option<usize>>,
    /// Columns that may not be null.
    key: Vec<String>,
    /// Rows that were fitted, to number those that do not fit.
    rows: AtomicU64,
}

impl Fit {
    /// For a new table, or one that is overwritten whole.
    pub(crate) fn new_table(input: &Schema, file: &str) -> Result<Self> {
        let fields = input.fields().iter().map(|field| {
            let to = table_type(field.data_type()).ok_or_else(|| Error::Content {
                file: file.to_owned(),
                detail: format!(
                    "has the column {} of the type {}, which a table cannot hold",
                    field.name(),
                    field.data_type()
                ),
            })?;
            Ok(Field::new(field.name(), to, true))
        });
        let schema = Schema::new(fields.collect::<Result<Vec<_>>>()?);
        let from = (0..schema.fields().len()).map(Some).collect();
        Ok(Self {
            schema: stored(schema, file)?,
            evolved: true,
            from,
            key: Vec::new(),
            rows: AtomicU64::new(0),
        })
    }

    /// For rows of a table that exists. Columns that the input lacks become null; columns that the table lacks are an
    /// error, or added at the end when it may `evolve`.
    pub(crate) fn existing(
        table: &RepoPath,
        stored_as: &SchemaRef,
        input: &Schema,
        file: &str,
        evolve: bool,
    ) -> Result<Self> {
        let misfit = |detail: String, cures: Vec<Cure>| Error::Schema {
            file: file.to_owned(),
            table: table.clone(),
            detail,
            cures,
        };
        let mut from = Vec::new();
        for field in stored_as.fields() {
            let found = input.index_of(field.name()).ok();
            match found {
                Some(index) if !widens(input.field(index).data_type(), field.data_type()) => {
                    let (has, wants) = (type_name(input.field(index).data_type()), type_name(field.data_type()));
                    let column = field.name();
                    let cure = Cure::run(Verb::TableShow)
                        .with("table", table_name(table))
                        .why(format!("then convert {column} to {wants} without loss"));
                    return Err(misfit(format!("its column {column} is {has}, not {wants}"), vec![cure]));
                }
                None if !field.is_nullable() => {
                    return Err(misfit(
                        format!("it has no column {}, which may not be null", field.name()),
                        Vec::new(),
                    ));
                }
                _ => from.push(found),
            }
        }
        let (fields, sources) = new_fields(stored_as, input)?;
        if let Some(first) = fields.first()
            && !evolve
        {
            let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
            return Err(misfit(
                format!("the table has no column {}", names.join(", ")),
                unknown_column(first.name(), stored_as),
            ));
        }
        let evolved = !fields.is_empty();
        from.extend(sources);
        let all: Vec<_> = stored_as
            .fields()
            .iter()
            .cloned()
            .chain(fields.into_iter().map(Arc::new))
            .collect();
        Ok(Self {
            schema: stored(Schema::new(all), file)?,
            evolved,
            from,
            key: Vec::new(),
            rows: AtomicU64::new(0),
        })
    }

    /// Refuses rows that lack a value of the row key.
    pub(crate) fn with_key(self, key: &[String]) -> Self {
        let key = key.to_vec();
        Self { key, ..self }
    }

    /// The columns of the row key; none when there is no key.
    pub(crate) fn key(&self) -> &[String] {
        &self.key
    }

    /// The next rows of one stream, as rows of the table.
    pub(crate) fn apply(&self, batch: &RecordBatch, file: &str) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let before = self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(&self.from)
            .map(|(field, from)| match from {
                None => Ok(new_null_array(field.data_type(), rows)),
                Some(index) => convert(batch.column(*index), field, file, before + 1),
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let fitted = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(Error::arrow(format!("fit the rows of {file} to the table")))?;
        check_no_null(&fitted, &self.key, before, file)?;
        Ok(fitted)
    }
}

fn new_fields(stored_as: &SchemaRef, input: &Schema) -> Result<(Vec<Field>, Vec<Option<usize>>)> {
    let known = |name: &str| stored_as.fields().iter().any(|field| field.name() == name);
    let added = input
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| !known(field.name()));
    let field = |field: &Arc<Field>| {
        let to = table_type(field.data_type()).unwrap_or_else(|| field.data_type().clone());
        Field::new(field.name(), to, true)
    };
    Ok(added.map(|(index, from)| (field(from), Some(index))).unzip())
}

fn stored(schema: Schema, file: &str) -> Result<SchemaRef> {
    crate::delta::as_stored(&Arc::new(schema)).map_err(Error::delta(format!("make a table of the columns of {file}")))
}

fn convert(column: &ArrayRef, field: &Field, file: &str, first_row: u64) -> Result<ArrayRef> {
    if !field.is_nullable() && column.null_count() > 0 {
        let detail = format!("has a null in the column {}, which may not be null", field.name());
        return Err(Error::Content {
            file: file.to_owned(),
            detail,
        });
    }
    cast_strictly(column, field, file, first_row)
}

/// Refuses a null in the key.
pub(crate) fn check_no_null(batch: &RecordBatch, key: &[String], rows_before: u64, name: &str) -> Result<()> {
    for column in key {
        let values = batch.column_by_name(column).expect("the key's columns were checked");
        if let Some(row) = (0..values.len()).find(|&row| values.is_null(row)) {
            return Err(Error::NullKey {
                file: name.into(),
                row: rows_before + row as u64 + 1,
                column: column.clone(),
            });
        }
    }
    Ok(())
}

/// It is another column of the table, misspelled, or a new one.
fn unknown_column(column: &str, stored_as: &SchemaRef) -> Vec<Cure> {
    let known = stored_as.fields().iter().map(|field| field.name().as_str());
    let similar = did_you_mean(column, known).map(Cure::did_you_mean);
    let added = Cure::Give {
        argument: "evolve",
        value: "true".into(),
    };
    similar.into_iter().chain([added]).collect()
}
