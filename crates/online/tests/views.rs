//! Views in the store: built, added to, swapped, removed, and read while that goes on. In each kind of store.

use std::sync::Arc;

use drumlin_model::{
    ErrorKind,
    feature::{FeatureType, Nulls, Status, ViewUse},
};
use drumlin_online::{
    BATCH_CHANGES_MAX, Error, FORMAT, KeyPage, LeaseSort, Memory, OnlineStore, Partial, Serving, Value, ViewState,
};

use crate::support::{VIEW, at, build, dump, features, get, head, in_each_store, state, watermark};

#[test]
fn what_is_built_answers_in_one_call_for_many_keys_and_views() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        assert_eq!(
            build(
                &serving,
                state(1),
                &[("oslo", 5, 1.5), ("rome", 6, 20.0), ("oslo", 7, 2.5)],
                100
            ),
            2
        );
        let got = get(&serving, "oslo", 100);
        assert_eq!(
            (&got["temp"], &got["sky"], &got["raw"]),
            (&2.5.into(), &"clear".into(), &"00ff".into())
        );
        assert_eq!(
            (&got["weather__status"], &got["weather__event_time"]),
            (&"PRESENT".into(), &"1970-01-01T00:00:07Z".into())
        );
        let from = ViewUse {
            alias: Some("from".into()),
            features: vec!["temp".into()],
            ..ViewUse::of(VIEW)
        };
        let to = ViewUse {
            alias: Some("to".into()),
            keys: [("place".to_owned(), "goal".to_owned())].into(),
            ..ViewUse::of(VIEW)
        };
        let mut lookup = serving.prepare(&[from, to]).unwrap();
        let names: Vec<&str> = lookup.keys().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["place", "goal"]);
        let rows: [&[Value<'_>]; 3] = [
            &[Value::Text("oslo"), Value::Text("rome")],
            &[Value::Null, Value::Text("oslo")],
            &[Value::Text("rome"), Value::Text("nowhere")],
        ];
        let statuses = serving.get(&mut lookup, &rows, at(100), |answers| {
            assert_eq!(answers.rows(), 3);
            [0, 1, 2].map(|row| [answers.answer(row, 0).status(), answers.answer(row, 1).status()])
        });
        use Status::{NotFound, Present};
        let expected = [[Present, Present], [NotFound, Present], [Present, NotFound]];
        assert_eq!(statuses.unwrap(), expected);
        let error = serving
            .get(&mut lookup, &[&[Value::Null]], at(100), |_| ())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn what_cannot_be_asked_is_told() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let error = serving.prepare(&[ViewUse::of(VIEW)]).unwrap_err();
        assert!(
            matches!(&error, Error::NotMaterialized { view } if view == VIEW),
            "{error}"
        );
        assert!(!error.cures().is_empty());
        build(&serving, state(1), &[("oslo", 5, 1.5), ("oslo", 7, 2.5)], 100);
        let wanted = ViewUse {
            features: vec!["tmp".into()],
            ..ViewUse::of(VIEW)
        };
        let error = serving.prepare(&[wanted]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.cures(), [drumlin_model::Cure::did_you_mean("temp")]);
        // The row of second 5 was dropped, so the store does not know what answered at 6.
        let mut lookup = serving.prepare(&[ViewUse::of(VIEW)]).unwrap();
        let error = serving
            .get(&mut lookup, &[&[Value::Text("oslo")]], at(6), |_| ())
            .unwrap_err();
        assert!(
            matches!(&error, Error::BeforeStore { from, .. } if *from == at(7)),
            "{error}"
        );
        let before = serving.look(&mut lookup, &[&[Value::Text("oslo")]], at(6), |answers| {
            answers.answer(0, 0).before_store()
        });
        assert_eq!(before.unwrap(), Some(at(7)));
    });
}

