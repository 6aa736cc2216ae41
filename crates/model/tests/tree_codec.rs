//! The stored bytes of ranges and index nodes: what is written is read back, ids are fixed, damage is seen.

use drumlin_model::{
    AttributeError, Attributes, Entry, EntryKind, External, File, FileId, FormatError, Location, PackId, Placed,
    RangeId, RepoPath, Timestamp, TreeId,
    tree::{EntryError, Range, Tree, check_entry},
};
use proptest::{collection::btree_map, prelude::*};

pub fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

pub fn file(content: &str, modified: i64) -> Placed {
    let id = FileId::of(content.as_bytes());
    let kind = EntryKind::File(File {
        id,
        size: content.len() as u64,
        executable: false,
    });
    Placed {
        entry: Entry::new(kind, Timestamp::from_micros(modified)),
        at: Location::Unknown,
    }
}

/// One entry of each kind and one location of each kind, with the awkward values.
pub fn sample() -> Range {
    let pack = PackId::from_bytes([7; 32]);
    let other = PackId::from_bytes([8; 32]);
    let chunk = |offset, stored| Location::Chunk { pack, offset, stored };
    let recipe = |pack, offset| Location::Recipe {
        pack,
        offset,
        stored: u32::MAX,
    };
    let file = |size, executable| {
        EntryKind::File(File {
            id: FileId::of(b"x"),
            size,
            executable,
        })
    };
    let symlink = EntryKind::Symlink {
        target: "../elsewhere".into(),
    };
    let external = External {
        size: 12,
        container: "https://example.com".into(),
        key: "data".into(),
        etag: "\"1\"".into(),
        version: "3sL4".into(),
    };
    let rows = [
        ("a", file(0, false), 0, Location::Unknown),
        ("a-b", file(1, true), i64::MAX, chunk(0, 100)),
        ("b/c", file(u64::MAX, false), i64::MIN, chunk(100, 7)),
        ("b/cd", file(300, false), -1, recipe(pack, 3)),
        ("b/é", file(300, false), 5, recipe(other, u64::MAX)),
        ("b/ê", EntryKind::Folder, 1_700_000_000_000_000, Location::Unknown),
        ("c", symlink, 1, Location::Unknown),
        ("d", EntryKind::External(external), 2, Location::Unknown),
        ("e", file(5 << 20, false), 3, Location::Blob),
    ];
    let placed = rows.map(|(name, kind, modified, at)| {
        let entry = Entry::new(kind, Timestamp::from_micros(modified));
        (path(name), Placed { entry, at })
    });
    let mut entries = Vec::from(placed);
    let mut add = |at: usize, attributes: &[(&str, &str)]| {
        entries[at].1.entry.attributes = Attributes::new(attributes.iter().copied()).unwrap();
    };
    add(1, &[("content-type", "text/x-sh"), ("x-amz-meta-by", "é")]);
    add(5, &[("a", "")]);
    add(6, &[("x-amz-meta-mtime", "1.5")]);
    add(7, &[("md5", "d41d8cd98f00b204e9800998ecf8427e")]);
    Range { entries }
}

pub fn any_placed() -> impl Strategy<Value = Placed> {
    let kind = prop_oneof![
        6 => (any::<[u8; 32]>(), any::<u64>(), any::<bool>()).prop_map(|(id, size, executable)| {
            EntryKind::File(File { id: FileId::from_bytes(id), size, executable })
        }),
        1 => "\\PC{0,40}".prop_map(|target| EntryKind::Symlink { target }),
        1 => Just(EntryKind::Folder),
        1 => ("\\PC{0,20}", "\\PC{0,40}", "\\PC{0,9}", "\\PC{0,9}", any::<u64>()).prop_map(
            |(container, key, etag, version, size)| {
                EntryKind::External(External { size, container, key, etag, version })
            }
        ),
    ];
    let pack = (0u8..3).prop_map(|pack| PackId::from_bytes([pack; 32]));
    let at = prop_oneof![
        Just(Location::Unknown),
        Just(Location::Blob),
        (pack.clone(), any::<u64>(), any::<u32>()).prop_map(|(pack, offset, stored)| Location::Chunk {
            pack,
            offset,
            stored
        }),
        (pack, any::<u64>(), any::<u32>()).prop_map(|(pack, offset, stored)| Location::Recipe { pack, offset, stored }),
    ];
    (kind, any::<i64>(), any_attributes(), at).prop_map(|(kind, modified, attributes, at)| Placed {
        entry: Entry {
            attributes,
            ..Entry::new(kind, Timestamp::from_micros(modified))
        },
        at,
    })
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let pair = prop_oneof![
        ("(content-type|x-amz-meta-[a-z0-9]{1,4}|[a-z~|^`#]{1,2})", "\\PC{0,12}"),
        ("md5", "[0-9a-f]{32}"),
        ("sha256", "[0-9a-f]{64}"),
    ];
    let some = proptest::collection::vec(pair, 0..6).prop_map(|pairs| Attributes::new(pairs).unwrap());
    prop_oneof![2 => Just(Attributes::default()), 1 => some]
}

