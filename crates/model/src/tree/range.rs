//! `Range`: a run of a tree's entries in key order, and its stored bytes: one section that is hashed to the id
//! (paths, content, attributes) and one that is not (locations). `index` names ranges; `cut` decides where they end.
//! Invariant: the id is a function of paths and entries alone.

use crate::{
    attributes::{ATTRIBUTES_LEN_MAX, ATTRIBUTES_MAX, Attributes},
    entry::{Entry, EntryKind, External, File, Location, Placed},
    error::FormatError,
    id::{FileId, PackId, RangeId},
    path::{PATH_LEN_MAX, RepoPath},
    time::Timestamp,
    tree::{
        cut::{RANGE_ENTRIES_MAX, RANGE_WEIGHT_MAX},
        index::RangeRef,
        wire::{Envelope, Read, Reader, put_path, put_signed, put_text, put_varint},
    },
};

/// The newest range format that this program writes and reads.
pub const RANGE_FORMAT: u32 = 1;
/// The longest target of a symlink, in bytes: what Linux allows.
pub const SYMLINK_LEN_MAX: usize = 4096;
/// The longest container of an external entry, in bytes.
pub const CONTAINER_LEN_MAX: usize = 1024;
/// The longest key of an external entry, in bytes: S3 allows 1,024.
pub const KEY_LEN_MAX: usize = 4096;
/// The longest tag, and the longest version, of an external entry, in bytes.
pub const ETAG_LEN_MAX: usize = 1024;
/// The weight limit, and room for the one entry that crosses it.
const IDENTITY_LEN_MAX: usize = RANGE_WEIGHT_MAX + (16 << 10);
const _: () = assert!(
    PATH_LEN_MAX + CONTAINER_LEN_MAX + KEY_LEN_MAX + 2 * ETAG_LEN_MAX + ATTRIBUTES_LEN_MAX + 4 * ATTRIBUTES_MAX + 64
        <= 16 << 10
);
/// Per entry a tag, a pack, and two varints.
const LOCATIONS_LEN_MAX: usize = RANGE_ENTRIES_MAX * (1 + 32 + 10 + 5);

const ENVELOPE: Envelope<2> = Envelope {
    magic: "drumlin range ",
    format: RANGE_FORMAT,
    sections_max: [IDENTITY_LEN_MAX, LOCATIONS_LEN_MAX],
};

const FILE: u8 = 0;
const EXECUTABLE: u8 = 1;
const SYMLINK: u8 = 2;
const FOLDER: u8 = 3;
const EXTERNAL: u8 = 4;
/// Added to the kind when attributes follow.
const ATTRIBUTES: u8 = 8;

const UNKNOWN: u8 = 0;
const CHUNK: u8 = 1;
const RECIPE: u8 = 2;
const BLOB: u8 = 3;
/// Set on `CHUNK` and `RECIPE` when the pack is that of the location before.
const SAME_PACK: u8 = 4;

/// A run of entries, sorted by path, each path once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub entries: Vec<(RepoPath, Placed)>,
}

/// A range ready to be stored.
#[derive(Clone, Debug)]
pub struct EncodedRange {
    pub reference: RangeRef,
    pub bytes: Vec<u8>,
}

/// An entry that no tree can hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    #[error("the {field} of {path:?} is too long ({len} bytes; at most {max})")]
    TooLong {
        path: RepoPath,
        field: &'static str,
        len: usize,
        max: usize,
    },
}

/// Whether a tree can hold the entry. Whoever puts entries into a tree asks first.
pub fn check_entry(path: &RepoPath, entry: &Entry) -> Result<(), EntryError> {
    let check = |field, text: &str, max| match text.len() {
        len if len > max => Err(EntryError::TooLong {
            path: path.clone(),
            field,
            len,
            max,
        }),
        _ => Ok(()),
    };
    match &entry.kind {
        EntryKind::File(_) | EntryKind::Folder => Ok(()),
        EntryKind::Symlink { target } => check("symlink target", target, SYMLINK_LEN_MAX),
        EntryKind::External(external) => {
            check("container", &external.container, CONTAINER_LEN_MAX)?;
            check("key", &external.key, KEY_LEN_MAX)?;
            check("etag", &external.etag, ETAG_LEN_MAX)?;
            check("version", &external.version, ETAG_LEN_MAX)
        }
    }
}

impl Range {
    /// What stands at the path, if this range holds it.
    pub fn get(&self, path: &RepoPath) -> Option<&Placed> {
        let at = self.entries.binary_search_by(|(key, _)| key.cmp(path)).ok()?;
        Some(&self.entries[at].1)
    }