#[test]
fn an_append_adds_and_an_interrupted_one_says_so() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        let append = |files| serving.append(&lease, serving.view(VIEW).unwrap(), watermark(files), at(100).micros());
        // Dropped after its first update: the rows are there, and the state says up to where they may be.
        let mut load = append(2);
        let mut batch = load.rows();
        batch.push(
            [Value::Text("rome")],
            Some(head(6, 1 << 40)),
            features(20.0).into_iter(),
        );
        load.write(&batch).unwrap();
        drop(load);
        let interrupted = serving.view(VIEW).unwrap();
        assert_eq!(interrupted.watermark, watermark(1));
        let partial = Partial {
            files: 2,
            files_hash: watermark(2).files_hash,
        };
        assert_eq!(interrupted.partial, Some(partial));
        // The next one goes on; merging a row twice changes nothing.
        let load = append(2);
        let mut again = load.rows();
        again.push(
            [Value::Text("rome")],
            Some(head(6, 1 << 40)),
            features(20.0).into_iter(),
        );
        again.push(
            [Value::Text("oslo")],
            Some(head(4, 1 << 40 | 1)),
            features(9.0).into_iter(),
        );
        again.push([Value::Null], Some(head(4, 1 << 40 | 2)), features(9.0).into_iter());
        again.push([Value::Text("oslo")], None, features(9.0).into_iter());
        let loaded = load.finish(&again).unwrap();
        assert_eq!((loaded.read, loaded.stored, loaded.skipped, loaded.keys), (4, 1, 2, 2));
        let done = serving.view(VIEW).unwrap();
        assert_eq!((done.watermark, done.partial), (watermark(2), None));
        assert_eq!(get(&serving, "oslo", 100)["temp"], 1.5);
        assert_eq!(get(&serving, "rome", 100)["temp"], 20.0);
    });
}

#[test]
fn a_build_is_swapped_in_whole_and_open_lookups_follow() {
    in_each_store(|store| {
        let serving = Serving::over(store.clone()).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5), ("rome", 5, 20.0)], 100);
        let mut lookup = serving.prepare(&[ViewUse::of(VIEW)]).unwrap();
        let mut ask = |place: &str| {
            serving
                .get(&mut lookup, &[&[Value::Text(place)]], at(100), |answers| {
                    (answers.to_json(0)["temp"].clone(), answers.commits()[VIEW])
                })
                .unwrap()
        };
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        let mut load = serving.build(&lease, state(2), at(100).micros()).unwrap();
        let mut batch = load.rows();
        batch.push([Value::Text("oslo")], Some(head(8, 0)), features(8.0).into_iter());
        load.write(&batch).unwrap();
        assert_eq!(
            ask("oslo"),
            (1.5.into(), watermark(1).commit),
            "the rows before answer until the swap"
        );
        let end = load.rows();
        load.finish(&end).unwrap();
        assert_eq!(ask("oslo"), (8.0.into(), watermark(2).commit));
        assert_eq!(
            ask("rome").0,
            serde_json::Value::Null,
            "what the source has not any more is gone"
        );
        serving.sweep(&lease).unwrap();
        assert_eq!(rows_in(&*store), 1);
    });
}

/// Rows of all generations, those that nobody reads too.
fn rows_in(store: &dyn OnlineStore) -> usize {
    dump(store).iter().filter(|(key, _)| key.starts_with("01")).count()
}

#[test]
fn a_build_that_ends_early_leaves_nothing() {
    in_each_store(|store| {
        let serving = Serving::over(store.clone()).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let before = dump(&*store);
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        let mut load = serving.build(&lease, state(2), at(100).micros()).unwrap();
        let mut batch = load.rows();
        batch.push([Value::Text("rome")], Some(head(8, 0)), features(8.0).into_iter());
        load.write(&batch).unwrap();
        drop(load);
        assert_eq!(rows_in(&*store), 2);
        serving.sweep(&lease).unwrap();
        let is_counter = |(key, _): &(String, String)| key.ends_with("6e657874");
        let rest = |dump: Vec<(String, String)>| dump.into_iter().filter(|item| !is_counter(item)).collect::<Vec<_>>();
        assert_eq!(
            rest(dump(&*store)),
            rest(before),
            "but for the number of the next generation"
        );
    });
}

