//! Hostile bytes: whatever is stored under a tree's or a range's name, reading it ends in a value or an error,
//! and takes no more memory than the limits say. The envelope is written here a second time, from its description.

use drumlin_model::{
    ErrorKind, FormatError, RangeId, TreeId,
    tree::{Range, Tree},
};
use proptest::{collection::vec, prelude::*};

use crate::tree_codec::{any_range, sample};

/// What `docs/design/001-stored-formats.md` says of both kinds of object.
fn seal(magic: &str, sections: &[(&[u8], u32)]) -> Vec<u8> {
    let stored: Vec<_> = sections
        .iter()
        .map(|(raw, _)| zstd::bulk::compress(raw, 3).unwrap())
        .collect();
    let mut out = magic.as_bytes().to_vec();
    for ((_, claimed), stored) in sections.iter().zip(&stored) {
        out.extend_from_slice(&claimed.to_le_bytes());
        out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    }
    out.extend(stored.concat());
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

fn sealed_range(identity: &[u8], locations: &[u8]) -> (RangeId, Vec<u8>) {
    let sections = [(identity, identity.len() as u32), (locations, locations.len() as u32)];
    (RangeId::of(identity), seal("drumlin range 1\n", &sections))
}

fn sealed_tree(identity: &[u8]) -> (TreeId, Vec<u8>) {
    (
        TreeId::of(identity),
        seal("drumlin tree 1\n", &[(identity, identity.len() as u32)]),
    )
}

/// The sections of a stored object, by the same description.
fn sections(bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
    let start = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = start + count * 8;
    let section = |index: usize| {
        let (raw, stored) = (number(start + index * 8), number(start + index * 8 + 4));
        at += stored;
        zstd::bulk::decompress(&bytes[at - stored..at], raw).unwrap()
    };
    (0..count).map(section).collect()
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), 1usize..40).prop_map(|(at, len)| Mutation::Remove(at, len)),
        1 => (at(), 1usize..80).prop_map(|(at, len)| Mutation::Repeat(at, len)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let clamp = |at: &prop::sample::Index, len: usize| {
        let at = at.index(bytes.len().max(1));
        at..(at + len).min(bytes.len())
    };
    match mutation {
        Mutation::Set(at, byte) => {
            let range = clamp(at, 1);
            bytes[range].fill(*byte);
        }
        Mutation::Insert(at, new) => {
            let at = clamp(at, 0).start.min(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Remove(at, len) => {
            let range = clamp(at, *len);
            bytes.drain(range);
        }
        Mutation::Repeat(at, len) => {
            let range = clamp(at, *len);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
    }
}

/// What was read is sound: in order, and it encodes to the same identity.
fn assert_sound(id: RangeId, range: &Range) {
    assert!(
        range.entries.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "paths ascend"
    );
    assert_eq!(range.reference().id, id, "one value has one encoding");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_no_object(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Range::from_bytes(RangeId::of(&bytes), &bytes).is_err());
        prop_assert!(Tree::from_bytes(TreeId::of(&bytes), &bytes).is_err());
    }

    #[test]
    fn random_sections_are_read_or_refused(identity in vec(any::<u8>(), 0..300), locations in vec(any::<u8>(), 0..100)) {
        let (id, bytes) = sealed_range(&identity, &locations);
        if let Ok(range) = Range::from_bytes(id, &bytes) {
            assert_sound(id, &range);
        }
        let (id, bytes) = sealed_tree(&identity);
        if let Ok(tree) = Tree::from_bytes(id, &bytes) {
            prop_assert_eq!(tree.id(), id);
        }
    }

    #[test]
    fn mutated_ranges_are_read_or_refused(range in any_range(), first in any_mutation(), more in vec(any_mutation(), 0..3)) {
        let encoded = range.encode().unwrap();
        let parts = sections(&encoded.bytes, 2);
        for which in [0, 1] {
            let mut parts = parts.clone();
            [&first].into_iter().chain(&more).for_each(|mutation| mutate(&mut parts[which], mutation));
            let (id, bytes) = sealed_range(&parts[0], &parts[1]);
            if let Ok(range) = Range::from_bytes(id, &bytes) {
                assert_sound(id, &range);
            }
        }
    }

    #[test]
    fn mutated_index_nodes_are_read_or_refused(ranges in vec(any_range(), 1..4), mutations in vec(any_mutation(), 1..4)) {
        let mut references: Vec<_> = ranges.iter().map(Range::reference).collect();
        references.sort_by(|a, b| a.first.cmp(&b.first));
        references.dedup_by(|b, a| a.last >= b.first);
        let (_, bytes) = Tree { ranges: references }.encode().unwrap();
        let mut identity = sections(&bytes, 1).remove(0);
        mutations.iter().for_each(|mutation| mutate(&mut identity, mutation));
        let (id, bytes) = sealed_tree(&identity);
        if let Ok(tree) = Tree::from_bytes(id, &bytes) {
            prop_assert_eq!(tree.id(), id);
            prop_assert!(tree.ranges.iter().all(|range| range.first <= range.last));
            prop_assert!(tree.ranges.windows(2).all(|pair| pair[0].last < pair[1].first));
        }
    }
}

#[test]
fn the_description_gives_the_same_objects() {
    let encoded = sample().encode().unwrap();
    let parts = sections(&encoded.bytes, 2);
    let (id, bytes) = sealed_range(&parts[0], &parts[1]);
    assert_eq!(id, encoded.reference.id);
    assert_eq!(Range::from_bytes(id, &bytes).unwrap(), sample());
}

#[test]
fn claims_over_the_limits_are_refused_before_memory_is_taken() {
    let refused = |magic, claims: &[(&[u8], u32)]| {
        let bytes = seal(magic, claims);
        match magic {
            "drumlin tree 1\n" => Tree::from_bytes(TreeId::of(b""), &bytes).unwrap_err().to_string(),
            _ => Range::from_bytes(RangeId::of(b""), &bytes).unwrap_err().to_string(),
        }
    };
    let over = refused("drumlin range 1\n", &[(b"", u32::MAX), (b"", 0)]);
    assert!(over.contains("a section is over its limit"), "{over}");
    let over = refused("drumlin range 1\n", &[(b"", 0), (b"", 16 << 20)]);
    assert!(over.contains("a section is over its limit"), "{over}");
    let over = refused("drumlin tree 1\n", &[(b"", u32::MAX)]);
    assert!(over.contains("a section is over its limit"), "{over}");
    // A megabyte of zeros in a few bytes, that claims to be ten bytes.
    let bomb = refused("drumlin range 1\n", &[(&vec![0; 1 << 20], 10), (b"", 0)]);
    assert!(bomb.contains("a section does not"), "{bomb}");
}

#[test]
fn counts_over_the_limits_are_refused() {
    for identity in [
        &b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"[..],
        b"\xff\xff\xff\x7f",
        b"\x00",
        b"\x05",
    ] {
        let (id, bytes) = sealed_range(identity, b"");
        Range::from_bytes(id, &bytes).unwrap_err();
    }
    let (id, bytes) = sealed_tree(b"\xff\xff\xff\xff\x0f");
    let error = Tree::from_bytes(id, &bytes).unwrap_err().to_string();
    assert!(error.contains("over its limit"), "{error}");
    // Eleven bytes of a number, and a number with a needless last byte.
    for identity in [&[0x80; 11][..], b"\x80\x00"] {
        let (id, bytes) = sealed_tree(identity);
        Tree::from_bytes(id, &bytes).unwrap_err();
    }
}

/// What a later program may write: a kind, a mark, or a place that this one does not know is no damage.
#[test]
fn what_is_not_known_is_called_newer() {
    let entry = |kind: u8| {
        let mut identity = b"\x01\x00\x01a".to_vec();
        identity.push(kind);
        identity.extend_from_slice(&[0; 34]);
        identity
    };
    let unknown = |identity: &[u8], locations: &[u8]| {
        let (id, bytes) = sealed_range(identity, locations);
        let error = Range::from_bytes(id, &bytes).unwrap_err();
        matches!(error, FormatError::Unknown { .. }) && error.kind() == ErrorKind::Unsupported
    };
    let (id, bytes) = sealed_range(&entry(0), b"\x00");
    Range::from_bytes(id, &bytes).unwrap();
    for kind in [5, 7, 13, 16, 128, 255] {
        assert!(unknown(&entry(kind), b"\x00"), "kind {kind}");
    }
    for tag in [4, 7, 8, 9, 255] {
        assert!(unknown(&entry(0), &[tag]), "place {tag}");
    }
}

#[test]
fn attributes_have_one_encoding() {
    let range = |attributes: &[u8]| {
        let identity = [b"\x01\x00\x01a\x0b", attributes, b"\x00"].concat();
        let (id, bytes) = sealed_range(&identity, b"\x00");
        Range::from_bytes(id, &bytes)
    };
    let good = range(b"\x02\x01a\x00\x01b\x01x").unwrap();
    let attributes = &good.entries[0].1.entry.attributes;
    assert_eq!(attributes.iter().collect::<Vec<_>>(), [("a", ""), ("b", "x")]);
    for bad in [
        &b"\x00"[..],
        b"\x02\x01b\x00\x01a\x00",
        b"\x02\x01a\x00\x01a\x00",
        b"\x01\x01A\x00",
        b"\x01\x00\x00",
        b"\x01\x01a\x01\n",
        b"\x81\x02",
    ] {
        let error = range(bad).unwrap_err();
        assert!(matches!(error, FormatError::Damaged { .. }), "{bad:?}: {error}");
    }
}
