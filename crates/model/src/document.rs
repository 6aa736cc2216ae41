//! A document: a line that names kind and format, then indented JSON. Commits and provenance are stored so, because an
//! auditor then reads one with no tool of ours.
//! Invariant: the bytes are checked against the hash that names them before anything else is believed.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::FormatError;

/// What is written in front of one kind of document, and how long it may be.
pub(crate) struct Document {
    pub noun: &'static str,
    pub magic: &'static str,
    /// The newest format that this program writes and reads.
    pub format: u32,
    /// In bytes, all of it.
    pub len_max: usize,
}

impl Document {
    pub fn write(&self, value: &impl Serialize) -> Vec<u8> {
        let mut bytes = format!("{}{}\n", self.magic, self.format).into_bytes();
        serde_json::to_writer_pretty(&mut bytes, value).expect("a document has only string keys");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a document back. Fields that this program does not know are passed over.
    pub fn read<Id, T>(&self, id: &Id, bytes: &[u8], name: fn(&[u8]) -> Id) -> Result<T, FormatError>
    where
        Id: PartialEq + std::fmt::Display,
        T: DeserializeOwned,
    {
        let object = || format!("{} {id}", self.noun);
        FormatError::check_len(&object(), bytes, self.len_max)?;
        if name(bytes) != *id {
            return Err(FormatError::damaged(object(), "its bytes do not have its hash"));
        }
        let line_end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
        let format = std::str::from_utf8(&bytes[..line_end])
            .ok()
            .and_then(|line| line.strip_prefix(self.magic)?.parse().ok())
            .ok_or_else(|| FormatError::damaged(object(), format!("it does not start as a {} does", self.noun)))?;
        if format > self.format {
            return Err(FormatError::TooNew {
                object: object(),
                found: format,
                newest: self.format,
            });
        }
        serde_json::from_slice(&bytes[line_end..]).map_err(|error| FormatError::damaged(object(), error.to_string()))
    }
}
