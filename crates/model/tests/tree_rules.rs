//! The rules of trees: where ranges are cut, which paths clash, how one path is merged.

use drumlin_model::{
    Attributes, Entry, EntryKind, External, Placed, RepoPath, Timestamp,
    tree::{Clash, ClashScan, Cutter, Merge, RANGE_ENTRIES_MAX, RANGE_WEIGHT_MAX, Range, check_entry, merge_entries},
};
use proptest::prelude::*;

use crate::tree_codec::{file, path};

/// The lengths of the ranges that the entries are cut into; the last is what is left.
fn cut<'a>(entries: impl IntoIterator<Item = (&'a RepoPath, &'a Entry)>) -> Vec<usize> {
    let mut cutter = Cutter::default();
    let mut lengths = vec![0];
    for (path, entry) in entries {
        *lengths.last_mut().unwrap() += 1;
        if cutter.push(path, entry) {
            assert!(cutter.is_fresh());
            lengths.push(0);
        }
    }
    lengths
}

fn names(count: usize) -> Vec<RepoPath> {
    (0..count)
        .map(|n| path(&format!("images/{:03}/{n:07}.jpg", n / 1000)))
        .collect()
}

#[test]
fn ranges_have_the_stated_mean_and_limit() {
    let entry = file("x", 0).entry;
    let names = names(400_000);
    let lengths = cut(names.iter().map(|name| (name, &entry)));
    let mean = 400_000 / lengths.len();
    assert!((1700..2400).contains(&mean), "the mean is {mean}");
    assert!(lengths.iter().all(|&length| length <= RANGE_ENTRIES_MAX));
    assert_eq!(&lengths[..6], GOLDEN_CUTS, "the cut rule is part of the format");
}

const GOLDEN_CUTS: &[usize] = &[977, 154, 194, 711, 90, 2149];

#[test]
fn neither_content_nor_time_moves_a_cut() {
    let names = names(50_000);
    let (small, large) = (file("x", 0).entry, file(&"y".repeat(100_000), i64::MAX).entry);
    assert_eq!(
        cut(names.iter().map(|name| (name, &small))),
        cut(names.iter().map(|name| (name, &large)))
    );
}

#[test]
fn a_new_path_moves_only_the_cuts_near_it() {
    let entry = file("x", 0).entry;
    let mut names = names(50_000);
    let ends = |names: &[RepoPath]| {
        let mut at = 0;
        let lengths = cut(names.iter().map(|name| (name, &entry)));
        lengths
            .into_iter()
            .map(|length| {
                at += length;
                names[at - 1].clone()
            })
            .collect::<Vec<_>>()
    };
    let before = ends(&names);
    names.insert(20_000, path("images/019/0019999a.jpg"));
    let after = ends(&names);
    let moved = before.iter().filter(|end| !after.contains(end)).count();
    assert!(moved <= 2, "{moved} of {} cuts moved", before.len());
}

#[test]
fn the_heaviest_range_can_be_read_back() {
    let external = External {
        size: u64::MAX,
        container: "c".repeat(1024),
        key: "k".repeat(4096),
        etag: "e".repeat(1024),
        version: "v".repeat(1024),
    };
    let mut entry = Entry::new(EntryKind::External(external), Timestamp::from_micros(i64::MIN));
    let mut attributes: Vec<_> = (0..255).map(|number| (format!("{number:03}"), String::new())).collect();
    attributes.push(("last".into(), "l".repeat(4096 - 255 * 3 - 4)));
    entry.attributes = Attributes::new(attributes).unwrap();
    let mut cutter = Cutter::default();
    let mut range = Range::default();
    for n in 0.. {
        let path = path(&format!("{}{n:04}", "long/".repeat(179)));
        check_entry(&path, &entry).unwrap();
        range.entries.push((
            path.clone(),
            Placed {
                entry: entry.clone(),
                at: Default::default(),
            },
        ));
        if cutter.push(&path, &entry) {
            break;
        }
    }
    assert!(range.entries.len() > 50 && range.entries.len() < 1 + RANGE_WEIGHT_MAX / 12_000);
    let encoded = range.encode().unwrap();
    assert_eq!(Range::from_bytes(encoded.reference.id, &encoded.bytes).unwrap(), range);
}

