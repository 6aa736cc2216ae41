//! Arrow columns on their way into the online store and out of it: each value of a declared type, as `Value`.
//! `rows` reads a view's source with them, `verify` what the join gives. Invariant: every value is kept exactly, or is an error
//! that names the column; a float that is declared a narrower float is rounded, as in the join.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
    },
};
use drumlin_model::feature::FeatureType;
use drumlin_online::Value;

use crate::{
    definition::types::{of_arrow, to_arrow},
    error::{Error, Result},
};

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
