//! Where content is cut into chunks: FastCDC (2020), 8 to 128 KiB, 64 KiB on average, normalization level 1, no seed.
//! Part of the stored format: two programs that cut differently do not deduplicate. `file_builder` cuts with it.

use std::ops::Range;

use fastcdc::v2020::FastCDC;

pub const CHUNK_LEN_MIN: usize = 8 << 10;
pub const CHUNK_LEN_MEAN: usize = 64 << 10;
/// Also the longest content that is one chunk whatever is in it.
pub const CHUNK_LEN_MAX: usize = 128 << 10;

/// The chunks at the start of `bytes`: all of them when nothing follows (`last`), otherwise those whose end
/// is sure whatever follows. What is left over goes before the next bytes.
pub fn cut(bytes: &[u8], last: bool) -> Vec<Range<usize>> {
    let cutter = FastCDC::new(bytes, CHUNK_LEN_MIN, CHUNK_LEN_MEAN, CHUNK_LEN_MAX);
    let mut chunks = Vec::with_capacity(bytes.len() / CHUNK_LEN_MEAN + 1);
    let mut start = 0;
    while start < bytes.len() && (last || bytes.len() - start >= CHUNK_LEN_MAX) {
        let (_, end) = cutter.cut(start, bytes.len() - start);
        chunks.push(start..end);
        start = end;
    }
    chunks
}
