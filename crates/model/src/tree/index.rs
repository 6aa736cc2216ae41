//! `Tree`: the index node, which names a tree's ranges in key order. Its hash is the `TreeId`.
//! `range` is what it points at; `repo::trees` fetches both.
//! Invariant: ranges do not overlap and ascend, so a path can be in one of them only.

use crate::{
    error::FormatError,
    id::{RangeId, TreeId},
    path::RepoPath,
    tree::wire::{Envelope, Read, Reader, put_path, put_varint},
};

/// The newest format of index nodes that this program writes and reads.
pub const TREE_FORMAT: u32 = 1;
/// The most ranges of a tree that one index node names: some 134 million entries. Page 001 says how a larger tree will
/// be cut into several nodes, so that no tree that is written today ever gets another id.
pub const TREE_RANGES_MAX: usize = 1 << 16;
/// The largest index node, decompressed: 1 KiB for each of the most ranges, five times what paths of 100 bytes take.
const IDENTITY_LEN_MAX: usize = TREE_RANGES_MAX << 10;
/// The least that one range takes in an index node: four numbers of its paths, two counts, an id.
const RANGE_REF_LEN_MIN: usize = 4 + 2 + 32;

const ENVELOPE: Envelope<1> = Envelope {
    magic: "drumlin tree ",
    format: TREE_FORMAT,
    sections_max: [IDENTITY_LEN_MAX],
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub ranges: Vec<RangeRef>,
}

/// What the index node says of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRef {
    pub id: RangeId,
    pub first: RepoPath,
    pub last: RepoPath,
    pub entries: u64,
    /// The sum of the sizes of its entries, as readers see them.
    pub bytes: u64,
}

/// What a tree holds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSummary {
    pub entries: u64,
    pub bytes: u64,
}

impl Tree {
    pub fn id(&self) -> TreeId {
        TreeId::of(&self.identity())
    }

    /// The id and the bytes to store. A tree that is larger than is read back is refused.
    pub fn encode(&self) -> Result<(TreeId, Vec<u8>), FormatError> {
        if self.ranges.len() > TREE_RANGES_MAX {
            return Err(FormatError::TooLarge {
                object: "the tree",
                found: self.ranges.len(),
                most: TREE_RANGES_MAX,
                unit: "ranges",
            });
        }
        let identity = self.identity();
        Ok((TreeId::of(&identity), ENVELOPE.seal("the tree", [&identity])?))
    }

    /// Reads an index node back and checks that the bytes are those that `id` names.
    pub fn from_bytes(id: TreeId, bytes: &[u8]) -> Result<Self, FormatError> {
        let object = || format!("tree {id}");
        let damaged = |detail: &str| FormatError::damaged(object(), detail);
        let [identity] = ENVELOPE.open(&object, bytes)?;
        if TreeId::of(&identity) != id {
            return Err(damaged("its ranges do not have its hash"));
        }
        read_identity(&identity).map_err(damaged)
    }

    /// Where the range is that `path` is in, or would be in if it were between the range's first and last path.
    pub fn position(&self, path: &str) -> usize {
        self.ranges.partition_point(|range| range.last.as_str() < path)
    }

    pub fn summary(&self) -> TreeSummary {
        self.ranges
            .iter()
            .fold(TreeSummary::default(), |sum, range| TreeSummary {
                entries: sum.entries.saturating_add(range.entries),
                bytes: sum.bytes.saturating_add(range.bytes),
            })
    }

    fn identity(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ranges.len() * 96);
        put_varint(&mut out, self.ranges.len() as u64);
        let mut before = "";
        for range in &self.ranges {
            put_path(&mut out, before, range.first.as_str());
            put_path(&mut out, range.first.as_str(), range.last.as_str());
            put_varint(&mut out, range.entries);
            put_varint(&mut out, range.bytes);
            out.extend_from_slice(range.id.as_bytes());
            before = range.last.as_str();
        }
        out
    }
}

fn read_identity(bytes: &[u8]) -> Read<Tree> {
    let mut reader = Reader::new(bytes);
    let count = reader.length(TREE_RANGES_MAX.min(bytes.len() / RANGE_REF_LEN_MIN))?;
    let mut ranges: Vec<RangeRef> = Vec::with_capacity(count);
    for _ in 0..count {
        let before = ranges.last().map_or("", |range| range.last.as_str());
        let first = reader.path(before, false)?;
        let last = reader.path(first.as_str(), true)?;
        let (entries, bytes) = (reader.varint()?, reader.varint()?);
        ranges.push(RangeRef {
            id: RangeId::from_bytes(reader.hash()?),
            first,
            last,
            entries,
            bytes,
        });
    }
    reader.end()?;
    Ok(Tree { ranges })
}
