//! The small values of definitions: feature types and lengths of time, each with its spelling in YAML.
//! Invariant: what `Display` writes, `FromStr` reads back as the same value.

use std::{fmt, str::FromStr};

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The type of a key or feature, as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeatureType {
    String,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Float32,
    Float64,
    /// An instant in microseconds, UTC.
    Timestamp,
    Date,
    Binary,
}

impl FeatureType {
    pub const ALL: [FeatureType; 15] = [
        FeatureType::String,
        FeatureType::Bool,
        FeatureType::Int8,
        FeatureType::Int16,
        FeatureType::Int32,
        FeatureType::Int64,
        FeatureType::Uint8,
        FeatureType::Uint16,
        FeatureType::Uint32,
        FeatureType::Uint64,
        FeatureType::Float32,
        FeatureType::Float64,
        FeatureType::Timestamp,
        FeatureType::Date,
        FeatureType::Binary,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            FeatureType::String => "string",
            FeatureType::Bool => "bool",
            FeatureType::Int8 => "int8",
            FeatureType::Int16 => "int16",
            FeatureType::Int32 => "int32",
            FeatureType::Int64 => "int64",
            FeatureType::Uint8 => "uint8",
            FeatureType::Uint16 => "uint16",
            FeatureType::Uint32 => "uint32",
            FeatureType::Uint64 => "uint64",
            FeatureType::Float32 => "float32",
            FeatureType::Float64 => "float64",
            FeatureType::Timestamp => "timestamp",
            FeatureType::Date => "date",
            FeatureType::Binary => "binary",
        }
    }

    pub fn to_arrow(self) -> DataType {
        match self {
            FeatureType::String => DataType::Utf8,
            FeatureType::Bool => DataType::Boolean,
            FeatureType::Int8 => DataType::Int8,
            FeatureType::Int16 => DataType::Int16,
            FeatureType::Int32 => DataType::Int32,
            FeatureType::Int64 => DataType::Int64,
            FeatureType::Uint8 => DataType::UInt8,
            FeatureType::Uint16 => DataType::UInt16,
            FeatureType::Uint32 => DataType::UInt32,
            FeatureType::Uint64 => DataType::UInt64,
            FeatureType::Float32 => DataType::Float32,
            FeatureType::Float64 => DataType::Float64,
            FeatureType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            FeatureType::Date => DataType::Date32,
            FeatureType::Binary => DataType::Binary,
        }
    }

    /// The type that a column of `arrow` has, whatever its physical layout; none for what features cannot be.
    pub fn of_arrow(arrow: &DataType) -> Option<FeatureType> {
        Some(match arrow {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => FeatureType::String,
            DataType::Boolean => FeatureType::Bool,
            DataType::Int8 => FeatureType::Int8,
            DataType::Int16 => FeatureType::Int16,
            DataType::Int32 => FeatureType::Int32,
            DataType::Int64 => FeatureType::Int64,
            DataType::UInt8 => FeatureType::Uint8,
            DataType::UInt16 => FeatureType::Uint16,
            DataType::UInt32 => FeatureType::Uint32,
            DataType::UInt64 => FeatureType::Uint64,
            DataType::Float32 => FeatureType::Float32,
            DataType::Float64 => FeatureType::Float64,
            DataType::Timestamp(..) => FeatureType::Timestamp,
            DataType::Date32 => FeatureType::Date,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => FeatureType::Binary,
            DataType::Dictionary(_, values) => return FeatureType::of_arrow(values),
            _ => return None,
        })
    }

    /// Whether every value of `from` has an equal of this type.
    pub fn holds(self, from: FeatureType) -> bool {
        use FeatureType as T;
        let rank = |kind: FeatureType| match kind {
            T::Int8 => Some((true, 8)),
            T::Int16 => Some((true, 16)),
            T::Int32 => Some((true, 32)),
            T::Int64 => Some((true, 64)),
            T::Uint8 => Some((false, 8)),
            T::Uint16 => Some((false, 16)),
            T::Uint32 => Some((false, 32)),
            T::Uint64 => Some((false, 64)),
            _ => None,
        };
        if self == from {
            return true;
        }
        match (rank(self), rank(from)) {
            (Some((signed, bits)), Some((from_signed, from_bits))) => {
                if signed == from_signed {
                    bits >= from_bits
                } else {
                    signed && bits > from_bits
                }
            }
            (None, Some((_, from_bits))) => {
                (self == T::Float64 && from_bits <= 32) || (self == T::Float32 && from_bits <= 16)
            }
            _ => (self, from) == (T::Float64, T::Float32),
        }
    }
}

/// A length of time, such as how old a value may be: more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(i64);

/// Units of a length, largest first.
const UNITS: [(&str, i64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl Length {
    pub fn from_micros(micros: i64) -> Option<Self> {
        (micros > 0).then_some(Self(micros))
    }
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// A text that is not of its type, said so that it follows the field's name; the cure is what may be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    pub message: String,
    pub cure: String,
}

impl FromStr for FeatureType {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        FeatureType::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| TextError {
                message: format!("cannot be {text:?}, which is not a type"),
                cure: format!("types are {}", FeatureType::ALL.map(FeatureType::as_str).join(", ")),
            })
    }
}

impl FromStr for Length {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let error = |message: String, cure: &str| TextError {
            message,
            cure: cure.to_owned(),
        };
        let start = text.len() - text.trim_start_matches('-').len();
        let digits = text[start..].trim_start_matches(|c: char| c.is_ascii_digit());
        let (number, unit) = text.split_at(text.len() - digits.len());
        let unit = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .map(|(_, micros)| *micros);
        let (Ok(number), Some(unit)) = (number.parse::<i64>(), unit) else {
            return Err(error(
                format!("cannot be {text:?}, which is not a length of time"),
                "write a whole number and a unit, as in `3h` (units: us, ms, s, m, h, d, w)",
            ));
        };
        let micros = number
            .checked_mul(unit)
            .ok_or_else(|| error(format!("of {text:?} is too long to count"), "write a shorter one"))?;
        Length::from_micros(micros).ok_or_else(|| {
            error(
                format!("has to be longer than zero, and is {text:?}"),
                "write more than zero, or leave it out where there is no limit",
            )
        })
    }
}

impl fmt::Display for FeatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, micros) = UNITS
            .iter()
            .find(|(_, micros)| self.0 % micros == 0)
            .expect("one microsecond divides all");
        write!(f, "{}{unit}", self.0 / micros)
    }
}

macro_rules! serde_as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
serde_as_text!(FeatureType Length);
