//! Times in requests: RFC 3339 texts, in whole microseconds.

use drumlin_model::Timestamp;
use drumlin_online::exact_time;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

use crate::{Error, Result};

/// Reads a time such as `2013-12-31T05:00:00Z`.
pub fn parse_time(text: &str) -> Result<Timestamp> {
    exact_time(text).ok_or_else(|| Error::Invalid {
        what: format!("{text:?} is not a time in whole microseconds, such as 2013-12-31T05:00:00Z"),
        cures: Vec::new(),
    })
}

/// For `#[serde(with)]`: a time that may be absent, as text.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse_time(&text).map_err(D::Error::custom)).transpose()
    }
}
