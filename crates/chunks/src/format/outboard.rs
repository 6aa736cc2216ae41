//! `Outboard`: the hashes of a blob's blocks, so that a range of it is verified without the rest.
//! They are the chaining values of the subtrees of BLAKE3 itself, so merged they give the blob's id: an outboard is as good as the id
//! that it was verified against, and one that is lost is made again from the blob.
//! `writer` stores them beside blobs, `blob` reads with them. Invariant: an `Outboard` in memory belongs to its id.
//!
//! `DRUMOUTB | format u32 | 32 bytes for each block`. Source: BLAKE3, section 2.1 (tree structure).

use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use bytes::Bytes;
use drumlin_model::FileId;

/// What is read at least, and 1/2048 of a blob for its outboard. A power of two, as subtrees are.
pub(crate) const BLOCK_LEN: u64 = 64 << 10;
const MAGIC: &[u8; 8] = b"DRUMOUTB";
const FORMAT: u32 = 1;
const HEAD_LEN: usize = MAGIC.len() + 4;
const ROW_LEN: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outboard {
    size: u64,
    blocks: Vec<ChainingValue>,
}

impl Outboard {
    /// Of content that is one block, which its id says all of: none is stored.
    pub(crate) fn of_block(id: &FileId, size: u64) -> Option<Self> {
        (size <= BLOCK_LEN).then(|| Self {
            size,
            blocks: vec![*id.as_bytes()],
        })
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.blocks.len() > 1
    }

    /// How long the object is for a blob of that many bytes.
    pub(crate) fn object_len(size: u64) -> u64 {
        HEAD_LEN as u64 + size.div_ceil(BLOCK_LEN) * ROW_LEN as u64
    }

    pub(crate) fn to_object(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEAD_LEN + self.blocks.len() * ROW_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        self.blocks.iter().for_each(|block| out.extend_from_slice(block));
        out.into()
    }

    /// Reads an object back, unless it is not that of the content with this id and size.
    pub(crate) fn from_object(object: &[u8], id: &FileId, size: u64) -> Option<Self> {
        let rows = object.strip_prefix(MAGIC)?.strip_prefix(&FORMAT.to_le_bytes())?;
        if size <= BLOCK_LEN || object.len() as u64 != Self::object_len(size) {
            return None;
        }
        let blocks = rows
            .chunks_exact(ROW_LEN)
            .map(|row| row.try_into().expect("of that length"))
            .collect();
        let outboard = Self { size, blocks };
        (outboard.root() == *id).then_some(outboard)
    }

    fn root(&self) -> FileId {
        if let [block] = self.blocks[..] {
            return FileId::from_bytes(block);
        }
        let (left, right) = halves(&self.blocks, self.size);
        merge_subtrees_root(&left, &right, Mode::Hash).into()
    }

    /// Whether `bytes`, which begin with block number `first` and end with a block, are the content's.
    /// The block that is not, if there is one.
    pub(crate) fn wrong_block(&self, first: u64, bytes: &[u8]) -> Option<u64> {
        let hash = |number: u64, block: &[u8]| match self.is_stored() {
            true => chaining_value(number, block),
            false => *blake3::hash(block).as_bytes(),
        };
        (first..)
            .zip(bytes.chunks(BLOCK_LEN as usize))
            .find(|(number, block)| self.blocks.get(*number as usize) != Some(&hash(*number, block)))
            .map(|(number, _)| number)
    }

    /// What it takes in memory.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.blocks.len() * ROW_LEN
    }
}

fn chaining_value(number: u64, block: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(number * BLOCK_LEN);
    hasher.update(block).finalize_non_root()
}

/// The two subtrees of content that is longer than a block.
fn halves(blocks: &[ChainingValue], len: u64) -> (ChainingValue, ChainingValue) {
    let left_len = left_subtree_len(len);
    let (left, right) = blocks.split_at((left_len / BLOCK_LEN) as usize);
    (subtree(left, left_len), subtree(right, len - left_len))
}

fn subtree(blocks: &[ChainingValue], len: u64) -> ChainingValue {
    if let [block] = blocks {
        return *block;
    }
    let (left, right) = halves(blocks, len);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

/// Makes an outboard, and the content's id on the way.
#[derive(Debug, Default)]
pub(crate) struct OutboardBuilder {
    size: u64,
    /// The blocks that are whole and not the last.
    blocks: Vec<ChainingValue>,
    hasher: blake3::Hasher,
}

impl OutboardBuilder {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let begun = self.size - self.blocks.len() as u64 * BLOCK_LEN;
            // Only when more follows is it known that a full block is not the root.
            if begun == BLOCK_LEN {
                self.blocks.push(self.hasher.finalize_non_root());
                self.hasher = blake3::Hasher::new();
                self.hasher.set_input_offset(self.size);
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min((BLOCK_LEN - begun) as usize));
            self.hasher.update(now);
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(mut self) -> (FileId, Outboard) {
        self.blocks.push(match self.blocks.is_empty() {
            true => *self.hasher.finalize().as_bytes(),
            false => self.hasher.finalize_non_root(),
        });
        let outboard = Outboard {
            size: self.size,
            blocks: self.blocks,
        };
        (outboard.root(), outboard)
    }
}