    /// The bytes to store. The range must not be empty, must be sorted, and `check_entry` must hold for each entry.
    /// What is longer than is read back is refused; a `Cutter` never lets it come to that.
    pub fn encode(&self) -> Result<EncodedRange, FormatError> {
        if self.entries.len() > RANGE_ENTRIES_MAX {
            return Err(FormatError::TooLarge {
                object: "a range of the tree",
                found: self.entries.len(),
                most: RANGE_ENTRIES_MAX,
                unit: "entries",
            });
        }
        let identity = self.identity();
        let reference = self.reference_of(&identity);
        let bytes = ENVELOPE.seal("a range of the tree", [&identity, &self.locations()])?;
        Ok(EncodedRange { reference, bytes })
    }

    /// What the index node says of this range.
    pub fn reference(&self) -> RangeRef {
        self.reference_of(&self.identity())
    }

    fn reference_of(&self, identity: &[u8]) -> RangeRef {
        let [(first, _), ..] = self.entries.as_slice() else {
            unreachable!("a range holds at least one entry")
        };
        let (last, _) = self.entries.last().expect("a range holds at least one entry");
        RangeRef {
            id: RangeId::of(identity),
            first: first.clone(),
            last: last.clone(),
            entries: self.entries.len() as u64,
            bytes: self
                .entries
                .iter()
                .map(|(_, placed)| placed.entry.size())
                .fold(0, u64::saturating_add),
        }
    }

    /// Reads a range back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: RangeId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = || format!("range {id}");
        let damaged = |detail: &str| FormatError::damaged(object(), detail);
        let [identity, locations] = ENVELOPE.open(&object, bytes)?;
        if RangeId::of(&identity) != id {
            return Err(damaged("its entries do not have its hash"));
        }
        let wrong = |wrong| match wrong {
            Wrong::Damaged(detail) => damaged(detail),
            Wrong::Unknown { what, number } => FormatError::Unknown {
                object: object(),
                action: "read",
                what,
                name: number.to_string(),
            },
        };
        let mut range = read_identity(&identity).map_err(wrong)?;
        read_locations(&locations, &mut range.entries).map_err(wrong)?;
        Ok(range)
    }

    fn identity(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * 64);
        put_varint(&mut out, self.entries.len() as u64);
        let (mut path_before, mut modified_before) = ("", 0);
        for (path, Placed { entry, .. }) in &self.entries {
            put_path(&mut out, path_before, path.as_str());
            put_kind(&mut out, entry);
            put_signed(&mut out, entry.modified.micros().wrapping_sub(modified_before));
            (path_before, modified_before) = (path.as_str(), entry.modified.micros());
        }
        out
    }

    fn locations(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * 8);
        let mut state = Packed::default();
        for (_, placed) in &self.entries {
            match placed.at {
                Location::Unknown => out.push(UNKNOWN),
                Location::Blob => out.push(BLOB),
                Location::Chunk { pack, offset, stored } => state.put(&mut out, CHUNK, pack, offset, stored),
                Location::Recipe { pack, offset, stored } => state.put(&mut out, RECIPE, pack, offset, stored),
            }
        }
        out
    }
}

/// The kind with what belongs to it, then the attributes if there are any.
fn put_kind(out: &mut Vec<u8>, entry: &Entry) {
    let mark = if entry.attributes.is_empty() { 0 } else { ATTRIBUTES };
    match &entry.kind {
        EntryKind::File(file) => {
            out.push(mark | if file.executable { EXECUTABLE } else { FILE });
            put_varint(out, file.size);
            out.extend_from_slice(file.id.as_bytes());
        }
        EntryKind::Symlink { target } => {
            out.push(mark | SYMLINK);
            put_text(out, target);
        }
        EntryKind::Folder => out.push(mark | FOLDER),
        EntryKind::External(external) => {
            out.push(mark | EXTERNAL);
            put_varint(out, external.size);
            for text in [&external.container, &external.key, &external.etag, &external.version] {
                put_text(out, text);
            }
        }
    }
    if mark != 0 {
        put_varint(out, entry.attributes.iter().len() as u64);
        for (key, value) in entry.attributes.iter() {
            put_text(out, key);
            put_text(out, value);
        }
    }
}

/// Why a section cannot be read.
enum Wrong {
    Damaged(&'static str),
    /// Something that a later program writes, and this one does not know.
    Unknown {
        what: &'static str,
        number: u8,
    },
}

impl From<&'static str> for Wrong {
    fn from(detail: &'static str) -> Self {
        Wrong::Damaged(detail)
    }
}

