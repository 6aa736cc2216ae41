//! A process that writes a folder's store is killed (SIGKILL) at moments that a seed chooses: what it had been told is written
//! is there, what it was writing is there whole or not at all, and its lease is free.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use drumlin_online::{LeaseSort, Lmdb, OnlineStore};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Set for the process that is going to be killed: the store's folder.
const FOLDER: &str = "DRUMLIN_TEST_ONLINE_FOLDER";
const ROUNDS: usize = 8;
const KEYS: u32 = 200;
const SEED: u64 = 3;

/// Not a test of its own: what the other process does. It takes the lease, sets all keys to one number after another, and
/// prints each number that it was told is written.
#[test]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Lmdb::open(Path::new(&folder)).unwrap();
    let _lease = store.lease(LeaseSort::Exclusive).unwrap();
    for number in first(&store) + 1.. {
        store
            .update(&[], &mut |_, batch| {
                (0..KEYS).try_for_each(|key| batch.put(&key.to_be_bytes(), number.to_le_bytes()))
            })
            .unwrap();
        store.flush().unwrap();
        println!("\nwritten {number}");
    }
}

fn first(store: &dyn OnlineStore) -> u64 {
    let mut number = 0;
    store
        .read(&[&0_u32.to_be_bytes()], &mut |values| {
            number = values[0].map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        })
        .unwrap();
    number
}

#[test]
fn a_writer_that_is_killed_leaves_whole_batches_and_a_free_lease() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut before = 0;
    for round in 0..ROUNDS {
        let acknowledged = kill_a_writer(folder.path(), Duration::from_millis(random.random_range(0..60)));
        let store: Arc<dyn OnlineStore> = Arc::new(Lmdb::open(folder.path()).unwrap());
        store.lease(LeaseSort::Exclusive).unwrap();
        let names: Vec<[u8; 4]> = (0..KEYS).map(u32::to_be_bytes).collect();
        let asked: Vec<&[u8]> = names.iter().map(<[u8; 4]>::as_slice).collect();
        let number = first(&*store);
        store
            .read(&asked, &mut |values| {
                assert!(
                    values
                        .iter()
                        .all(|value| *value == Some(number.to_le_bytes().as_slice())),
                    "round {round}"
                );
            })
            .unwrap();
        assert!(
            number >= acknowledged && acknowledged > before,
            "round {round}: {number}, {acknowledged}, {before}"
        );
        before = number;
    }
}

/// Starts a writer, lets it write at least one batch and then for a while more, and kills it; the last number that it was told
/// is written.
fn kill_a_writer(folder: &Path, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| {
        line.strip_prefix("written ")
            .and_then(|number| number.parse::<u64>().ok())
    };
    let mut last = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(number)
        .expect("it writes");
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had printed before it died.
    for number in lines.map_while(Result::ok).filter_map(number) {
        last = number;
    }
    last
}
