//! Keys of the online store: view generation, then every join key as type tag, length and bytes.
//! Invariant: two keys have the same bytes exactly when all their values are equal: ('1','23') is not ('12','3'), 5 is 5 in
//! every integer width, there is one zero and one NaN, and a null makes no key.

use super::value::{Column, Value};

/// The longest key that LMDB takes, in bytes.
pub const KEY_LEN_MAX: usize = 511;
/// A view generation, in bytes, big-endian so that the rows of one stand together.
pub const GENERATION_LEN: usize = 4;

const TAG_TEXT: u8 = 1;
const TAG_INT: u8 = 2;
/// Only for integers beyond `i64`; smaller ones are `TAG_INT` whatever their column.
const TAG_UINT: u8 = 3;
const TAG_BOOL: u8 = 4;
const TAG_FLOAT: u8 = 5;
const TAG_TIMESTAMP: u8 = 6;
const TAG_DATE: u8 = 7;
const TAG_BYTES: u8 = 8;
/// What follows is the hash of a key too long for LMDB; the stored value keeps the key itself.
const TAG_HASHED: u8 = 0xff;

/// A key being written. Reused from row to row, so that a read allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// Generation and values, however long.
    full: Vec<u8>,
    /// Generation, tag and hash, when `full` is too long.
    hashed: Vec<u8>,
}

impl Key {
    /// Begins a key of the generation.
    pub fn start(&mut self, generation: u32) {
        self.full.clear();
        self.hashed.clear();
        self.full.extend_from_slice(&generation.to_be_bytes());
    }

    /// Adds a join key. False for a null: then there is no such key.
    #[must_use]
    pub fn push(&mut self, value: Value<'_>) -> bool {
        let out = &mut self.full;
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

    /// Writes the key of a row of columns; false when one of them is null.
    #[must_use]
    pub fn of_row(&mut self, generation: u32, columns: &[Column], row: usize) -> bool {
        self.start(generation);
        columns.iter().all(|column| self.push(column.value(row)))
    }

    /// The bytes under which LMDB keeps the row. Call once the key is complete.
    pub fn stored(&mut self) -> &[u8] {
        if self.full.len() <= KEY_LEN_MAX {
            return &self.full;
        }
        if self.hashed.is_empty() {
            self.hashed.extend_from_slice(&self.full[..GENERATION_LEN]);
            self.hashed.push(TAG_HASHED);
            self.hashed.extend_from_slice(blake3::hash(self.values()).as_bytes());
        }
        &self.hashed
    }

    /// The values alone: what identifies the row within its view, in every generation.
    pub fn values(&self) -> &[u8] {
        &self.full[GENERATION_LEN..]
    }

    /// What the stored value has to repeat, so that a hash that two keys share is seen.
    pub fn witness(&self) -> Option<&[u8]> {
        (self.full.len() > KEY_LEN_MAX).then(|| self.values())
    }

    /// Takes over values that were written before, under another generation perhaps.
    pub fn restore(&mut self, generation: u32, values: &[u8]) {
        self.start(generation);
        self.full.extend_from_slice(values);
    }
}

/// The join keys within `Key::values`, in order; none when the bytes are damaged.
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

/// The values within stored bytes; none when only their hash is there.
pub fn values_of(stored: &[u8]) -> Option<&[u8]> {
    let values = stored.get(GENERATION_LEN..)?;
    (values.first() != Some(&TAG_HASHED)).then_some(values)
}

fn fixed<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

fn long(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let len = u32::try_from(bytes.len()).expect("Arrow holds no value of 4 GiB with 32-bit offsets");
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
