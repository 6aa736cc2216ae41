//! What every online store promises. A new kind of store is one more line of `conformance!`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use drumlin_model::ErrorKind;
use drumlin_online::{
    BATCH_CHANGES_MAX, Batch, Error, KEY_LEN_MAX, LeaseSort, Lmdb, Memory, OnlineStore, Result, Scan, VALUE_LEN_MAX,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Runs the whole suite against what an expression makes: a store, and whatever has to live as long. Fresh for each test.
macro_rules! conformance {
    ($kind:ident, $make:expr) => {
        mod $kind {
            conformance!(@ $make, empty, a_batch_is_read_back, the_last_change_of_a_key_counts, a_failing_change_changes_nothing);
            conformance!(@ $make, a_batch_is_seen_whole_or_not_at_all, no_update_is_lost, a_read_is_of_one_moment);
            conformance!(@ $make, a_scan_pages_in_order, a_scan_keeps_to_its_prefix, keys_are_any_bytes, limits_are_refused);
            conformance!(@ $make, large_values, the_lease_is_exclusive_or_shared, a_clone_is_the_same_store, like_a_map);
        }
    };
    (@ $make:expr, $($test:ident),*) => {$(
        #[test]
        fn $test() {
            let (store, _guard) = $make;
            super::$test(std::sync::Arc::new(store));
        }
    )*};
}

conformance!(memory, (drumlin_online::Memory::new(), ()));
conformance!(lmdb, {
    let folder = tempfile::tempdir().unwrap();
    let store = drumlin_online::Lmdb::open(&folder.path().join("not/there/yet")).unwrap();
    (store, folder)
});

type Store = Arc<dyn OnlineStore>;

fn get(store: &Store, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut got = None;
    store
        .read(keys, &mut |values| {
            assert!(got.is_none(), "a read shows once");
            got = Some(values.iter().map(|value| value.map(<[u8]>::to_vec)).collect());
        })
        .unwrap();
    got.expect("a read shows what it read")
}

fn get_one(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    get(store, &[key]).remove(0)
}

fn write(store: &Store, mut batch: impl FnMut(&mut Batch) -> Result<()>) -> Result<()> {
    store.update(&[], &mut |_, changes| batch(changes))
}

fn put(store: &Store, key: &[u8], value: &[u8]) {
    write(store, |batch| batch.put(key, value)).unwrap();
}

fn scan(store: &Store, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .scan(Scan { prefix, after, limit }, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()))
        })
        .unwrap();
    found
}

