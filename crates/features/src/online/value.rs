//! One key or feature value outside Arrow: borrowed from a stored row or a request, and read from an Arrow column.
//! Neighbours: `key` and `row` write these as bytes. Invariant: integers widen to 64 bits and floats to `f64` without loss,
//! so that equal values are equal whatever the width of the column that they came from.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
    },
};

use crate::{
    definition::{
        FeatureType,
        types::{of_arrow, to_arrow},
    },
    error::{Error, Result},
};

/// A value that costs nothing to pass on. `Null` only for features; a key with a null is no key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Microseconds since 1970, UTC.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
}

impl Value<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value as a column of type `kind` holds it: a `float32` has no more digits than that.
    pub fn declared(self, kind: FeatureType) -> Self {
        match (self, kind) {
            (Value::Float(value), FeatureType::Float32) => Value::Float((value as f32).into()),
            (value, _) => value,
        }
    }

    /// For people and JSON: text as it is, bytes in hex, instants in RFC 3339.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::Uint(value) => value.into(),
            // JSON has no NaN and no infinities: they are written as text.
            Value::Float(value) if value.is_finite() => value.into(),
            Value::Float(value) => value.to_string().into(),
            Value::Text(value) => value.into(),
            Value::Bytes(value) => value
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into(),
            Value::Timestamp(micros) => drumlin_model::Timestamp::from_micros(micros).to_string().into(),
            Value::Date(days) => {
                let day = drumlin_model::Timestamp::from_micros(i64::from(days).saturating_mul(86_400_000_000));
                day.to_string().split('T').next().unwrap_or_default().to_owned().into()
            }
        }
    }
}

/// A value that owns its text: what a person typed for a key.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    Text(String),
    Bytes(Vec<u8>),
    Plain(Value<'static>),
}

impl OwnedValue {
    pub fn as_value(&self) -> Value<'_> {
        match self {
            OwnedValue::Text(text) => Value::Text(text),
            OwnedValue::Bytes(bytes) => Value::Bytes(bytes),
            OwnedValue::Plain(value) => *value,
        }
    }

    /// Reads `text` as a value of type `kind`, as on a command line.
    pub fn parse(kind: FeatureType, text: &str) -> Option<OwnedValue> {
        use FeatureType as T;
        let plain = match kind {
            T::String => return Some(OwnedValue::Text(text.to_owned())),
            T::Binary => return Some(OwnedValue::Bytes(text.as_bytes().to_vec())),
            T::Bool => Value::Bool(text.parse().ok()?),
            T::Int8 => Value::Int(text.parse::<i8>().ok()?.into()),
            T::Int16 => Value::Int(text.parse::<i16>().ok()?.into()),
            T::Int32 => Value::Int(text.parse::<i32>().ok()?.into()),
            T::Int64 => Value::Int(text.parse().ok()?),
            T::Uint8 => Value::Uint(text.parse::<u8>().ok()?.into()),
            T::Uint16 => Value::Uint(text.parse::<u16>().ok()?.into()),
            T::Uint32 => Value::Uint(text.parse::<u32>().ok()?.into()),
            T::Uint64 => Value::Uint(text.parse().ok()?),
            T::Float32 => Value::Float(text.parse::<f32>().ok()?.into()),
            T::Float64 => Value::Float(text.parse().ok()?),
            T::Timestamp => Value::Timestamp(exact_time(text)?.micros()),
            T::Date => {
                let midnight = drumlin_model::Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))?;
                Value::Date(i32::try_from(midnight.micros().div_euclid(86_400_000_000)).ok()?)
            }
        };
        Some(OwnedValue::Plain(plain))
    }
}

/// Reads an instant in RFC 3339; none when it is finer than microseconds, which would be cut.
pub fn exact_time(text: &str) -> Option<drumlin_model::Timestamp> {
    let digits = text.split_once('.').map_or("", |(_, digits)| digits);
    let finer = digits.chars().take_while(char::is_ascii_digit).skip(6);
    drumlin_model::Timestamp::parse_rfc3339(text).filter(|_| finer.into_iter().all(|digit| digit == '0'))
}

