//! `ColumnType` and what is known of types: their names, which a table can hold, and which widen to which without loss.
//! `read` and `fit` ask; nothing here reads a value.
//! Invariant: where a type widens to another, every value of the first is exactly a value of the second.

use std::{str::FromStr, sync::Arc};

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Field, Fields, TimeUnit};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The types that an input's columns may be given. As text, what `type_name` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ColumnType {
    Bool,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Date,
    /// An instant in microseconds; times without a zone are UTC.
    Timestamp,
    Decimal {
        precision: u8,
        scale: i8,
    },
}

/// The zone that every stored instant has.
pub const UTC: &str = "UTC";

impl ColumnType {
    pub fn to_arrow(self) -> DataType {
        match self {
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float32 => DataType::Float32,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::String => DataType::Utf8,
            ColumnType::Date => DataType::Date32,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        }
    }
}

/// A type as people write it: `int64`, `timestamp`, `list<string>`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Int8 => "int8".into(),
        DataType::Int16 => "int16".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float32 => "float32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp without zone".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item) | DataType::LargeList(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), type_name(f.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

impl From<ColumnType> for String {
    fn from(column: ColumnType) -> Self {
        type_name(&column.to_arrow())
    }
}

impl TryFrom<String> for ColumnType {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl FromStr for ColumnType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.trim().to_ascii_lowercase();
        Ok(match lower.as_str() {
            "bool" | "boolean" => ColumnType::Bool,
            "int32" | "int" | "integer" => ColumnType::Int32,
            "int64" | "long" | "bigint" => ColumnType::Int64,
            "float32" | "float" => ColumnType::Float32,
            "float64" | "double" => ColumnType::Float64,
            "string" | "text" | "varchar" => ColumnType::String,
            "date" => ColumnType::Date,
            "timestamp" => ColumnType::Timestamp,
            other => decimal(other).ok_or_else(|| Error::UnknownType { text: text.to_owned() })?,
        })
    }
}

fn decimal(text: &str) -> Option<ColumnType> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let valid = (1..=DECIMAL128_MAX_PRECISION).contains(&precision)
        && (0..=DECIMAL128_MAX_SCALE).contains(&scale)
        && scale as u8 <= precision;
    valid.then_some(ColumnType::Decimal { precision, scale })
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

/// Whether every value of one type is exactly a value of the other.
pub(crate) fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let (Some(from), Some(to)) = (table_type(from), table_type(to)) else {
        return false;
    };
    let rank = |t: &T| {
        [T::Int8, T::Int16, T::Int32, T::Int64]
            .iter()
            .position(|known| known == t)
    };
    match (&from, &to) {
        _ if from == to => true,
        (T::Float32, T::Float64) => true,
        (T::Int8 | T::Int16, T::Float32) | (T::Int8 | T::Int16 | T::Int32, T::Float64) => true,
        (T::Decimal128(p1, s1), T::Decimal128(p2, s2)) => {
            s2 >= s1 && (*p2 as i16 - *s2 as i16) >= (*p1 as i16 - *s1 as i16)
        }
        (T::List(from), T::List(to)) => widens(from.data_type(), to.data_type()),
        (T::Struct(from), T::Struct(to)) => {
            let same_name =
                |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && widens(a.data_type(), b.data_type());
            from.len() == to.len() && from.iter().zip(to.iter()).all(same_name)
        }
        _ => matches!((rank(&from), rank(&to)), (Some(from), Some(to)) if from < to),
    }
}