pub fn any_range() -> impl Strategy<Value = Range> {
    let name = "[a-cé]{1,3}(/[a-b.\\-]{0,2}[a-cß]){0,3}".prop_map(|text| path(&text));
    btree_map(name, any_placed(), 1..60).prop_map(|entries| Range {
        entries: entries.into_iter().collect(),
    })
}

#[test]
fn every_kind_of_entry_comes_back() {
    let range = sample();
    let encoded = range.encode().unwrap();
    assert_eq!(Range::from_bytes(encoded.reference.id, &encoded.bytes).unwrap(), range);
    assert_eq!(range.get(&path("b/é")), Some(&range.entries[4].1));
    assert_eq!(range.get(&path("b/e")), None);
}

#[test]
fn ids_are_fixed_for_ever() {
    let range = sample();
    let tree = Tree {
        ranges: vec![range.reference()],
    };
    assert_eq!(
        range.reference().id.to_string(),
        "22f9f25efc1edfd8b0a4deb0058e750d369332b2be45d73377122e06a9dab624"
    );
    assert_eq!(
        tree.id().to_string(),
        "70d2302728ad8685eefd7dc3501f917de618db95ef1aff1fbb5540ee8d865922"
    );
    assert_eq!(
        Tree::default().id().to_string(),
        "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
    );
}

/// Written by the first version of this format; it has to be readable for ever.
const STORED_RANGE: &str = concat!(
    "6472756d6c696e2072616e676520310abf0100000d0100005e0000003200000028b52ffd60bf001d0800c2ce3835606d73b3",
    "a85ba22e20d97f8f20c741be61a50db7787c5b91a9b58aa1da92c8bcf95b8315e2cf8b9684e4650bd4a82cd2073529530a11",
    "f47dfddef1132cd685b17f6118a517f616b56894622eecdaeb56d635b85c2cdd5ae8102695aa226bae77823776fa0c87abf7",
    "1495755cce5b81245d92cb54c9c70e1913f847fc26f15de6a9699228d63ba06351413112825ddd05365c4a9e508cf1d3d765",
    "d896d2647b58e209458e366b7e3c27709ddec0d64d8fcadee7e8394e9e59f359b3b152f4489bd1bb835e34607c640aa0030e",
    "860f84d0e83c4420148f4fbc191e081022927557ef280a0053ce8c285523268df1502544061828c5cb0c0e00c287cb4a15ae",
    "f428b52ffd205e4d01000402000107006405000706cf01ffffffff0f02088580808020ffffffff0f000000030200a0a90d70",
    "03b48c4b36975357f72f08a98b7932eba106ec041ee7b7cb54a161a13731f9f996",
);
const STORED_TREE: &str = concat!(
    "6472756d6c696e207472656520310a320000003b00000028b52ffd20329101000100016100016509ffffffffffffffffff01",
    "22f9f25efc1edfd8b0a4deb0058e750d369332b2be45d73377122e06a9dab624e66baeaeb379d2d5e9ea7ce86147d20a708c",
    "e675eed0d78275b5dce6b9afee54",
);

