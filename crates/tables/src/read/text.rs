//! Text to typed columns: what type a column of text has, and strict parsing into it.
//! Used by `csv` for every column and by `json` for strings that are times.
//! Invariant: a value that the inferred type cannot hold exactly makes the column text, so nothing is rounded silently.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanBuilder, Decimal128Builder, PrimitiveBuilder, StringArray, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    compute::kernels::cast_utils::{parse_decimal, string_to_datetime},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, TimeUnit,
    },
};
use chrono::{NaiveDate, Timelike, Utc};

use crate::types::{ColumnType, UTC};

/// What a column of text may still be, after the values seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Guess {
    /// No value seen that is not null.
    #[default]
    Nothing,
    Bool,
    Int,
    /// Integers of which some are beyond what a float64 holds exactly.
    LongInt,
    Float,
    Date,
    Timestamp,
    Text,
}

impl Guess {
    /// What the column may be once `value` is seen too.
    pub(crate) fn with(self, value: &str) -> Guess {
        match self {
            Guess::Text => Guess::Text,
            Guess::Nothing => first_guess(value),
            Guess::Bool if parse_bool(value).is_some() => self,
            Guess::Int | Guess::LongInt if is_plain_int(value) => match is_float(value) {
                true => self,
                false => Guess::LongInt,
            },
            Guess::Int | Guess::Float if is_float(value) && !has_leading_zero(value) => Guess::Float,
            Guess::Date if parse_date(value).is_some() => self,
            Guess::Date | Guess::Timestamp if parse_timestamp(value).is_some() => Guess::Timestamp,
            _ => Guess::Text,
        }
    }

    pub(crate) fn to_type(self) -> DataType {
        match self {
            Guess::Nothing | Guess::Text => DataType::Utf8,
            Guess::Bool => DataType::Boolean,
            Guess::Int | Guess::LongInt => DataType::Int64,
            Guess::Float => DataType::Float64,
            Guess::Date => DataType::Date32,
            Guess::Timestamp => ColumnType::Timestamp.to_arrow(),
        }
    }
}

fn first_guess(value: &str) -> Guess {
    if is_plain_int(value) {
        Guess::Int.with(value)
    } else if has_leading_zero(value) {
        Guess::Text
    } else if is_float(value) {
        Guess::Float
    } else if parse_bool(value).is_some() {
        Guess::Bool
    } else if parse_date(value).is_some() {
        Guess::Date
    } else if parse_timestamp(value).is_some() {
        Guess::Timestamp
    } else {
        Guess::Text
    }
}

/// An integer that prints as it was written: `007` is an identifier, not a number, and so are `+7` and `-0`.
pub(super) fn is_plain_int(value: &str) -> bool {
    !has_leading_zero(value) && !value.starts_with('+') && value != "-0" && value.parse::<i64>().is_ok()
}

fn has_leading_zero(value: &str) -> bool {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value).as_bytes();
    digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
}

/// A decimal number that a float64 stands for: not an integer that it would round or print in another way.
fn is_float(value: &str) -> bool {
    let integer = value.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'+');
    if !integer {
        return parse_float(value).is_some();
    }
    let exact = |whole: i64| (whole as f64) as i128 == i128::from(whole);
    is_plain_int(value) && value.parse().is_ok_and(exact)
}

fn parse_float(value: &str) -> Option<f64> {
    let named = matches!(
        value,
        "NaN" | "nan" | "inf" | "-inf" | "Inf" | "-Inf" | "Infinity" | "-Infinity"
    );
    let numeric = value
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
    (named || (numeric && value.bytes().any(|b| b.is_ascii_digit())))
        .then(|| value.parse().ok())
        .flatten()
}

fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "true" | "TRUE" | "True" => Some(true),
        "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn parse_date(value: &str) -> Option<i32> {
    const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a valid date");
    if value.len() != 10 {
        return None;
    }
    let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(EPOCH).num_days()).ok()
}

