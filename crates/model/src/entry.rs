//! `Entry`: what stands at a path of a tree. Its identity is content and attributes.
//! `Location` says where the bytes were when the tree was written: a hint that saves a look-up, never identity.

use serde::{Deserialize, Serialize};

use crate::{
    id::{FileId, PackId},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: EntryKind,
    /// When the content last changed. Kept through merges, because readers of tables trust it.
    pub modified: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    File(File),
    Symlink {
        target: String,
    },
    /// A folder with nothing in it; others exist by the paths below them.
    Folder,
    External(External),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub id: FileId,
    /// In bytes.
    pub size: u64,
    pub executable: bool,
}

/// Bytes that stay where they are: readable only while the tag still matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    pub url: String,
    pub etag: String,
    pub size: u64,
}

/// Where a file's bytes were when last seen. Readers verify what they get and fall back to the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// Nothing is known (or there are no bytes): ask the index.
    #[default]
    Unknown,
    /// The whole file is one chunk record: `stored` bytes at `offset` of the pack.
    Chunk { pack: PackId, offset: u64, stored: u32 },
    /// The list of the file's chunks is a record of the pack.
    Recipe { pack: PackId, offset: u64, stored: u32 },
    /// The file is an object of its own, named by its id.
    Blob,
}

/// An entry and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub entry: Entry,
    pub at: Location,
}

impl Entry {
    /// Whether both say the same of the content, whenever it was written.
    pub fn same_content(&self, other: &Entry) -> bool {
        self.kind == other.kind
    }
    /// The size that a reader sees, in bytes.
    pub fn size(&self) -> u64 {
        match &self.kind {
            EntryKind::File(file) => file.size,
            EntryKind::External(external) => external.size,
            EntryKind::Symlink { target } => target.len() as u64,
            EntryKind::Folder => 0,
        }
    }
    pub fn as_file(&self) -> Option<&File> {
        match &self.kind {
            EntryKind::File(file) => Some(file),
            _ => None,
        }
    }
}
