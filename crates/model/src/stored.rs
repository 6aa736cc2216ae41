//! How the root and what belongs to it are stored: a line `MAGIC FORMAT HASH`, then JSON with that BLAKE3 hash.
//! `root` and `operation` use it.
//! Invariant: a flipped or missing byte is seen, and a newer format is told from damage.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::FormatError;

/// The fields of a stored object that this program does not know, by name. They are written back as they were read, so
/// that an older program does not destroy what a newer one keeps.
pub type Rest = BTreeMap<String, serde_json::Value>;

/// A kind of stored object: how its line begins, the newest format that is known, the most bytes that it has.
pub(crate) struct Sealed {
    pub magic: &'static str,
    pub format: u32,
    pub len_max: usize,
}

impl Sealed {
    /// The bytes to store.
    pub fn seal(&self, value: &impl Serialize) -> Vec<u8> {
        let json = serde_json::to_vec(value).expect("stored objects have only string keys");
        let mut bytes = format!("{}{} {}\n", self.magic, self.format, blake3::hash(&json).to_hex()).into_bytes();
        bytes.extend_from_slice(&json);
        bytes
    }

    /// The JSON in stored bytes. `object` names the thing in errors.
    pub fn unseal<'a>(&self, object: &str, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
        let damaged = |detail: &str| FormatError::damaged(object, detail);
        FormatError::check_len(object, bytes, self.len_max)?;
        let line_end = bytes
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| damaged("it has no first line"))?;
        let line = std::str::from_utf8(&bytes[..line_end]).map_err(|_| damaged("its first line is not text"))?;
        let (format, hash) = line
            .strip_prefix(self.magic)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| damaged("it does not start as it should"))?;
        let format = format.parse().map_err(|_| damaged("its format is not a number"))?;
        if format > self.format {
            return Err(FormatError::TooNew {
                object: object.into(),
                found: format,
                newest: self.format,
            });
        }
        let json = &bytes[line_end + 1..];
        if blake3::hash(json).to_hex().as_str() != hash {
            return Err(damaged("its bytes do not have the hash of its first line"));
        }
        Ok(json)
    }
}
