//! Wrong bytes in the store are errors: whatever a record is overwritten with, nothing panics, and what can be told is told.

use std::sync::Arc;

use drumlin_model::{ErrorKind, feature::ViewUse};
use drumlin_online::{Error, LeaseSort, Memory, OnlineStore, Scan, Serving, Value};

use crate::support::{VIEW, at, build, row, state};

/// A store with a view that has rows, one of them in the future, one with a long key, and pushed ones.
fn filled() -> Arc<Memory> {
    let store = Arc::new(Memory::new());
    let serving = Serving::over(store.clone()).unwrap();
    let long = "x".repeat(600);
    build(
        &serving,
        state(1),
        &[("oslo", 5, 1.5), ("oslo", 200, 2.5), (&long, 5, 3.5)],
        100,
    );
    serving
        .push(VIEW, &[row("oslo", 50, 5.0), row("rome", 50, 6.0)], at(100))
        .unwrap();
    // A build that was killed.
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    serving.build(&lease, state(2), at(100).micros()).unwrap();
    store
}

fn items(store: &dyn OnlineStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut items = Vec::new();
    let all = Scan {
        prefix: b"",
        after: None,
        limit: usize::MAX,
    };
    store
        .scan(all, &mut |key, value| items.push((key.to_vec(), value.to_vec())))
        .unwrap();
    items
}

fn overwrite(store: &dyn OnlineStore, key: &[u8], value: &[u8]) {
    store.update(&[], &mut |_, batch| batch.put(key, value)).unwrap();
}

/// Everything that reads the store; the first error.
fn use_all(store: Arc<dyn OnlineStore>) -> Result<(), Error> {
    let serving = Serving::over(store)?;
    let states = serving.views()?;
    let mut lookup = serving.prepare(&[ViewUse::of(VIEW)])?;
    let long = "x".repeat(600);
    for place in ["oslo", "rome", &long] {
        serving.get(&mut lookup, &[&[Value::Text(place)]], at(300), |answers| {
            answers.to_json(0)
        })?;
    }
    for state in &states {
        serving.key_count(state)?;
        if let Some(page) = serving.keys_after(state, None, 100)? {
            page.rows()?;
        }
        serving.missing(state, [[Value::Text("oslo")], [Value::Text("none")]].into_iter())?;
    }
    serving.push(VIEW, &[row("oslo", 60, 7.0)], at(100))?;
    let lease = serving.lease(LeaseSort::Exclusive)?;
    serving.sweep(&lease)?;
    let load = serving.build(&lease, state(3), at(100).micros())?;
    let empty = load.rows();
    load.finish(&empty)?;
    serving.sweep(&lease)
}

#[test]
fn no_damage_of_any_record_panics() {
    let whole = items(&*filled());
    use_all(filled()).unwrap();
    assert!(whole.len() >= 12, "{}", whole.len());
    let mut told = 0;
    for (key, value) in &whole {
        let mut wrong: Vec<Vec<u8>> = (0..value.len()).map(|len| value[..len].to_vec()).collect();
        wrong.extend((0..value.len()).map(|at| {
            let mut flipped = value.clone();
            flipped[at] ^= 1 << (at % 8);
            flipped
        }));
        wrong.push([value.as_slice(), &[0; 5]].concat());
        wrong.push(vec![0xff; value.len()]);
        for value in wrong {
            let store = filled();
            overwrite(&*store, key, &value);
            told += u32::from(use_all(store).is_err());
        }
    }
    assert!(told > 500, "{told} were told");
}

#[test]
fn a_row_that_is_cut_or_points_outside_is_damaged() {
    let store = filled();
    let (key, value) = items(&*store).into_iter().find(|(key, _)| key[0] == 1).unwrap();
    // Header 11, length 4, header of the version 33, a byte of nulls, a slot, then the slot of the text.
    let text = 11 + 4 + 33 + 1 + 8;
    let mut outside = value.clone();
    outside[text..text + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    for wrong in [&value[..value.len() - 1], &outside[..]] {
        let store = filled();
        overwrite(&*store, &key, wrong);
        let serving = Serving::over(store).unwrap();
        let mut lookup = serving.prepare(&[ViewUse::of(VIEW)]).unwrap();
        let answer = serving.get(&mut lookup, &[&[Value::Text("oslo")]], at(300), |answers| {
            answers.to_json(0)
        });
        let error = answer.unwrap_err();
        assert!(matches!(&error, Error::Damaged { view } if view == VIEW), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!error.cures().is_empty());
    }
}

#[test]
fn a_number_that_is_none_is_damage_not_absence() {
    for name in ["format", "epoch", "next", "pushes"] {
        let store = filled();
        let key = [b"\0", name.as_bytes()].concat();
        overwrite(&*store, &key, b"12345");
        let error = use_all(store).expect_err(name);
        assert!(matches!(error, Error::Record { .. }), "{name}: {error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
