//! The values that feature definitions, the as-of join and the online store share: types, lengths of time, which row
//! answers for a null, how a lookup ended, and what is asked of a view.
//! `features` reads definitions from YAML, `asof` joins by them, `online` serves by them. Invariant: what `Display` writes,
//! `FromStr` reads back as the same value.

use std::{collections::BTreeMap, fmt, str::FromStr};

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

    pub fn is_integer(self) -> bool {
        self.bits().is_some()
    }

    /// Whether every value of `from` has an equal of this type.
    pub fn holds(self, from: FeatureType) -> bool {
        use FeatureType as T;
        if self == from {
            return true;
        }
        match (self.bits(), from.bits()) {
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

    /// Of an integer: whether it is signed, and its width.
    fn bits(self) -> Option<(bool, u32)> {
        use FeatureType as T;
        Some(match self {
            T::Int8 => (true, 8),
            T::Int16 => (true, 16),
            T::Int32 => (true, 32),
            T::Int64 => (true, 64),
            T::Uint8 => (false, 8),
            T::Uint16 => (false, 16),
            T::Uint32 => (false, 32),
            T::Uint64 => (false, 64),
            _ => return None,
        })
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

/// Which row answers when the newest has a null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// The newest row, with its nulls.
    #[default]
    Row,
    /// For each feature, the newest row that has a value.
    LastNonNull,
}

/// How one view's lookup for one row of keys ended. The join and the online store answer with the same words, which users
/// read in `<view>__status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A row was picked and at least one requested feature has a value.
    Present,
    /// A row was picked and every requested feature is null in it.
    NullValue,
    /// No candidate: the key is absent or null, or all its rows are later than asked, or not yet known.
    NotFound,
    /// There is a candidate, but it is older than `max_age`.
    OutsideMaxAge,
    /// The picked row is a tombstone.
    Deleted,
}

impl Status {
    pub const ALL: [Status; 5] = [
        Status::Present,
        Status::NullValue,
        Status::NotFound,
        Status::OutsideMaxAge,
        Status::Deleted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Present => "PRESENT",
            Status::NullValue => "NULL_VALUE",
            Status::NotFound => "NOT_FOUND",
            Status::OutsideMaxAge => "OUTSIDE_MAX_AGE",
            Status::Deleted => "DELETED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One view within a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewUse {
    pub view: String,
    /// Prefixes the feature columns (`alias__feature`), so that one view may serve twice.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Empty: all features of the view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// The spine's column for a join key, where it has another name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
}

impl ViewUse {
    /// A view as it stands: all features, no alias, the keys under their own names.
    pub fn of(view: impl Into<String>) -> Self {
        ViewUse {
            view: view.into(),
            alias: None,
            features: Vec::new(),
            keys: BTreeMap::new(),
        }
    }
    /// The name under which the view's status and event time are given.
    pub fn label(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.view)
    }
}