fn keys(store: &Store, prefix: &[u8]) -> Vec<Vec<u8>> {
    scan(store, prefix, None, usize::MAX)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

fn empty(store: Store) {
    assert_eq!(get(&store, &[b"a", b"b", b"a"]), [None, None, None]);
    assert!(get(&store, &[]).is_empty());
    assert!(scan(&store, b"", None, 10).is_empty());
    assert!(scan(&store, b"a", Some(b"ab"), 10).is_empty());
    write(&store, |batch| batch.delete(b"a")).unwrap();
    store.flush().unwrap();
    assert!(!store.name().is_empty());
}

fn a_batch_is_read_back(store: Store) {
    write(&store, |batch| {
        batch.put(b"a", *b"one")?;
        batch.put(b"b", *b"")?;
        batch.put(b"c", *b"three")
    })
    .unwrap();
    // Each key as often as it is asked for, in the order of the question.
    let got = get(&store, &[b"c", b"a", b"none", b"b", b"a"]);
    let expected = [Some("three"), Some("one"), None, Some(""), Some("one")];
    assert_eq!(got, expected.map(|value| value.map(|value| value.as_bytes().to_vec())));
    write(&store, |batch| batch.delete(b"a")).unwrap();
    assert_eq!(get_one(&store, b"a"), None);
    assert_eq!(keys(&store, b""), [b"b", b"c"]);
    store.flush().unwrap();
    assert_eq!(get_one(&store, b"c").unwrap(), b"three");
}

fn the_last_change_of_a_key_counts(store: Store) {
    write(&store, |batch| {
        batch.put(b"a", *b"one")?;
        batch.put(b"a", *b"two")?;
        batch.put(b"b", *b"gone")?;
        batch.delete(b"b")?;
        batch.delete(b"c")?;
        batch.put(b"c", *b"here")
    })
    .unwrap();
    let got = get(&store, &[b"a", b"b", b"c"]);
    assert_eq!(got, [Some(b"two".to_vec()), None, Some(b"here".to_vec())]);
}

fn a_failing_change_changes_nothing(store: Store) {
    put(&store, b"a", b"before");
    let failed = store.update(&[b"a"], &mut |values, batch| {
        assert_eq!(values, [Some(b"before".as_slice())]);
        batch.put(b"a", *b"after")?;
        batch.put(b"b", *b"after")?;
        Err(Error::NotMaterialized { view: "v".into() })
    });
    assert!(matches!(failed, Err(Error::NotMaterialized { view }) if view == "v"));
    assert_eq!(get(&store, &[b"a", b"b"]), [Some(b"before".to_vec()), None]);
    // One that writes nothing is fine, and the store can be written after both.
    store.update(&[b"a"], &mut |_, _| Ok(())).unwrap();
    put(&store, b"a", b"after");
    assert_eq!(get_one(&store, b"a").unwrap(), b"after");
}

/// One writer sets all keys to one number again and again; readers, in reads and scans, never see two numbers.
fn a_batch_is_seen_whole_or_not_at_all(store: Store) {
    const KEYS: u8 = 50;
    const ROUNDS: u32 = 200;
    let names: Vec<[u8; 1]> = (0..KEYS).map(|key| [key]).collect();
    let asked: Vec<&[u8]> = names.iter().map(<[u8; 1]>::as_slice).collect();
    let set = |number: u32| {
        write(&store, |batch| {
            asked.iter().try_for_each(|key| batch.put(key, number.to_le_bytes()))
        })
        .unwrap();
    };
    set(0);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, asked, is_over) = (&store, &asked, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let values: Vec<Vec<u8>> = if reader == 0 {
                        get(store, asked).into_iter().flatten().collect()
                    } else {
                        scan(store, b"", None, usize::MAX)
                            .into_iter()
                            .map(|(_, value)| value)
                            .collect()
                    };
                    assert_eq!(values.len(), usize::from(KEYS));
                    assert!(values.iter().all(|value| value == &values[0]), "{values:?}");
                }
            });
        }
        (1..=ROUNDS).for_each(&set);
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(get_one(&store, &[0]).unwrap(), ROUNDS.to_le_bytes());
}

/// Threads add to one counter, each reading it in the update that writes it.
fn no_update_is_lost(store: Store) {
    const THREADS: u32 = 4;
    const ADDS: u32 = 50;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ADDS {
                    let add = &mut |values: &[Option<&[u8]>], batch: &mut Batch| {
                        let count = values[0].map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
                        batch.put(b"count", (count + 1).to_le_bytes())
                    };
                    store.update(&[b"count"], add).unwrap();
                }
            });
        }
    });
    assert_eq!(get_one(&store, b"count").unwrap(), (THREADS * ADDS).to_le_bytes());
}

/// What an update returned before a read began, the read sees; and two keys that move together are never apart.
fn a_read_is_of_one_moment(store: Store) {
    for number in 0..100_u32 {
        write(&store, |batch| {
            batch.put(b"left", number.to_le_bytes())?;
            batch.put(b"right", number.to_le_bytes())
        })
        .unwrap();
        let got = get(&store, &[b"left", b"right"]);
        assert_eq!(
            got,
            [Some(number.to_le_bytes().to_vec()), Some(number.to_le_bytes().to_vec())]
        );
    }
}