#[test]
fn stored_bytes_of_the_first_format_are_read() {
    let range = Range::from_bytes(sample().reference().id, &hex::decode(STORED_RANGE).unwrap()).unwrap();
    assert_eq!(range, sample());
    let tree = Tree {
        ranges: vec![range.reference()],
    };
    assert_eq!(
        Tree::from_bytes(tree.id(), &hex::decode(STORED_TREE).unwrap()).unwrap(),
        tree
    );
}

#[test]
fn a_tree_knows_where_a_path_would_be_and_what_it_holds() {
    let parts: Vec<Range> = sample()
        .entries
        .chunks(3)
        .map(|entries| Range {
            entries: entries.to_vec(),
        })
        .collect();
    let tree = Tree {
        ranges: parts.iter().map(Range::reference).collect(),
    };
    let (id, bytes) = tree.encode().unwrap();
    assert_eq!(Tree::from_bytes(id, &bytes).unwrap(), tree);
    assert_eq!(
        ["a", "a-b", "b/c", "b/c1", "b/ê", "b/ë", "zz"].map(|at| tree.position(at)),
        [0, 0, 0, 1, 1, 2, 3]
    );
    assert_eq!(tree.summary().entries, 9);
    assert_eq!(tree.summary().bytes, u64::MAX, "sums that overflow stay at the most");
}

#[test]
fn every_flipped_byte_is_seen() {
    let encoded = sample().encode().unwrap();
    let tree = Tree {
        ranges: vec![encoded.reference.clone()],
    };
    let (tree_id, tree_bytes) = tree.encode().unwrap();
    for bit in 0..8 {
        for at in 0..encoded.bytes.len() {
            let mut bytes = encoded.bytes.clone();
            bytes[at] ^= 1 << bit;
            Range::from_bytes(encoded.reference.id, &bytes).unwrap_err();
        }
        for at in 0..tree_bytes.len() {
            let mut bytes = tree_bytes.clone();
            bytes[at] ^= 1 << bit;
            Tree::from_bytes(tree_id, &bytes).unwrap_err();
        }
    }
}

#[test]
fn every_cut_short_object_is_seen() {
    let encoded = sample().encode().unwrap();
    for len in 0..encoded.bytes.len() {
        Range::from_bytes(encoded.reference.id, &encoded.bytes[..len]).unwrap_err();
    }
    let (id, bytes) = Tree {
        ranges: vec![encoded.reference],
    }
    .encode()
    .unwrap();
    for len in 0..bytes.len() {
        Tree::from_bytes(id, &bytes[..len]).unwrap_err();
    }
}

#[test]
fn another_object_under_the_name_is_seen() {
    let encoded = sample().encode().unwrap();
    let error = Range::from_bytes(RangeId::of(b"another"), &encoded.bytes).unwrap_err();
    assert!(
        error.to_string().contains("its entries do not have its hash"),
        "{error}"
    );
    let (_, bytes) = Tree {
        ranges: vec![encoded.reference],
    }
    .encode()
    .unwrap();
    let error = Tree::from_bytes(TreeId::of(b"another"), &bytes).unwrap_err();
    assert!(error.to_string().contains("its ranges do not have its hash"), "{error}");
}

#[test]
fn a_newer_format_is_named_as_such() {
    let mut bytes = b"drumlin range 2\nwhatever".to_vec();
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    let error = Range::from_bytes(RangeId::of(b""), &bytes).unwrap_err();
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
}

