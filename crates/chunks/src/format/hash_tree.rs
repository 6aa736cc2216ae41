//! The tree that BLAKE3 is: the values of aligned pieces of content, and how they merge to the content's hash.
//! `outboard` (blobs) and `recipe` (chunked files) store such values, so that a range is verified without the rest of its file.
//! Source: the BLAKE3 paper, section 2.1. A piece whose length is a power of two times 1 KiB, at a multiple of it, is a whole subtree.

use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use drumlin_model::FileId;

/// The smallest piece that is verified by itself, in bytes: what a range reads at least, and 1/2048 of the content for the values.
pub(crate) const BLOCK_LEN: u64 = 64 << 10;
/// Bytes of a value.
pub(crate) const VALUE_LEN: usize = 32;
/// What a subtree of content has for a hash.
pub(crate) type Value = ChainingValue;

/// The hash of content of `len` bytes, from the values of its pieces: each of `piece_len` bytes, and the last what is left.
/// There are at least two, because a single piece has no value but the hash itself.
pub(crate) fn root(pieces: &[Value], piece_len: u64, len: u64) -> FileId {
    let (left, right) = halves(pieces, piece_len, len);
    merge_subtrees_root(&left, &right, Mode::Hash).into()
}

/// The value of a part of longer content, from the values of its pieces. The part begins at a multiple of a power of two that is
/// not less than `len`.
pub(crate) fn subtree(pieces: &[Value], piece_len: u64, len: u64) -> Value {
    if let [piece] = pieces {
        return *piece;
    }
    let (left, right) = halves(pieces, piece_len, len);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

/// The two subtrees of what is longer than a piece.
fn halves(pieces: &[Value], piece_len: u64, len: u64) -> (Value, Value) {
    let left_len = left_subtree_len(len);
    let (left, right) = pieces.split_at((left_len / piece_len) as usize);
    (
        subtree(left, piece_len, left_len),
        subtree(right, piece_len, len - left_len),
    )
}

/// The value of block number `number` of content that has more than one.
pub(crate) fn block_value(number: u64, block: &[u8]) -> Value {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(number * BLOCK_LEN);
    hasher.update(block).finalize_non_root()
}

/// The first block of `bytes` that has not the value it should have. `bytes` begin with block number `first` of content that has
/// more than one, and end with a block.
pub(crate) fn wrong_block(first: u64, bytes: &[u8], value: impl Fn(u64) -> Option<Value>) -> Option<u64> {
    (first..)
        .zip(bytes.chunks(BLOCK_LEN as usize))
        .find(|(number, block)| value(*number) != Some(block_value(*number, block)))
        .map(|(number, _)| number)
}

/// Hashes content as it comes, block by block.
#[derive(Debug, Default)]
pub(crate) struct BlockHasher {
    size: u64,
    /// How many values were taken out.
    taken: u64,
    /// Of the blocks that are whole and followed by more.
    values: Vec<Value>,
    hasher: blake3::Hasher,
}

impl BlockHasher {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let begun = self.size - (self.taken + self.values.len() as u64) * BLOCK_LEN;
            // Only when more follows is it known that a full block is not the root.
            if begun == BLOCK_LEN {
                self.values.push(self.hasher.finalize_non_root());
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

    /// Takes the next `count` values out, all of which have to be known.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Value> {
        self.taken += count as u64;
        self.values.drain(..count).collect()
    }

    /// The values that were not taken, the last block's with them. Where the content is a single block, that is its hash.
    pub(crate) fn finish(mut self) -> Vec<Value> {
        self.values.push(if self.taken == 0 && self.values.is_empty() {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        });
        self.values
    }
}
