//! Where content is cut is part of the stored format: these numbers may never change.

use drumlin_chunks::{CHUNK_LEN_MAX, CHUNK_LEN_MIN, cut};

use crate::support::{noise, text};

fn ends(bytes: &[u8]) -> Vec<usize> {
    cut(bytes, true).iter().map(|range| range.end).collect()
}

#[test]
fn golden_boundaries() {
    assert_eq!(
        ends(&noise(7, 600_000)),
        [31171, 69978, 198478, 277996, 409068, 529454, 590547, 600000]
    );
    assert_eq!(
        ends(&text(7, 400_000)),
        [55610, 128017, 154259, 212565, 286024, 371859, 400000]
    );
    assert_eq!(ends(&vec![0; 300_000]), [131_072, 262_144, 300_000]);
}

#[test]
fn chunks_tile_within_their_bounds() {
    for len in [1, CHUNK_LEN_MIN, CHUNK_LEN_MAX, CHUNK_LEN_MAX + 1, 3_000_001] {
        let ranges = cut(&noise(3, len), true);
        assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, len));
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        let (_, all_but_last) = ranges.split_last().unwrap();
        assert!(
            all_but_last
                .iter()
                .all(|range| (CHUNK_LEN_MIN..=CHUNK_LEN_MAX).contains(&range.len()))
        );
    }
}

/// How the bytes arrive does not move a boundary.
#[test]
fn cutting_in_pieces_is_cutting_at_once() {
    let bytes = noise(9, 2_000_000);
    let whole = ends(&bytes);
    for piece in [131_072, 200_000, 777_777] {
        let (mut found, mut rest, mut done) = (Vec::new(), Vec::new(), 0);
        for (number, part) in bytes.chunks(piece).enumerate() {
            rest.extend_from_slice(part);
            let ranges = cut(&rest, (number + 1) * piece >= bytes.len());
            found.extend(ranges.iter().map(|range| done + range.end));
            let end = ranges.last().map_or(0, |range| range.end);
            rest.drain(..end);
            done += end;
        }
        assert_eq!(found, whole);
    }
}

/// An insertion moves the boundaries near it and no others.
#[test]
fn boundaries_come_back_after_an_insertion() {
    let before = noise(11, 3_000_000);
    let mut after = before[..1_000_000].to_vec();
    after.extend_from_slice(b"inserted");
    after.extend_from_slice(&before[1_000_000..]);
    let (before, after) = (ends(&before), ends(&after));
    let kept = after
        .iter()
        .filter(|end| before.contains(end) || before.contains(&(**end - 8)))
        .count();
    assert!(
        before.len() - kept <= 3,
        "{} of {} boundaries moved",
        before.len() - kept,
        before.len()
    );
}
