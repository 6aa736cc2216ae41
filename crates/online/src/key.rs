//! Keys of the online store, as bytes: which kind of record it is, then what names it.
//! A row's key is its view's generation, then every join key as a type tag and its value. `row` says what stands there.
//! Invariant: two rows of a view have the same key exactly when all their values are equal: ('1','23') is not ('12','3'), 5 is
//! 5 in every integer width, there is one zero and one NaN, and a null makes no key.

use std::ops::Range;

use crate::{limits::KEY_LEN_MAX, value::Value};

/// The first byte of a key says what it names.
const META: u8 = 0;
const ROW: u8 = 1;
const PUSHED: u8 = 2;
/// What a row's key begins with: the byte above and the view's generation, big-endian so that the rows of one stand together.
pub const ROW_PREFIX_LEN: usize = 1 + 4;

const TAG_TEXT: u8 = 1;
const TAG_INT: u8 = 2;
/// Only for integers beyond `i64`; smaller ones are `TAG_INT` whatever their column.
const TAG_UINT: u8 = 3;
const TAG_BOOL: u8 = 4;
const TAG_FLOAT: u8 = 5;
const TAG_TIMESTAMP: u8 = 6;
const TAG_DATE: u8 = 7;
const TAG_BYTES: u8 = 8;
/// What follows is the hash of a key too long for the store; the stored value keeps the key itself.
const TAG_HASHED: u8 = 0xff;

/// The key of the store's own record of this name.
pub fn meta(name: &str) -> Vec<u8> {
    let mut key = vec![META];
    key.extend_from_slice(name.as_bytes());
    key
}

/// The name of a record of the store's own; none when the bytes name something else.
pub fn meta_name(key: &[u8]) -> Option<&str> {
    let name = key.strip_prefix(&[META])?;
    std::str::from_utf8(name).ok()
}

/// What the keys of a view's rows begin with.
pub fn row_prefix(generation: u32) -> [u8; ROW_PREFIX_LEN] {
    let mut prefix = [ROW; ROW_PREFIX_LEN];
    prefix[1..].copy_from_slice(&generation.to_be_bytes());
    prefix
}

/// What the keys of the rows that were pushed to a view begin with.
pub fn pushed_prefix(view: &str) -> Vec<u8> {
    let mut prefix = vec![PUSHED];
    prefix.extend_from_slice(&(view.len() as u32).to_be_bytes());
    prefix.extend_from_slice(view.as_bytes());
    prefix
}

/// The key under which a pushed row is remembered: `row` is the key of that row in a generation. A name and keys together may
/// be too long for the store: then the last part is their hash.
pub fn pushed(prefix: &[u8], row: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend_from_slice(&row[ROW_PREFIX_LEN..]);
    if key.len() > KEY_LEN_MAX {
        let hash = blake3::hash(&key);
        key.truncate(KEY_LEN_MAX - blake3::OUT_LEN);
        key.extend_from_slice(hash.as_bytes());
    }
    key
}

/// Keys of rows, one after the other in one buffer, which is used again from call to call.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    keys: Vec<KeyRange>,
}

/// Where a key stands: the whole of it, and what the store takes in its place, which is the same for nearly all.
#[derive(Clone, Debug)]
struct KeyRange {
    whole: Range<usize>,
    stored: Range<usize>,
}