fn a_scan_pages_in_order(store: Store) {
    const KEYS: u32 = 1000;
    let name = |key: u32| [b"p".as_slice(), &key.to_be_bytes()].concat();
    write(&store, |batch| {
        // In no order.
        (0..KEYS).try_for_each(|key| batch.put(&name(key * 7919 % KEYS), key.to_le_bytes()))
    })
    .unwrap();
    put(&store, b"o", b"before");
    put(&store, b"q", b"after");
    for limit in [1, 7, 999, 1000, 1001] {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = scan(&store, b"p", after.as_deref(), limit);
            assert!(page.len() <= limit);
            let is_end = page.len() < limit;
            after = page.last().map(|(key, _)| key.clone()).or(after);
            found.extend(page);
            if is_end || limit == 1 && found.len() == 20 {
                break;
            }
        }
        let expected: Vec<Vec<u8>> = (0..KEYS).map(name).take(found.len()).collect();
        assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
        assert!(expected.len() == KEYS as usize || limit == 1);
    }
    // The key that a scan begins after need not be there, nor lie within the prefix.
    let gap = [name(5), vec![0]].concat();
    assert_eq!(scan(&store, b"p", Some(&gap), 1)[0].0, name(6));
    assert_eq!(scan(&store, b"p", Some(b"a"), 1)[0].0, name(0));
    assert!(scan(&store, b"p", Some(b"z"), 1).is_empty());
    assert!(scan(&store, b"p", None, 0).is_empty());
}

fn a_scan_keeps_to_its_prefix(store: Store) {
    let names: [&[u8]; 8] = [
        b"a",
        b"a\0",
        b"a\xff",
        b"a\xff\xff",
        b"b",
        b"\xfe\xff",
        b"\xff",
        b"\xff\xff\xff",
    ];
    for name in names {
        put(&store, name, name);
    }
    assert_eq!(keys(&store, b"a"), names[..4]);
    assert_eq!(keys(&store, b"a\xff"), names[2..4]);
    assert_eq!(keys(&store, b"\xff"), names[6..]);
    assert_eq!(keys(&store, b"\xff\xff\xff\xff"), [] as [Vec<u8>; 0]);
    assert_eq!(keys(&store, b""), names);
    assert_eq!(scan(&store, b"a", Some(b"a\xff"), 9)[0].0, names[3]);
}

fn keys_are_any_bytes(store: Store) {
    let mut random = StdRng::seed_from_u64(7);
    let mut expected = BTreeMap::new();
    for number in 0..500_u32 {
        let mut key = vec![0; random.random_range(1..=KEY_LEN_MAX)];
        random.fill(key.as_mut_slice());
        key[0] = [0, 1, 0x7f, 0x80, 0xff][number as usize % 5];
        expected.insert(key, number.to_le_bytes().to_vec());
    }
    write(&store, |batch| {
        expected
            .iter()
            .try_for_each(|(key, value)| batch.put(key, value.clone()))
    })
    .unwrap();
    let found: Vec<_> = scan(&store, b"", None, usize::MAX);
    assert!(found.iter().map(|(key, value)| (key, value)).eq(expected.iter()));
    for (key, value) in &expected {
        assert_eq!(get_one(&store, key).as_ref(), Some(value));
    }
}

