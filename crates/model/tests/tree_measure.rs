//! What the mean length of a range costs: the table of page 001 comes from here. Takes a minute; asked for by name:
//! `cargo test -p drumlin-model tree_measure -- --ignored --nocapture`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;

use drumlin_model::{
    Entry, EntryKind, File, FileId, Location, PackId, Placed, RepoPath, Timestamp,
    tree::{RANGE_ENTRIES_MAX, Range, RangeRef, Tree},
};

/// Files of 7 kB, 4,000 a pack, a thousand a folder.
fn entry(number: u64) -> (RepoPath, Placed) {
    let path = RepoPath::new(format!("data/{:05}/{number:08}.bin", number / 1000)).unwrap();
    let file = File {
        id: FileId::of(&number.to_le_bytes()),
        size: 7000 + number % 50,
        executable: false,
    };
    let modified = Timestamp::from_micros(1_700_000_000_000_000 + number as i64 * 1000);
    let entry = Entry::new(EntryKind::File(file), modified);
    let mut pack = [0; 32];
    pack[..8].copy_from_slice(&(number / 4000).to_le_bytes());
    let at = Location::Chunk {
        pack: PackId::from_bytes(pack),
        offset: (number % 4000) * 7000,
        stored: 7000,
    };
    (path, Placed { entry, at })
}

fn ends_range(path: &RepoPath, mean: u32) -> bool {
    let hash = blake3::hash(path.as_str().as_bytes());
    u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap()).is_multiple_of(mean)
}

#[test]
#[ignore = "a measurement, not a check"]
fn what_the_mean_length_of_a_range_costs() {
    println!("paths      mean  ranges  range kB (mean, at a file)  node kB  commit kB  listing GETs  encode ms");
    for paths in [1_000_000, 10_000_000] {
        for mean in [512, 1024, 2048] {
            measure(paths, mean);
        }
    }
}

fn measure(paths: u64, mean: u32) {
    let (mut tree, mut stored, mut at_a_file) = (Tree::default(), 0, 0);
    let mut range = Range::default();
    let mut longest = Range::default();
    for number in 0..paths {
        let (path, placed) = entry(number);
        let is_cut = ends_range(&path, mean) || range.entries.len() + 1 >= RANGE_ENTRIES_MAX;
        range.entries.push((path, placed));
        if is_cut || number + 1 == paths {
            let encoded = range.encode().unwrap();
            stored += encoded.bytes.len() as u64;
            at_a_file += encoded.bytes.len() as u64 * range.entries.len() as u64;
            tree.ranges.push(encoded.reference);
            let full = std::mem::take(&mut range);
            if full.entries.len() > longest.entries.len() {
                longest = full;
            }
        }
    }
    let ranges: &[RangeRef] = &tree.ranges;
    let count = ranges.len();
    let (_, node) = tree.encode().unwrap();
    let started = Instant::now();
    for _ in 0..10 {
        std::hint::black_box(longest.encode().unwrap());
        std::hint::black_box(tree.encode().unwrap());
    }
    let took = started.elapsed().as_secs_f64() * 100.0;
    let (mean_kb, file_kb) = (
        stored as f64 / count as f64 / 1e3,
        at_a_file as f64 / paths as f64 / 1e3,
    );
    let node_kb = node.len() as f64 / 1e3;
    println!(
        "{paths:>10} {mean:>5} {count:>7} {mean_kb:>9.0} {file_kb:>14.0} {node_kb:>13.0} {:>10.0} {:>13} {took:>10.1}",
        file_kb + node_kb,
        count + 1
    );
}