impl Keys {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds the key of a row; false when a value is null, and nothing is added: then there is no such key.
    #[must_use]
    pub fn push<'v>(&mut self, generation: u32, values: impl IntoIterator<Item = Value<'v>>) -> bool {
        let start = self.start(generation);
        for value in values {
            if !write_value(&mut self.bytes, value) {
                self.bytes.truncate(start);
                return false;
            }
        }
        self.end(start);
        true
    }

    /// Adds a key whose values were written before, under another generation perhaps.
    pub fn push_values(&mut self, generation: u32, values: &[u8]) {
        let start = self.start(generation);
        self.bytes.extend_from_slice(values);
        self.end(start);
    }

    fn start(&mut self, generation: u32) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&row_prefix(generation));
        start
    }

    fn end(&mut self, start: usize) {
        let whole = start..self.bytes.len();
        let mut stored = whole.clone();
        if whole.len() > KEY_LEN_MAX {
            let hash = blake3::hash(&self.bytes[start + ROW_PREFIX_LEN..]);
            self.bytes.extend_from_within(start..start + ROW_PREFIX_LEN);
            self.bytes.push(TAG_HASHED);
            self.bytes.extend_from_slice(hash.as_bytes());
            stored = whole.end..self.bytes.len();
        }
        self.keys.push(KeyRange { whole, stored });
    }

    /// The bytes of every key, as the store keeps them.
    pub fn all_stored(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.stored(index))
    }

    /// The bytes under which the store keeps the row.
    pub fn stored(&self, index: usize) -> &[u8] {
        &self.bytes[self.keys[index].stored.clone()]
    }

    /// The values alone: what identifies the row within its view, in every generation.
    pub fn values(&self, index: usize) -> &[u8] {
        &self.bytes[self.keys[index].whole.clone()][ROW_PREFIX_LEN..]
    }

    /// What the stored value has to repeat, so that a hash that two keys share is seen.
    pub fn witness(&self, index: usize) -> Option<&[u8]> {
        let key = &self.keys[index];
        (key.whole != key.stored).then(|| self.values(index))
    }
}

/// The values within a stored row's key; none when only their hash is there.
pub fn values_of(stored: &[u8]) -> Option<&[u8]> {
    let values = stored.get(ROW_PREFIX_LEN..)?;
    (values.first() != Some(&TAG_HASHED)).then_some(values)
}

/// Writes a join key; false for a null.
fn write_value(out: &mut Vec<u8>, value: Value<'_>) -> bool {
    match value {
        Value::Null => return false,
        Value::Bool(value) => out.extend_from_slice(&[TAG_BOOL, u8::from(value)]),
        Value::Int(value) => fixed(out, TAG_INT, value.to_le_bytes()),
        Value::Uint(value) => match i64::try_from(value) {
            Ok(value) => fixed(out, TAG_INT, value.to_le_bytes()),
            Err(_) => fixed(out, TAG_UINT, value.to_le_bytes()),
        },
        Value::Float(value) => fixed(out, TAG_FLOAT, canonical(value).to_le_bytes()),
        Value::Timestamp(value) => fixed(out, TAG_TIMESTAMP, value.to_le_bytes()),
        Value::Date(value) => fixed(out, TAG_DATE, value.to_le_bytes()),
        Value::Text(value) => long(out, TAG_TEXT, value.as_bytes()),
        Value::Bytes(value) => long(out, TAG_BYTES, value),
    }
    true
}

/// The join keys within [`Keys::values`], in order; none when the bytes are damaged.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first() {
        let (value, rest) = match tag {
            TAG_BOOL => rest.split_first().map(|(&byte, rest)| (Value::Bool(byte != 0), rest))?,
            TAG_INT => rest
                .split_first_chunk()
                .map(|(bytes, rest)| (Value::Int(i64::from_le_bytes(*bytes)), rest))?,
            TAG_UINT => rest
                .split_first_chunk()
                .map(|(bytes, rest)| (Value::Uint(u64::from_le_bytes(*bytes)), rest))?,
            TAG_FLOAT => rest
                .split_first_chunk()
                .map(|(bytes, rest)| (Value::Float(f64::from_le_bytes(*bytes)), rest))?,
            TAG_TIMESTAMP => rest
                .split_first_chunk()
                .map(|(bytes, rest)| (Value::Timestamp(i64::from_le_bytes(*bytes)), rest))?,
            TAG_DATE => rest
                .split_first_chunk()
                .map(|(bytes, rest)| (Value::Date(i32::from_le_bytes(*bytes)), rest))?,
            TAG_TEXT | TAG_BYTES => {
                let (len, rest) = rest.split_first_chunk()?;
                let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                let value = if tag == TAG_TEXT {
                    Value::Text(std::str::from_utf8(bytes).ok()?)
                } else {
                    Value::Bytes(bytes)
                };
                (value, rest)
            }
            _ => return None,
        };
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

fn fixed<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

fn long(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let len = u32::try_from(bytes.len()).expect("a key of 4 GiB fits no batch");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// One zero, one NaN.
fn canonical(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}
