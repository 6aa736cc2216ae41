//! Reads fixed-width fields from the front of stored bytes; whatever is not there is `None`, and nothing is allocated.
//! Used by every format of this crate; all numbers are little-endian.

pub(crate) struct BytesReader<'a> {
    rest: &'a [u8],
}

impl<'a> BytesReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `count` rows of `N` bytes.
    pub(crate) fn rows<const N: usize>(&mut self, count: usize) -> Option<&'a [[u8; N]]> {
        let (rows, rest) = self.rest.split_at_checked(count.checked_mul(N)?)?;
        self.rest = rest;
        Some(rows.as_chunks::<N>().0)
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }
}
