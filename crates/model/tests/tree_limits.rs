//! Trees at their limits: what is read back is written, and what would not be is refused before anything is stored.

use drumlin_model::{
    Entry, EntryKind, ErrorKind, FormatError, Location, Placed, RangeId, RepoPath, Timestamp, TreeId,
    tree::{RANGE_ENTRIES_MAX, RANGE_WEIGHT_MAX, Range, RangeRef, SYMLINK_LEN_MAX, TREE_RANGES_MAX, Tree},
};

use crate::tree_codec::{file, path};

/// A range that nobody ever made: `number` orders it, `padding` makes its last path longer.
fn synthetic(number: usize, padding: usize) -> RangeRef {
    RangeRef {
        id: RangeId::of(&number.to_le_bytes()),
        first: path(&format!("{number:08}/a/{}z", "x/".repeat(400))),
        last: path(&format!("{number:08}/b/{}", "y".repeat(padding))),
        entries: 1000,
        bytes: 7_000_000,
    }
}

fn small(number: usize) -> RangeRef {
    let name = path(&format!("{number:08}"));
    RangeRef {
        first: name.clone(),
        last: name,
        ..synthetic(number, 1)
    }
}

fn too_large<T>(result: Result<T, FormatError>) -> (usize, usize) {
    match result.map(drop).expect_err("it is over its limit") {
        error @ FormatError::TooLarge { found, most, .. } => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            (found, most)
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_tree_has_its_most_ranges_and_not_one_more() {
    let mut tree = Tree {
        ranges: (0..TREE_RANGES_MAX).map(small).collect(),
    };
    let (id, bytes) = tree.encode().unwrap();
    assert_eq!(Tree::from_bytes(id, &bytes).unwrap(), tree);
    tree.ranges.push(small(TREE_RANGES_MAX));
    assert_eq!(too_large(tree.encode()), (TREE_RANGES_MAX + 1, TREE_RANGES_MAX));
    let error = tree.encode().unwrap_err().to_string();
    assert_eq!(error, "the tree would have 65537 ranges; at most 65536 are read back");
    // Whoever writes it all the same is not believed: a reader has no more memory for it than a writer.
    let (id, bytes) = stored(&tree);
    let error = Tree::from_bytes(id, &bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("a length is over its limit"), "{error}");
}

/// An index node as no program of ours writes one.
fn stored(tree: &Tree) -> (TreeId, Vec<u8>) {
    let mut section = Vec::new();
    let number = |section: &mut Vec<u8>, mut value: usize| {
        while value >= 0x80 {
            section.push(value as u8 | 0x80);
            value >>= 7;
        }
        section.push(value as u8);
    };
    number(&mut section, tree.ranges.len());
    let mut before = String::new();
    for range in &tree.ranges {
        let first = range.first.as_str();
        let shared = before.bytes().zip(first.bytes()).take_while(|(a, b)| a == b).count();
        number(&mut section, shared);
        number(&mut section, first.len() - shared);
        section.extend_from_slice(&first.as_bytes()[shared..]);
        number(&mut section, first.len());
        number(&mut section, 0);
        number(&mut section, range.entries as usize);
        number(&mut section, range.bytes as usize);
        section.extend_from_slice(range.id.as_bytes());
        before = first.to_owned();
    }
    let frame = zstd::bulk::compress(&section, 1).unwrap();
    let mut bytes = b"drumlin tree 1\n".to_vec();
    bytes.extend_from_slice(&(section.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&frame);
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    (TreeId::of(&section), bytes)
}

#[test]
fn an_index_node_has_its_most_bytes_and_not_one_more() {
    const PADDING: usize = 240;
    // 65,536 ranges with two long paths each would be over the limit.
    let ranges: Vec<_> = (0..TREE_RANGES_MAX).map(|number| synthetic(number, PADDING)).collect();
    let mut tree = Tree { ranges };
    let (found, most) = match tree.encode() {
        Err(FormatError::TooLarge { found, most, .. }) => (found, most),
        other => panic!("the paths are too short for this test: {:?}", other.map(drop)),
    };
    // The path of a range is shortened byte by byte until the node is one byte too long, and then just not.
    for excess in [1, 0] {
        let mut spare = found - most - excess;
        for number in 0..TREE_RANGES_MAX {
            let cut = spare.min(PADDING - 130);
            tree.ranges[number] = synthetic(number, PADDING - cut);
            spare -= cut;
        }
        assert_eq!(spare, 0);
        if excess == 1 {
            assert_eq!(too_large(tree.encode()), (most + 1, most));
        } else {
            let (id, bytes) = tree.encode().unwrap();
            assert_eq!(Tree::from_bytes(id, &bytes).unwrap(), tree);
        }
    }
}

#[test]
fn a_range_has_its_most_entries_and_not_one_more() {
    let entries = (0..RANGE_ENTRIES_MAX).map(|number| (path(&format!("{number:05}")), file("x", 0)));
    let mut range = Range {
        entries: entries.collect(),
    };
    let encoded = range.encode().unwrap();
    assert_eq!(Range::from_bytes(encoded.reference.id, &encoded.bytes).unwrap(), range);
    range.entries.push((path("z"), file("x", 0)));
    assert_eq!(too_large(range.encode()), (RANGE_ENTRIES_MAX + 1, RANGE_ENTRIES_MAX));
}

fn link(name: &str, len: usize) -> (RepoPath, Placed) {
    let kind = EntryKind::Symlink {
        target: "t".repeat(len),
    };
    let entry = Entry::new(kind, Timestamp::from_micros(0));
    let at = Location::Unknown;
    (path(name), Placed { entry, at })
}

#[test]
fn a_range_has_its_most_bytes_and_not_one_more() {
    let links = RANGE_WEIGHT_MAX / SYMLINK_LEN_MAX + 4;
    let mut range = Range {
        entries: (0..links)
            .map(|number| link(&format!("{number:05}"), SYMLINK_LEN_MAX))
            .collect(),
    };
    let (found, most) = too_large(range.encode());
    let excess = found - most;
    assert!(excess < SYMLINK_LEN_MAX - 200, "one shorter target is enough: {excess}");
    let last = format!("{:05}", links - 1);
    range.entries[links - 1] = link(&last, SYMLINK_LEN_MAX - excess + 1);
    assert_eq!(too_large(range.encode()), (most + 1, most));
    range.entries[links - 1] = link(&last, SYMLINK_LEN_MAX - excess);
    let encoded = range.encode().unwrap();
    assert_eq!(Range::from_bytes(encoded.reference.id, &encoded.bytes).unwrap(), range);
}

/// An index node with levels will have a greater format, whatever is in it.
#[test]
fn an_index_node_with_levels_is_too_new() {
    let (id, bytes) = Tree::default().encode().unwrap();
    let body = &bytes[b"drumlin tree 1\n".len()..bytes.len() - 32];
    let mut later = b"drumlin tree 2\n".to_vec();
    later.extend_from_slice(body);
    later.extend_from_slice(b"and more");
    let hash = blake3::hash(&later);
    later.extend_from_slice(hash.as_bytes());
    let error = Tree::from_bytes(id, &later).unwrap_err();
    assert!(
        matches!(
            error,
            FormatError::TooNew {
                found: 2,
                newest: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