fn clashes(paths: &[&str]) -> Vec<(String, String)> {
    let mut scan = ClashScan::default();
    let found = paths.iter().filter_map(|text| scan.push(&path(text)));
    found
        .map(|Clash { file, below }| (file.to_string(), below.to_string()))
        .collect()
}

#[test]
fn files_where_folders_are_needed_are_found_across_names_between() {
    let pair = |file: &str, below: &str| (file.to_owned(), below.to_owned());
    assert_eq!(
        clashes(&["a", "a-", "a-/x", "a.txt", "a/b", "ab", "b"]),
        [pair("a-", "a-/x"), pair("a", "a/b")]
    );
    assert_eq!(
        clashes(&["a", "a/b", "a/b/c"]),
        [pair("a", "a/b"), pair("a/b", "a/b/c")]
    );
    assert_eq!(clashes(&["a", "a-b", "aa", "aa-", "b/a", "b/ab"]), []);
}

proptest! {
    #[test]
    fn the_scan_finds_what_comparing_all_pairs_finds(paths in proptest::collection::btree_set("[ab\\-]{1,2}(/[ab.\\-]{0,1}[ab]){0,3}", 0..40)) {
        let paths: Vec<RepoPath> = paths.iter().map(|text| path(text)).collect();
        let texts: Vec<&str> = paths.iter().map(RepoPath::as_str).collect();
        let naive: Vec<_> = paths.iter().filter_map(|below| {
            let above = below.ancestors().find(|folder| paths.contains(folder))?;
            Some((above.to_string(), below.to_string()))
        }).collect();
        prop_assert_eq!(clashes(&texts), naive);
    }
}

#[test]
fn one_path_is_merged_as_the_table_says() {
    let [a, b, c] = [Some(file("a", 1)), Some(file("b", 2)), Some(file("c", 3))];
    let touched = Some(file("a", 9));
    let none = None;
    let clean = |merged: &Option<Placed>| Merge::Clean(merged.clone());
    let table = [
        // base, ours, theirs, merged
        (&a, &a, &a, clean(&a)),
        (&a, &a, &b, clean(&b)),
        (&a, &b, &a, clean(&b)),
        (&a, &b, &b, clean(&b)),
        (&a, &b, &c, Merge::Conflict),
        (&a, &none, &a, clean(&none)),
        (&a, &a, &none, clean(&none)),
        (&a, &none, &none, clean(&none)),
        (&a, &none, &b, Merge::Conflict),
        (&a, &b, &none, Merge::Conflict),
        (&none, &none, &a, clean(&a)),
        (&none, &a, &none, clean(&a)),
        (&none, &a, &b, Merge::Conflict),
        // The same content at another time.
        (&a, &a, &touched, clean(&touched)),
        (&a, &touched, &a, clean(&touched)),
        (&none, &a, &touched, clean(&touched)),
        (&none, &touched, &a, clean(&touched)),
        (&b, &a, &touched, clean(&touched)),
        (&a, &touched, &b, clean(&b)),
        (&a, &b, &touched, clean(&b)),
        (&a, &none, &touched, clean(&none)),
        (&a, &touched, &none, clean(&none)),
        // Back to an older time is a change like any other.
        (&touched, &a, &touched, clean(&a)),
        (&touched, &touched, &a, clean(&a)),
    ];
    for (row, (base, ours, theirs, merged)) in table.iter().enumerate() {
        assert_eq!(
            &merge_entries(base.as_ref(), ours.as_ref(), theirs.as_ref()),
            merged,
            "row {row}"
        );
    }
}