/// An Arrow column that gives `Value`s of one declared type.
pub enum Column {
    Bool(BooleanArray),
    Int(PrimitiveArray<Int64Type>),
    Uint(PrimitiveArray<UInt64Type>),
    Float32(PrimitiveArray<Float32Type>),
    Float(PrimitiveArray<Float64Type>),
    Text(ArrayRef),
    Bytes(ArrayRef),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Date(PrimitiveArray<Date32Type>),
}

impl Column {
    /// Reads `array` as declared; a value that does not fit is an error that names the column.
    pub fn new(name: &str, array: &ArrayRef, kind: FeatureType) -> Result<Self> {
        use FeatureType as T;
        let array = &declared(name, array, kind)?;
        let widened = |to: &DataType| {
            cast(array, to).map_err(|source| Error::Arrow {
                what: name.to_owned(),
                source,
            })
        };
        Ok(match kind {
            T::Bool => Column::Bool(array.as_boolean().clone()),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => Column::Int(widened(&DataType::Int64)?.as_primitive().clone()),
            T::Uint8 | T::Uint16 | T::Uint32 | T::Uint64 => {
                Column::Uint(widened(&DataType::UInt64)?.as_primitive().clone())
            }
            T::Float32 => Column::Float32(array.as_primitive().clone()),
            T::Float64 => Column::Float(array.as_primitive().clone()),
            T::String => Column::Text(array.clone()),
            T::Binary => Column::Bytes(array.clone()),
            T::Timestamp => Column::Timestamp(array.as_primitive().clone()),
            T::Date => Column::Date(array.as_primitive().clone()),
        })
    }

    /// The value in a row, which must be within the column.
    pub fn value(&self, row: usize) -> Value<'_> {
        match self {
            Column::Bool(array) if array.is_valid(row) => Value::Bool(array.value(row)),
            Column::Int(array) if array.is_valid(row) => Value::Int(array.value(row)),
            Column::Uint(array) if array.is_valid(row) => Value::Uint(array.value(row)),
            Column::Float32(array) if array.is_valid(row) => Value::Float(array.value(row).into()),
            Column::Float(array) if array.is_valid(row) => Value::Float(array.value(row)),
            Column::Text(array) if array.is_valid(row) => Value::Text(array.as_string::<i32>().value(row)),
            Column::Bytes(array) if array.is_valid(row) => Value::Bytes(array.as_binary::<i32>().value(row)),
            Column::Timestamp(array) if array.is_valid(row) => Value::Timestamp(array.value(row)),
            Column::Date(array) if array.is_valid(row) => Value::Date(array.value(row)),
            _ => Value::Null,
        }
    }
}

/// `array` in the physical type of `kind`, every value kept exactly.
pub fn declared(name: &str, array: &ArrayRef, kind: FeatureType) -> Result<ArrayRef> {
    let wrong = |message: String| Error::Column {
        column: name.to_owned(),
        message,
    };
    let to = to_arrow(kind);
    if array.data_type() == &to {
        return Ok(array.clone());
    }
    if let (DataType::Timestamp(unit, _), FeatureType::Timestamp) = (array.data_type(), kind) {
        return micros(name, array, unit).map(|array| Arc::new(array.with_timezone("UTC")) as ArrayRef);
    }
    let from = of_arrow(array.data_type())
        .ok_or_else(|| wrong(format!("its type {} cannot be a {kind}", array.data_type())))?;
    let cast_array = cast(array, &to).map_err(|source| Error::Arrow {
        what: name.to_owned(),
        source,
    })?;
    // A float that is declared a narrower float is rounded, here as in the join.
    if kind.holds(from) || (from, kind) == (FeatureType::Float64, FeatureType::Float32) {
        return Ok(cast_array);
    }
    // A narrower declared type is fine as long as every value survives the way there and back.
    let back = cast(&cast_array, array.data_type()).map_err(|source| Error::Arrow {
        what: name.to_owned(),
        source,
    })?;
    let same = back.to_data() == array.to_data();
    if same {
        Ok(cast_array)
    } else {
        Err(wrong(format!("it holds a {from} that is not a {kind}")))
    }
}

