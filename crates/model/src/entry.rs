//! `Entry`: what stands at a path of a tree. Its identity is content and attributes.
//! `Location` says where the bytes were when the tree was written: a hint that saves a look-up, never identity.

use serde::{Deserialize, Serialize};

use crate::{
    attributes::Attributes,
    id::{FileId, PackId},
    time::Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: EntryKind,
    /// When the content last changed. Kept through merges, because readers of tables trust it.
    pub modified: Timestamp,
    /// Content type, user metadata, hashes for others.
    pub attributes: Attributes,
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

/// Bytes that stay where they are: readable only while the tag or the version still matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// In bytes.
    pub size: u64,
    /// The place that holds it: the URL of a bucket or a server, or a name that the repository has for one.
    pub container: String,
    /// Its key there.
    pub key: String,
    pub etag: String,
    /// The version's id, where the place keeps versions; else empty.
    pub version: String,
}

impl External {
    /// Container and key as one address, for people.
    pub fn address(&self) -> String {
        format!("{}/{}", self.container.trim_end_matches('/'), self.key)
    }
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
    /// An entry without attributes.
    pub fn new(kind: EntryKind, modified: Timestamp) -> Self {
        Self {
            kind,
            modified,
            attributes: Attributes::default(),
        }
    }

    /// Takes over the attributes of what stood at the path before, for a writer who knows of content alone. Attributes of
    /// its own stay; hashes of other content and attributes of another kind of entry do not come along.
    pub fn take_attributes(&mut self, before: &Entry) {
        if !self.attributes.is_empty() {
            return;
        }
        self.attributes = match (before.as_file(), self.as_file()) {
            (Some(old), Some(new)) if old.id != new.id => before.attributes.without_hashes(),
            (Some(_), Some(_)) => before.attributes.clone(),
            _ if self.same_content(before) => before.attributes.clone(),
            _ => Attributes::default(),
        };
    }

    /// Whether both have the same content, whenever it was written and whatever else is said of it.
    pub fn same_content(&self, other: &Entry) -> bool {
        self.kind == other.kind
    }

    /// Whether both are the same but for the time.
    pub fn same_value(&self, other: &Entry) -> bool {
        self.kind == other.kind && self.attributes == other.attributes
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
