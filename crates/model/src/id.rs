//! Ids: 32-byte BLAKE3 hashes, one type per kind of object so that they cannot be mixed up.
//! Written as 64 lower-case hex digits to people and JSON, as raw bytes in binary formats.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::FormatError;

/// The length of every id, in bytes.
pub const ID_LEN: usize = 32;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// The id of `bytes`: their BLAKE3 hash.
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }
            /// An id read from elsewhere; nothing is checked but the length.
            pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }
            /// The first 12 hex digits, for people. Never parse this back as a whole id.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..6])
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = FormatError;
            fn from_str(text: &str) -> Result<Self, FormatError> {
                let mut id = [0; ID_LEN];
                hex::decode_to_slice(text, &mut id)
                    .map_err(|_| FormatError::Id { noun: $noun, text: text.chars().take(80).collect() })?;
                Ok(Self(id))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    <[u8; ID_LEN]>::deserialize(deserializer).map(Self)
                }
            }
        }
    )*};
}

ids! {
    /// Names a commit: the hash of its stored bytes.
    CommitId = "commit id";
    /// Names the provenance of a commit: the hash of its stored bytes.
    ProvenanceId = "provenance id";
    /// Names a tree: the hash of its index node's identity bytes.
    TreeId = "tree id";
    /// Names one content-cut run of a tree's entries: the hash of its identity bytes.
    RangeId = "range id";
    /// Names a chunk: the hash of its uncompressed bytes.
    ChunkId = "chunk id";
    /// Names the content of a file: the hash of all its bytes, what `b3sum` prints.
    FileId = "file id";
    /// Names a pack: random, chosen when the pack is begun, so that locations are known before it is sealed.
    PackId = "pack id";
    /// Names an operation on the root: random, chosen by the writer before the swap.
    OperationId = "operation id";
    /// Names the changes of an operation that stand in an object of their own: the hash of its bytes.
    ChangesId = "id of changes";
    /// Names a repository: random, chosen when it is made.
    RepositoryId = "repository id";
}
