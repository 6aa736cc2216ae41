//! One key or feature value: borrowed from a stored row or a request, and read from text or JSON.
//! Neighbours: `key` and `row` write values as bytes. Invariant: integers widen to 64 bits and floats to `f64` without loss, so
//! that equal values are equal whatever the width of the column that they came from.

use drumlin_model::{Timestamp, feature::FeatureType};

use crate::error::{Error, Result};

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
            Value::Timestamp(micros) => Timestamp::from_micros(micros).to_string().into(),
            Value::Date(days) => {
                let day = Timestamp::from_micros(i64::from(days).saturating_mul(86_400_000_000));
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
                let midnight = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))?;
                Value::Date(i32::try_from(midnight.micros().div_euclid(86_400_000_000)).ok()?)
            }
        };
        Some(OwnedValue::Plain(plain))
    }

    /// Reads a JSON value as one of type `kind`; null is null. `name` is for the error.
    pub fn from_json(name: &str, kind: FeatureType, json: &serde_json::Value) -> Result<OwnedValue> {
        let value = match (json, kind) {
            (serde_json::Value::Null, _) => Some(OwnedValue::Plain(Value::Null)),
            (serde_json::Value::String(text), _) => OwnedValue::parse(kind, text),
            (serde_json::Value::Bool(value), FeatureType::Bool) => Some(OwnedValue::Plain(Value::Bool(*value))),
            (serde_json::Value::Number(number), FeatureType::Float32 | FeatureType::Float64) => {
                number.as_f64().map(|value| OwnedValue::Plain(Value::Float(value)))
            }
            (serde_json::Value::Number(number), _) if kind != FeatureType::String => {
                OwnedValue::parse(kind, &number.to_string())
            }
            _ => None,
        };
        value.ok_or_else(|| Error::Input {
            what: "the value",
            value: json.to_string(),
            why: format!("of {name:?} is not a {kind}"),
            cures: Vec::new(),
        })
    }
}

/// Reads an instant in RFC 3339; none when it is finer than microseconds, which would be cut.
pub fn exact_time(text: &str) -> Option<Timestamp> {
    let digits = text.split_once('.').map_or("", |(_, digits)| digits);
    let finer = digits.chars().take_while(char::is_ascii_digit).skip(6);
    Timestamp::parse_rfc3339(text).filter(|_| finer.into_iter().all(|digit| digit == '0'))
}
