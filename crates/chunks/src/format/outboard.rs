//! `Outboard`: the values of a blob's blocks, so that a range of it is verified without the rest.
//! They merge to the blob's id: an outboard is as good as the id that it was verified against, and one that is lost is made again
//! from the blob. `writer` stores them beside blobs, `blob` reads with them. Invariant: an `Outboard` in memory belongs to its id.
//!
//! `DRUMOUTB | format u32 | 32 bytes for each block`.

use bytes::Bytes;
use drumlin_model::FileId;

use crate::format::hash_tree::{self, BLOCK_LEN, BlockHasher, VALUE_LEN, Value};

const MAGIC: &[u8; 8] = b"DRUMOUTB";
const FORMAT: u32 = 1;
const HEAD_LEN: usize = MAGIC.len() + 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outboard {
    size: u64,
    blocks: Vec<Value>,
}

impl Outboard {
    /// Of content that is one block, which its id says all of: none is stored.
    pub(crate) fn of_block(id: &FileId, size: u64) -> Option<Self> {
        (size <= BLOCK_LEN).then(|| Self {
            size,
            blocks: vec![*id.as_bytes()],
        })
    }

    /// The outboard of what was hashed, and its id.
    pub(crate) fn of_hashed(hasher: BlockHasher) -> (FileId, Self) {
        let size = hasher.size();
        let blocks = hasher.finish();
        let outboard = Self { size, blocks };
        (outboard.root(), outboard)
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.blocks.len() > 1
    }

    /// How long the object is for a blob of that many bytes.
    pub(crate) fn object_len(size: u64) -> u64 {
        HEAD_LEN as u64 + size.div_ceil(BLOCK_LEN) * VALUE_LEN as u64
    }

    pub(crate) fn to_object(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEAD_LEN + self.blocks.len() * VALUE_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(self.blocks.as_flattened());
        out.into()
    }

    /// Reads an object back, unless it is not that of the content with this id and size.
    pub(crate) fn from_object(object: &[u8], id: &FileId, size: u64) -> Option<Self> {
        let rows = object.strip_prefix(MAGIC)?.strip_prefix(&FORMAT.to_le_bytes())?;
        if size <= BLOCK_LEN || object.len() as u64 != Self::object_len(size) {
            return None;
        }
        let blocks = rows.as_chunks::<VALUE_LEN>().0.to_vec();
        let outboard = Self { size, blocks };
        (outboard.root() == *id).then_some(outboard)
    }

    fn root(&self) -> FileId {
        match self.blocks[..] {
            [block] => FileId::from_bytes(block),
            _ => hash_tree::root(&self.blocks, BLOCK_LEN, self.size),
        }
    }

    /// The first block of `bytes` that is not the content's. They begin with block number `first` and end with a block.
    pub(crate) fn wrong_block(&self, first: u64, bytes: &[u8]) -> Option<u64> {
        match self.blocks[..] {
            [block] => (blake3::hash(bytes) != block).then_some(first),
            _ => hash_tree::wrong_block(first, bytes, |number| self.blocks.get(number as usize).copied()),
        }
    }

    /// What it takes in memory.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.blocks.len() * VALUE_LEN
    }
}