#[test]
fn text_that_no_tree_holds_is_refused_by_name() {
    let mut entry = sample().entries[6].1.entry.clone();
    check_entry(&path("c"), &entry).unwrap();
    entry.kind = EntryKind::Symlink {
        target: "x".repeat(4097),
    };
    let expected = EntryError::TooLong {
        path: path("c"),
        field: "symlink target",
        len: 4097,
        max: 4096,
    };
    assert_eq!(check_entry(&path("c"), &entry), Err(expected));
    let external = |container, key, etag, version| {
        let text = |len| "x".repeat(len);
        let external = External {
            size: 0,
            container: text(container),
            key: text(key),
            etag: text(etag),
            version: text(version),
        };
        Entry::new(EntryKind::External(external), Timestamp::default())
    };
    let longest = external(1024, 4096, 1024, 1024);
    check_entry(&path("d"), &longest).unwrap();
    for (entry, field) in [
        (external(1025, 0, 0, 0), "container"),
        (external(0, 4097, 0, 0), "key"),
        (external(0, 0, 1025, 0), "etag"),
        (external(0, 0, 0, 1025), "version"),
    ] {
        let error = check_entry(&path("d"), &entry).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn attributes_are_kept_to_their_limits_and_alphabet() {
    let one = |key: &str, value: &str| Attributes::new([(key, value)]);
    assert!(one("x-amz-meta-a", &"v".repeat(4096 - 12)).is_ok());
    assert_eq!(
        one("x-amz-meta-a", &"v".repeat(4097 - 12)),
        Err(AttributeError::TooLong { len: 4097 })
    );
    let many = |count: usize| Attributes::new((0..count).map(|number| (format!("k{number:03}"), "")));
    assert!(many(256).is_ok());
    assert_eq!(many(257), Err(AttributeError::TooMany { count: 257 }));
    assert!(one(&"k".repeat(128), "").is_ok());
    for key in ["", "A", "a b", "é", "a:b", &"k".repeat(129)] {
        assert!(matches!(one(key, "v"), Err(AttributeError::Key { .. })), "{key}");
    }
    assert!(matches!(one("a", "two\nlines"), Err(AttributeError::Control { .. })));
    assert!(one("md5", "d41d8cd98f00b204e9800998ecf8427e").is_ok());
    for value in ["", "D41D8CD98F00B204E9800998ECF8427E", &"0".repeat(33), &"g".repeat(32)] {
        assert!(matches!(
            one("md5", value),
            Err(AttributeError::Hash { digits: 32, .. })
        ));
        assert!(matches!(
            one("sha256", value),
            Err(AttributeError::Hash { digits: 64, .. })
        ));
    }
    let pairs = [
        ("x-amz-meta-a", "1"),
        ("md5", &"0".repeat(32)),
        ("sha256", &"0".repeat(64)),
    ];
    let kept = Attributes::new(pairs).unwrap().without_hashes();
    assert_eq!(kept.iter().collect::<Vec<_>>(), [("x-amz-meta-a", "1")]);
    assert_eq!(Attributes::default(), Attributes::new([("", ""); 0]).unwrap());
}

proptest! {
    #[test]
    fn any_range_comes_back(range in any_range()) {
        let encoded = range.encode().unwrap();
        prop_assert_eq!(&Range::from_bytes(encoded.reference.id, &encoded.bytes).unwrap(), &range);
        prop_assert_eq!(&encoded.reference, &range.reference());
        prop_assert_eq!(&encoded.reference.first, &range.entries[0].0);
    }

    #[test]
    fn any_index_node_comes_back(ranges in proptest::collection::vec(any_range(), 0..8)) {
        let mut references = Vec::new();
        for range in ranges.iter().map(Range::reference) {
            if references.last().is_none_or(|last: &drumlin_model::tree::RangeRef| last.last < range.first) {
                references.push(range);
            }
        }
        let tree = Tree { ranges: references };
        let (id, bytes) = tree.encode().unwrap();
        prop_assert_eq!(id, tree.id());
        prop_assert_eq!(Tree::from_bytes(id, &bytes).unwrap(), tree);
    }

    #[test]
    fn locations_move_no_id(range in any_range(), at in any_placed()) {
        let mut moved = range.clone();
        moved.entries.iter_mut().for_each(|(_, placed)| placed.at = at.at);
        prop_assert_eq!(range.reference(), moved.reference());
        let encoded = moved.encode().unwrap();
        prop_assert_eq!(Range::from_bytes(range.reference().id, &encoded.bytes).unwrap(), moved);
    }

    #[test]
    fn all_else_moves_the_id(range in any_range(), entry in any_placed(), at in any::<proptest::sample::Index>()) {
        let mut changed = range.clone();
        let at = at.index(range.entries.len());
        changed.entries[at].1.entry = entry.entry.clone();
        prop_assert_eq!(range.reference().id == changed.reference().id, range.entries[at].1.entry == entry.entry);
    }
}
