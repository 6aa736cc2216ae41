//! Times of any unit as 64-bit numbers of one unit, exactly: `resolve` chooses the unit of a lookup, `scan` and `index` compare.
//! Invariant: a conversion is exact or an error; nothing is truncated, rounded or wrapped.

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray},
    datatypes::{
        DataType, Date32Type, Date64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    },
};
use drumlin_model::{Timestamp, feature::Length};

use crate::error::{Error, Result};

/// The unit in which all times of one lookup are compared: nanoseconds as soon as one of its columns has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scale {
    Micros,
    Nanos,
}

impl Scale {
    pub(crate) fn of<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Self {
        let nanos = types
            .into_iter()
            .any(|data_type| matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _)));
        if nanos { Scale::Nanos } else { Scale::Micros }
    }

    fn per_second(self) -> i64 {
        match self {
            Scale::Micros => 1_000_000,
            Scale::Nanos => 1_000_000_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scale::Micros => "microseconds",
            Scale::Nanos => "nanoseconds",
        }
    }

    /// A length in this unit: exact in both units, and too small to overflow 128 bits.
    pub(crate) fn length(self, length: Length) -> i128 {
        i128::from(length.micros()) * i128::from(self.per_second() / 1_000_000)
    }

    /// An instant in this unit, or the nearest one that 64 bits can say: comparisons with 64-bit times come out the same.
    pub(crate) fn instant(self, time: Timestamp) -> i64 {
        clamp(i128::from(time.micros()) * i128::from(self.per_second() / 1_000_000))
    }
}

/// The nearest 64-bit number. A bound beyond the range is beyond every time, so comparing with its clamp is exact.
pub(crate) fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// Whether a column of this type says an instant.
pub(crate) fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64
    )
}

/// Whether a time of this type has no zone of its own, and is therefore read as UTC.
pub(crate) fn is_naive(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, None))
}

/// How many times per second a column of this type counts, as a fraction: (units, seconds).
fn resolution(data_type: &DataType) -> (i64, i64) {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => (1, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => (1_000, 1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => (1_000_000, 1),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (1_000_000_000, 1),
        _ => (1, 86_400),
    }
}

/// The numbers of a time column as they are stored.
fn raw(array: &ArrayRef) -> Int64Array {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => array
            .as_primitive::<TimestampSecondType>()
            .reinterpret_cast::<Int64Type>(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array
            .as_primitive::<TimestampMillisecondType>()
            .reinterpret_cast::<Int64Type>(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array
            .as_primitive::<TimestampMicrosecondType>()
            .reinterpret_cast::<Int64Type>(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array
            .as_primitive::<TimestampNanosecondType>()
            .reinterpret_cast::<Int64Type>(),
        DataType::Date64 => array.as_primitive::<Date64Type>().reinterpret_cast::<Int64Type>(),
        _ => array.as_primitive::<Date32Type>().unary::<_, Int64Type>(i64::from),
    }
}

/// The column in the lookup's unit, nulls kept. `owner` is the spine or the view, for the error.
pub(crate) fn to_scale(array: &ArrayRef, scale: Scale, owner: &str, column: &str) -> Result<Int64Array> {
    let raw = raw(array);
    let (units, seconds) = resolution(array.data_type());
    let factor = scale.per_second() / units * seconds;
    if factor == 1 {
        return Ok(raw);
    }
    let fits = i64::MAX / factor;
    let outside = |value: i64| value > fits || value < -fits;
    if let Some(value) = raw.iter().flatten().find(|value| outside(*value)) {
        return Err(Error::TimeOverflow {
            owner: owner.to_owned(),
            column: column.to_owned(),
            value,
            data_type: array.data_type().clone(),
            unit: scale.name(),
        });
    }
    Ok(raw.unary(|value| value.wrapping_mul(factor)))
}

/// Ends of validity in the lookup's unit; null, and what is later than any time that 64 bits can say, is "no end".
pub(crate) fn to_scale_or_end(array: &ArrayRef, scale: Scale) -> Int64Array {
    let (units, seconds) = resolution(array.data_type());
    let factor = i128::from(scale.per_second() / units * seconds);
    let raw = raw(array);
    let ends = raw.iter().map(|value| {
        let end = i128::from(value?) * factor;
        (end <= i128::from(i64::MAX)).then(|| clamp(end))
    });
    ends.collect()
}

/// Times of the lookup's unit as a column of the type they came from; exact, since they came from it.
pub(crate) fn from_scale(times: Int64Array, scale: Scale, data_type: &DataType) -> Result<ArrayRef> {
    let (units, seconds) = resolution(data_type);
    let factor = scale.per_second() / units * seconds;
    let raw: PrimitiveArray<Int64Type> = if factor == 1 {
        times
    } else {
        times.unary(|value| value / factor)
    };
    let narrow = match data_type {
        DataType::Date32 => arrow::compute::cast(&raw, &DataType::Int32)?,
        _ => std::sync::Arc::new(raw),
    };
    Ok(arrow::compute::cast(&narrow, data_type)?)
}
