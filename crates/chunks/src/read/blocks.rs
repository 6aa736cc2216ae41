//! Ranges of bytes as runs of whole blocks, which is what can be verified, and back.
//! Pure; `blob` and `chunked` read the runs.

use std::ops::Range;

use bytes::Bytes;

use crate::format::hash_tree::BLOCK_LEN;

/// Runs of whole blocks of content of `size` bytes, in order and apart from each other, that together hold all ranges.
pub(crate) fn runs(ranges: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let asked = ranges.iter().filter(|range| !range.is_empty());
    let mut touched: Vec<Range<u64>> = asked
        .map(|range| {
            let end = range
                .end
                .checked_next_multiple_of(BLOCK_LEN)
                .map_or(size, |end| end.min(size));
            range.start - range.start % BLOCK_LEN..end
        })
        .collect();
    touched.sort_unstable_by_key(|run| run.start);
    let mut runs: Vec<Range<u64>> = Vec::with_capacity(touched.len());
    for next in touched {
        match runs.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => runs.push(next),
        }
    }
    runs
}

/// The bytes of the ranges, from those of their runs.
pub(crate) fn slices(ranges: &[Range<u64>], runs: &[Range<u64>], read: &[Bytes]) -> Vec<Bytes> {
    let slice = |range: &Range<u64>| {
        if range.is_empty() {
            return Bytes::new();
        }
        let number = runs.partition_point(|run| run.start <= range.start) - 1;
        let start = runs[number].start;
        read[number].slice((range.start - start) as usize..(range.end - start) as usize)
    };
    ranges.iter().map(slice).collect()
}

/// Content of `size` bytes from its beginning to its end, window by window of `len` bytes.
pub(crate) fn windows(size: u64, len: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size).step_by(len as usize);
    starts.map(move |start| start..size.min(start + len))
}