#[test]
fn a_view_is_removed_with_its_rows() {
    in_each_store(|store| {
        let serving = Serving::over(store.clone()).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        assert!(serving.remove(VIEW, &lease).unwrap());
        assert!(!serving.remove(VIEW, &lease).unwrap());
        assert!(serving.views().unwrap().is_empty());
        assert_eq!(rows_in(&*store), 0);
    });
}

#[test]
fn keys_come_page_by_page_and_missing_ones_are_found() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let names: Vec<String> = (0..100).map(|place| format!("place {place}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 5, 1.0)).collect();
        build(&serving, state(1), &rows, 100);
        let state = serving.view(VIEW).unwrap();
        let (mut found, mut last): (Vec<String>, Option<Vec<u8>>) = (Vec::new(), None);
        while let Some(page) = serving.keys_after(&state, last.as_deref(), 7).unwrap() {
            found.extend(texts(&page));
            last = Some(page.last);
        }
        found.sort();
        let mut expected = names.clone();
        expected.sort();
        assert_eq!(found, expected);
        let asked = [
            Value::Text("place 3"),
            Value::Text("nowhere"),
            Value::Null,
            Value::Text("else"),
        ];
        assert_eq!(serving.missing(&state, asked.iter().map(|key| [*key])).unwrap(), [1, 3]);
        assert_eq!(serving.key_count(&state).unwrap(), 100);
    });
}

fn texts(page: &KeyPage) -> Vec<String> {
    let rows = page.rows().unwrap();
    rows.iter()
        .map(|row| row[0].to_json().as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn rows_that_fill_several_batches_are_written_in_several_updates() {
    let serving = Serving::over(Arc::new(Memory::new())).unwrap();
    let number = ViewState {
        keys: vec![("k".into(), FeatureType::Int64)],
        features: Vec::new(),
        ..state(1)
    };
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    let fill = |load: drumlin_online::Load<'_>, from: i64| {
        let mut batch = load.rows();
        for key in 0..BATCH_CHANGES_MAX as i64 {
            batch.push([Value::Int(from + key)], Some(head(1, key as u64)), std::iter::empty());
        }
        load.finish(&batch).unwrap().keys
    };
    let load = serving.build(&lease, number, at(100).micros()).unwrap();
    assert_eq!(fill(load, 0), BATCH_CHANGES_MAX as u64);
    let load = serving.append(&lease, serving.view(VIEW).unwrap(), watermark(2), at(100).micros());
    assert_eq!(fill(load, -10), BATCH_CHANGES_MAX as u64 + 10);
    let state = serving.view(VIEW).unwrap();
    assert_eq!((state.watermark, state.partial), (watermark(2), None));
}

#[test]
fn a_store_of_something_else_is_refused_and_stays_as_it_is() {
    in_each_store(|store| {
        store
            .update(&[], &mut |_, batch| batch.put(b"ours", *b"not yours"))
            .unwrap();
        let error = Serving::over(store.clone()).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert_eq!(dump(&*store).len(), 1);
        store
            .update(&[], &mut |_, batch| batch.put(b"\0format", (FORMAT + 1).to_le_bytes()))
            .unwrap();
        let error = Serving::over(store).unwrap_err();
        assert!(
            matches!(error, Error::Format { found, .. } if found == FORMAT + 1),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn two_that_use_one_store_see_each_other() {
    in_each_store(|store| {
        let writer = Serving::over(store.clone()).unwrap();
        let reader = Serving::over(store).unwrap();
        build(&writer, state(1), &[("oslo", 5, 1.5)], 100);
        assert_eq!(get(&reader, "oslo", 100)["temp"], 1.5);
        let filling = ViewState {
            rules: drumlin_online::Rules {
                nulls: Nulls::LastNonNull,
                max_age: Some(at(10).micros()),
                ..state(2).rules
            },
            ..state(2)
        };
        build(&writer, filling, &[("oslo", 5, 1.5)], 100);
        assert_eq!(get(&reader, "oslo", 100)["weather__status"], "OUTSIDE_MAX_AGE");
        assert_eq!(get(&reader, "oslo", 14)["weather__status"], "PRESENT");
    });
}
