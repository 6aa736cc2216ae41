//! `Attributes`: what an entry carries beside its content: how it is to be served, user metadata, hashes that others ask by.
//! `entry` holds them, `tree` stores them.
//! Invariant: keys and values are within their limits and alphabet, however they came in.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The most bytes that all keys and values of an entry may have: the 2 KB that S3 allows for user metadata, and as much
/// again for headers, hashes and what is to come.
pub const ATTRIBUTES_LEN_MAX: usize = 4096;
/// The most attributes of an entry. The length alone would allow thousands of empty ones.
pub const ATTRIBUTES_MAX: usize = 256;
/// The longest key, in bytes.
pub const ATTRIBUTE_KEY_LEN_MAX: usize = 128;

/// The media type to serve the content as.
pub const CONTENT_TYPE: &str = "content-type";
/// What user metadata of S3 starts with.
pub const USER_METADATA: &str = "x-amz-meta-";
/// The MD5 of the content, as 32 hex digits, where somebody asked for it.
pub const MD5: &str = "md5";
/// The SHA-256 of the content, as 64 hex digits, where somebody asked for it.
pub const SHA256: &str = "sha256";
/// The keys that say something of the bytes, and are wrong for other bytes.
const OF_CONTENT: [&str; 2] = [MD5, SHA256];

/// Texts by key, sorted. Cheap to clone; an entry without any takes one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Option<Arc<BTreeMap<String, String>>>);

/// Attributes that no entry can have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AttributeError {
    #[error("{count} attributes; an entry may have {ATTRIBUTES_MAX}")]
    TooMany { count: usize },
    #[error("attributes of {len} bytes; those of an entry may have {ATTRIBUTES_LEN_MAX}")]
    TooLong { len: usize },
    #[error(
        "{key:?} is no key of an attribute: 1 to {ATTRIBUTE_KEY_LEN_MAX} lower-case letters, digits and signs that a header may have"
    )]
    Key { key: String },
    #[error("the attribute {key:?} has a value with a control character")]
    Control { key: String },
    #[error("the attribute {key:?} must have {digits} lower-case hex digits")]
    Hash { key: String, digits: usize },
}

impl Attributes {
    /// Checks all. Of two values for one key the later counts.
    pub fn new(
        attributes: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Self, AttributeError> {
        let attributes = attributes.into_iter().map(|(key, value)| (key.into(), value.into()));
        let attributes: BTreeMap<String, String> = attributes.collect();
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(AttributeError::TooMany {
                count: attributes.len(),
            });
        }
        let len = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        if len > ATTRIBUTES_LEN_MAX {
            return Err(AttributeError::TooLong { len });
        }
        attributes.iter().try_for_each(|(key, value)| check(key, value))?;
        Ok(Self((!attributes.is_empty()).then(|| Arc::new(attributes))))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.as_ref()?.get(key).map(String::as_str)
    }

    /// By key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let attributes = self.0.as_deref().unwrap_or(&NONE);
        attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What is still true when the content becomes another: all but the hashes of it.
    pub fn without_hashes(&self) -> Self {
        let kept = self.iter().filter(|(key, _)| !OF_CONTENT.contains(key));
        Self::new(kept).expect("fewer of valid attributes are valid")
    }
}

fn check(key: &str, value: &str) -> Result<(), AttributeError> {
    // The letters of a header's name (RFC 9110, `token`), without the capitals, which mean the same there.
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if key.is_empty() || key.len() > ATTRIBUTE_KEY_LEN_MAX || !key.bytes().all(is_letter) {
        let key = key.chars().take(ATTRIBUTE_KEY_LEN_MAX).collect();
        return Err(AttributeError::Key { key });
    }
    if value.chars().any(char::is_control) {
        return Err(AttributeError::Control { key: key.to_owned() });
    }
    let digits = match key {
        MD5 => 32,
        SHA256 => 64,
        _ => return Ok(()),
    };
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if value.len() != digits || !value.bytes().all(is_hex) {
        return Err(AttributeError::Hash {
            key: key.to_owned(),
            digits,
        });
    }
    Ok(())
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::<String, String>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