fn limits_are_refused(store: Store) {
    let longest = vec![b'k'; KEY_LEN_MAX];
    put(&store, &longest, b"fits");
    assert_eq!(get_one(&store, &longest).unwrap(), b"fits");
    let longer = vec![b'k'; KEY_LEN_MAX + 1];
    for key in [&longer[..], b""] {
        let errors = [
            store.read(&[key], &mut |_| panic!("nothing is shown")).unwrap_err(),
            store
                .update(&[key], &mut |_, _| panic!("nothing is shown"))
                .unwrap_err(),
            write(&store, |batch| batch.put(key, *b"v")).unwrap_err(),
            write(&store, |batch| batch.delete(key)).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Key { len } if len == key.len()), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
    let error = write(&store, |batch| {
        batch.put(b"small", *b"v")?;
        batch.put(b"large", vec![0; VALUE_LEN_MAX + 1])
    });
    assert!(matches!(error, Err(Error::ValueLen { .. })));
    let error = write(&store, |batch| {
        (0..=BATCH_CHANGES_MAX as u32).try_for_each(|key| batch.delete(&key.to_be_bytes()))
    });
    assert!(matches!(error, Err(Error::BatchLen { .. })));
    let error = write(&store, |batch| {
        (0..9_u8).try_for_each(|key| batch.put(&[key], vec![0; VALUE_LEN_MAX]))
    });
    assert!(matches!(error, Err(Error::BatchLen { .. })));
    assert_eq!(keys(&store, b""), [longest], "what is refused leaves nothing");
}

fn large_values(store: Store) {
    let large: Vec<u8> = (0..VALUE_LEN_MAX).map(|at| (at % 251) as u8).collect();
    put(&store, b"large", &large);
    assert!(get_one(&store, b"large").unwrap() == large);
    let half = &large[..VALUE_LEN_MAX / 2];
    put(&store, b"large", half);
    assert!(get_one(&store, b"large").unwrap() == half);
    put(&store, b"large", b"");
    assert_eq!(get_one(&store, b"large").unwrap(), b"");
}

fn the_lease_is_exclusive_or_shared(store: Store) {
    let is_busy = |sort| match store.lease(sort) {
        Ok(_) => false,
        Err(error) => {
            assert!(matches!(error, Error::Busy { .. }) && error.kind() == ErrorKind::Unavailable);
            true
        }
    };
    let exclusive = store.lease(LeaseSort::Exclusive).unwrap();
    assert!(is_busy(LeaseSort::Exclusive) && is_busy(LeaseSort::Shared));
    // It keeps out nobody who does not ask for it.
    put(&store, b"a", b"written");
    drop(exclusive);
    let first = store.lease(LeaseSort::Shared).unwrap();
    let second = store.lease(LeaseSort::Shared).unwrap();
    assert!(is_busy(LeaseSort::Exclusive));
    drop(first);
    assert!(is_busy(LeaseSort::Exclusive) && !is_busy(LeaseSort::Shared));
    drop(second);
    assert!(!is_busy(LeaseSort::Exclusive) && !is_busy(LeaseSort::Exclusive));
}

fn a_clone_is_the_same_store(store: Store) {
    let other = store.clone();
    put(&store, b"a", b"one");
    assert_eq!(get_one(&other, b"a").unwrap(), b"one");
    put(&other, b"a", b"two");
    drop(other);
    assert_eq!(get_one(&store, b"a").unwrap(), b"two");
}

/// Random updates do what they do to a map.
fn like_a_map(store: Store) {
    let mut random = StdRng::seed_from_u64(11);
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for _ in 0..150 {
        let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..random.random_range(0..20))
            .map(|_| {
                let key = vec![random.random_range(0..30); random.random_range(1..4)];
                let value = random
                    .random_bool(0.7)
                    .then(|| vec![random.random(); random.random_range(0..2000)]);
                (key, value)
            })
            .collect();
        write(&store, |batch| {
            changes.iter().try_for_each(|(key, value)| match value {
                Some(value) => batch.put(key, value.clone()),
                None => batch.delete(key),
            })
        })
        .unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        let found = scan(&store, b"", None, usize::MAX);
        assert!(found.iter().map(|(key, value)| (key, value)).eq(model.iter()));
    }
}

#[test]
fn a_folder_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let open = || -> Store { Arc::new(Lmdb::open(folder.path()).unwrap()) };
    let store = open();
    put(&store, b"a", b"kept");
    store.flush().unwrap();
    let lease = store.lease(LeaseSort::Exclusive).unwrap();
    drop(store);
    drop(lease);
    let store = open();
    assert_eq!(get_one(&store, b"a").unwrap(), b"kept");
    store.lease(LeaseSort::Exclusive).unwrap();
    // A process opens a folder once, and shares it.
    assert!(matches!(Lmdb::open(folder.path()), Err(Error::Store { .. })));
}

#[test]
fn what_is_no_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let error = Lmdb::open(&file).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}");
}

#[test]
fn memory_ends_with_its_last_handle() {
    let store: Store = Arc::new(Memory::new());
    put(&store, b"a", b"one");
    let other: Store = Arc::new(Memory::new());
    assert_eq!(get_one(&other, b"a"), None);
}