fn read_identity(bytes: &[u8]) -> Result<Range, Wrong> {
    let mut reader = Reader::new(bytes);
    let count = reader.length(RANGE_ENTRIES_MAX)?;
    if count == 0 {
        return Err("it holds no entries".into());
    }
    let mut entries: Vec<(RepoPath, Placed)> = Vec::with_capacity(count);
    let mut modified = 0i64;
    for _ in 0..count {
        let before = entries.last().map_or("", |(path, _)| path.as_str());
        let path = reader.path(before, false)?;
        let (kind, attributes) = read_kind(&mut reader)?;
        modified = modified.wrapping_add(reader.signed()?);
        let entry = Entry {
            kind,
            modified: Timestamp::from_micros(modified),
            attributes,
        };
        entries.push((
            path,
            Placed {
                entry,
                at: Location::Unknown,
            },
        ));
    }
    reader.end()?;
    Ok(Range { entries })
}

fn read_kind(reader: &mut Reader<'_>) -> Result<(EntryKind, Attributes), Wrong> {
    let tag = reader.byte()?;
    let kind = match tag & !ATTRIBUTES {
        tag @ (FILE | EXECUTABLE) => {
            let size = reader.varint()?;
            let id = FileId::from_bytes(reader.hash()?);
            EntryKind::File(File {
                id,
                size,
                executable: tag == EXECUTABLE,
            })
        }
        SYMLINK => EntryKind::Symlink {
            target: reader.text(SYMLINK_LEN_MAX)?,
        },
        FOLDER => EntryKind::Folder,
        EXTERNAL => EntryKind::External(External {
            size: reader.varint()?,
            container: reader.text(CONTAINER_LEN_MAX)?,
            key: reader.text(KEY_LEN_MAX)?,
            etag: reader.text(ETAG_LEN_MAX)?,
            version: reader.text(ETAG_LEN_MAX)?,
        }),
        _ => {
            return Err(Wrong::Unknown {
                what: "kind of entry",
                number: tag,
            });
        }
    };
    let attributes = match tag & ATTRIBUTES {
        0 => Attributes::default(),
        _ => read_attributes(reader)?,
    };
    Ok((kind, attributes))
}

fn read_attributes(reader: &mut Reader<'_>) -> Read<Attributes> {
    let count = reader.length(ATTRIBUTES_MAX)?;
    if count == 0 {
        return Err("an entry says that it has attributes, and has none");
    }
    let mut attributes: Vec<(String, String)> = Vec::with_capacity(count);
    for _ in 0..count {
        let key = reader.text(ATTRIBUTES_LEN_MAX)?;
        if attributes.last().is_some_and(|(before, _)| *before >= key) {
            return Err("attributes are out of order");
        }
        attributes.push((key, reader.text(ATTRIBUTES_LEN_MAX)?));
    }
    Attributes::new(attributes).map_err(|_| "an attribute is not allowed")
}

fn read_locations(bytes: &[u8], entries: &mut [(RepoPath, Placed)]) -> Result<(), Wrong> {
    let mut reader = Reader::new(bytes);
    let mut state = Packed::default();
    for (_, placed) in entries {
        placed.at = match reader.byte()? {
            UNKNOWN => Location::Unknown,
            BLOB => Location::Blob,
            tag if tag & !SAME_PACK == CHUNK => {
                let (pack, offset, stored) = state.read(&mut reader, tag)?;
                Location::Chunk { pack, offset, stored }
            }
            tag if tag & !SAME_PACK == RECIPE => {
                let (pack, offset, stored) = state.read(&mut reader, tag)?;
                Location::Recipe { pack, offset, stored }
            }
            number => {
                return Err(Wrong::Unknown {
                    what: "kind of location",
                    number,
                });
            }
        };
    }
    Ok(reader.end()?)
}

/// The last location in a pack: files added together lie one after another, so the next is mostly where this one ends.
#[derive(Default)]
struct Packed {
    pack: Option<PackId>,
    end: u64,
}

impl Packed {
    fn put(&mut self, out: &mut Vec<u8>, tag: u8, pack: PackId, offset: u64, stored: u32) {
        let same = self.pack == Some(pack);
        out.push(if same { tag | SAME_PACK } else { tag });
        if !same {
            out.extend_from_slice(pack.as_bytes());
        }
        put_signed(out, offset.wrapping_sub(self.end) as i64);
        put_varint(out, u64::from(stored));
        *self = Packed {
            pack: Some(pack),
            end: offset.wrapping_add(u64::from(stored)),
        };
    }

    fn read(&mut self, reader: &mut Reader<'_>, tag: u8) -> Read<(PackId, u64, u32)> {
        let pack = match self.pack {
            Some(pack) if tag & SAME_PACK != 0 => pack,
            None if tag & SAME_PACK != 0 => return Err("a location names no pack"),
            _ => PackId::from_bytes(reader.hash()?),
        };
        let offset = self.end.wrapping_add(reader.signed()? as u64);
        let stored = u32::try_from(reader.varint()?).map_err(|_| "a stored length is over its limit")?;
        *self = Packed {
            pack: Some(pack),
            end: offset.wrapping_add(u64::from(stored)),
        };
        Ok((pack, offset, stored))
    }
}
