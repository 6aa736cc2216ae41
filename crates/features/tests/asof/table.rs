//! Tables as people write them in the case files: a head of `name: type`, then rows of cells between bars.
//! A cell is `null` or text that Arrow reads as the column's type, so `-0.0`, `NaN` and times with offsets are what they say.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

/// The head's names, with their types where they are given, and the cells.
pub struct Table {
    pub columns: Vec<(String, Option<DataType>)>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    pub fn parse(text: &str) -> Table {
        let mut lines = text
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let head = lines.next().expect("a table has a head");
        let columns: Vec<_> = head
            .iter()
            .map(|column| match column.split_once(':') {
                Some((name, kind)) => (name.trim().to_string(), Some(data_type(kind.trim()))),
                None => (column.to_string(), None),
            })
            .collect();
        let cell = |text: &str| if text == "null" { None } else { Some(text.to_string()) };
        let rows: Vec<Vec<Option<String>>> = lines.map(|line| line.into_iter().map(cell).collect()).collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "a row has as many cells as the head: {row:?}");
        }
        Table { columns, rows }
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