/// Microseconds since 1970 of an RFC 3339 time, or one without a zone, which is UTC, or a date, which is its midnight; none
/// for a time that is not one of whole microseconds.
pub(crate) fn parse_timestamp(value: &str) -> Option<i64> {
    let starts_as_date = value.len() >= 10 && value.as_bytes()[4] == b'-' && value.as_bytes()[7] == b'-';
    let time = if value.len() == "2013-01-01 10:00".len() && value.as_bytes()[13] == b':' {
        starts_as_date.then(|| string_to_datetime(&Utc, &format!("{value}:00")))?
    } else {
        starts_as_date.then(|| string_to_datetime(&Utc, value))?
    };
    let time = time.ok()?;
    time.nanosecond().is_multiple_of(1000).then(|| time.timestamp_micros())
}

/// A value that is not of its column's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) row: usize,
    pub(crate) value: String,
}

/// Whether text can be parsed to this type.
pub(crate) fn can_parse(to: &DataType) -> bool {
    matches!(
        to,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Decimal128(..)
    )
}

/// Parses a column strictly; `nulls` are the texts that mean no value.
///
/// The caller has asked [`can_parse`].
pub(crate) fn parse_column(text: &StringArray, to: &DataType, nulls: &[String]) -> Result<ArrayRef, BadValue> {
    let values = Values { text, nulls };
    match to {
        DataType::Boolean => {
            let mut built = BooleanBuilder::with_capacity(text.len());
            values.each(parse_bool, |value| built.append_option(value))?;
            Ok(Arc::new(built.finish()))
        }
        DataType::Int8 => values.primitive::<Int8Type>(|v| v.parse().ok()),
        DataType::Int16 => values.primitive::<Int16Type>(|v| v.parse().ok()),
        DataType::Int32 => values.primitive::<Int32Type>(|v| v.parse().ok()),
        DataType::Int64 => values.primitive::<Int64Type>(|v| v.parse().ok()),
        DataType::Float32 => values.primitive::<Float32Type>(|v| parse_float(v).map(|v| v as f32)),
        DataType::Float64 => values.primitive::<Float64Type>(parse_float),
        DataType::Date32 => values.primitive::<Date32Type>(parse_date),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let mut built = TimestampMicrosecondBuilder::with_capacity(text.len());
            values.each(parse_timestamp, |value| built.append_option(value))?;
            let built = built.finish();
            Ok(Arc::new(if zone.is_some() {
                built.with_timezone(UTC)
            } else {
                built
            }))
        }
        DataType::Decimal128(precision, scale) => {
            let mut built = Decimal128Builder::with_capacity(text.len());
            let parse = |v: &str| exact_decimal(v, *precision, *scale);
            values.each(parse, |value| built.append_option(value))?;
            let built = built.finish().with_precision_and_scale(*precision, *scale);
            Ok(Arc::new(built.expect("a column's type was checked when it was made")))
        }
        _ => {
            let mut built = StringBuilder::with_capacity(text.len(), text.value_data().len());
            values.each(Some, |value| built.append_option(value))?;
            Ok(Arc::new(built.finish()))
        }
    }
}

/// A decimal without rounding: more fraction digits than the scale are an error.
fn exact_decimal(value: &str, precision: u8, scale: i8) -> Option<i128> {
    let fraction = value.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.trim_end_matches('0').len() > scale.max(0) as usize || value.contains(['e', 'E']) {
        return None;
    }
    parse_decimal::<Decimal128Type>(value, precision, scale).ok()
}

struct Values<'a> {
    text: &'a StringArray,
    nulls: &'a [String],
}

impl<'a> Values<'a> {
    fn each<T>(&self, parse: impl Fn(&'a str) -> Option<T>, mut take: impl FnMut(Option<T>)) -> Result<(), BadValue> {
        for (row, value) in self.text.iter().enumerate() {
            match value {
                Some(value) if !is_null(value, self.nulls) => match parse(value) {
                    Some(parsed) => take(Some(parsed)),
                    None => {
                        return Err(BadValue {
                            row,
                            value: value.to_owned(),
                        });
                    }
                },
                _ => take(None),
            }
        }
        Ok(())
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        parse: impl Fn(&'a str) -> Option<T::Native>,
    ) -> Result<ArrayRef, BadValue> {
        let mut built = PrimitiveBuilder::<T>::with_capacity(self.text.len());
        self.each(parse, |value| built.append_option(value))?;
        Ok(Arc::new(built.finish()))
    }
}

/// Whether `value` means no value.
pub(crate) fn is_null(value: &str, nulls: &[String]) -> bool {
    nulls.iter().any(|null| null == value)
}
