//! The tables of the case files as Arrow's: `law` splits their text into cells, and the head's types are read here.
//! A cell is `null` or text that Arrow reads as the column's type, so `-0.0`, `NaN` and times with offsets are what they say.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use drumlin_testkit::law::Grid;

/// The head's names, with their types where they are given, and the cells.
pub struct Table {
    pub columns: Vec<(String, Option<DataType>)>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    pub fn parse(text: &str) -> Table {
        let Grid { columns, rows } = Grid::parse(text);
        let typed = |(name, kind): (String, Option<String>)| (name, kind.as_deref().map(data_type));
        Table {
            columns: columns.into_iter().map(typed).collect(),
            rows,
        }
    }

    /// The cells of a column in a type.
    pub fn column(&self, position: usize, data_type: &DataType) -> ArrayRef {
        let texts: StringArray = self.rows.iter().map(|row| row[position].as_deref()).collect();
        let options = CastOptions {
            safe: false,
            ..Default::default()
        };
        let name = &self.columns[position].0;
        cast_with_options(&texts, data_type, &options).unwrap_or_else(|error| panic!("column {name}: {error}"))
    }

    pub fn batch(&self) -> RecordBatch {
        let types = self
            .columns
            .iter()
            .map(|(name, kind)| (name, kind.clone().unwrap_or_else(|| panic!("{name} needs a type"))));
        let fields: Vec<Field> = types.map(|(name, kind)| Field::new(name, kind, true)).collect();
        let columns = fields
            .iter()
            .enumerate()
            .map(|(position, field)| self.column(position, field.data_type()))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a table")
    }
}

fn data_type(text: &str) -> DataType {
    match text {
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float64" => DataType::Float64,
        "bool" => DataType::Boolean,
        "string" => DataType::Utf8,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => timestamp(other).unwrap_or_else(|| panic!("no such type: {other}")),
    }
}

/// `timestamp(unit)` or `timestamp(unit, zone)`; the zone `none` is a time without one.
fn timestamp(text: &str) -> Option<DataType> {
    let inside = text.strip_prefix("timestamp(")?.strip_suffix(')')?;
    let (unit, zone) = inside
        .split_once(',')
        .map_or((inside, "UTC"), |(unit, zone)| (unit, zone.trim()));
    let unit = match unit.trim() {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    };
    Some(DataType::Timestamp(unit, (zone != "none").then(|| zone.into())))
}