/// An event or created time in microseconds; finer instants and those out of range are errors, never cut.
pub fn micros(name: &str, array: &ArrayRef, unit: &TimeUnit) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    let wrong = |message: &str| Error::Column {
        column: name.to_owned(),
        message: message.to_owned(),
    };
    let scaled = |factor: i64| move |value: i64| value.checked_mul(factor).ok_or(());
    match unit {
        TimeUnit::Microsecond => Ok(array.as_primitive::<TimestampMicrosecondType>().clone()),
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().try_unary(scaled(1_000_000)),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .try_unary(scaled(1_000)),
        TimeUnit::Nanosecond => {
            let exact = |value: i64| if value % 1_000 == 0 { Ok(value / 1_000) } else { Err(()) };
            array.as_primitive::<TimestampNanosecondType>().try_unary(exact)
        }
    }
    .map_err(|()| wrong("it holds an instant that is not a whole number of microseconds in range"))
}

/// The times of a column, as microseconds: timestamps of any unit and zone, or dates (their midnight).
pub fn times(name: &str, array: &ArrayRef) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    match array.data_type() {
        DataType::Timestamp(unit, _) => micros(name, array, unit),
        DataType::Date32 => array
            .as_primitive::<Date32Type>()
            .try_unary(|days| i64::from(days).checked_mul(86_400_000_000).ok_or(()))
            .map_err(|()| Error::Column {
                column: name.to_owned(),
                message: "it holds a date that is out of range".into(),
            }),
        other => {
            let message = format!("its type {other} is not a time; a time is a timestamp or a date");
            Err(Error::Column {
                column: name.to_owned(),
                message,
            })
        }
    }
}

/// The values as a column of `kind`; none when one of them is of another type.
pub(crate) fn array_of<'a>(kind: FeatureType, values: impl Iterator<Item = Value<'a>>) -> Option<ArrayRef> {
    use FeatureType as T;
    macro_rules! collect {
        ($array:ty, $($pattern:pat => $value:expr),+) => {{
            let values = values.map(|value| match value {
                Value::Null => Some(None),
                $($pattern => Some(Some($value)),)+
                _ => None,
            });
            Arc::new(<$array>::from_iter(values.collect::<Option<Vec<_>>>()?)) as ArrayRef
        }};
    }
    let array = match kind {
        T::Bool => collect!(BooleanArray, Value::Bool(value) => value),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => collect!(PrimitiveArray<Int64Type>, Value::Int(value) => value),
        // A key keeps no more of an unsigned integer than its value.
        T::Uint8 | T::Uint16 | T::Uint32 | T::Uint64 => {
            collect!(PrimitiveArray<UInt64Type>, Value::Uint(value) => value, Value::Int(value) => value as u64)
        }
        T::Float32 | T::Float64 => collect!(PrimitiveArray<Float64Type>, Value::Float(value) => value),
        T::String => collect!(StringArray, Value::Text(value) => value),
        T::Binary => collect!(BinaryArray, Value::Bytes(value) => value),
        T::Date => collect!(PrimitiveArray<Date32Type>, Value::Date(value) => value),
        T::Timestamp => {
            let micros = collect!(PrimitiveArray<TimestampMicrosecondType>, Value::Timestamp(value) => value);
            return cast(&micros, &to_arrow(kind)).ok();
        }
    };
    cast(&array, &to_arrow(kind)).ok()
}
