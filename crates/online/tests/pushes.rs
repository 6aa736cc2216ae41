//! Rows that are pushed: there at once, never older over newer, and kept through every rebuild until the table has them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use drumlin_model::ErrorKind;
use drumlin_online::{Error, LeaseSort, Memory, Row, Serving, Value};

use crate::support::{VIEW, at, build, features, get, head, in_each_store, row, state};

#[test]
fn a_push_is_there_at_once_and_older_rows_stay_out() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let error = serving.push(VIEW, &[row("oslo", 50, 5.0)], at(100)).unwrap_err();
        assert!(matches!(error, Error::NotMaterialized { .. }));
        build(&serving, state(1), &[("oslo", 5, 1.5), ("rome", 60, 20.0)], 100);
        let rows = [
            row("oslo", 50, 5.0),
            row("rome", 50, 6.0),
            row("oslo", 40, 4.0),
            row("bern", 50, 7.0),
        ];
        assert_eq!(serving.push(VIEW, &rows, at(100)).unwrap(), 2);
        let temps = ["oslo", "rome", "bern"].map(|place| get(&serving, place, 100)["temp"].as_f64());
        assert_eq!(temps, [Some(5.0), Some(20.0), Some(7.0)]);
        assert_eq!(serving.key_count(&serving.view(VIEW).unwrap()).unwrap(), 3);
        // A row that came later wins over one of the same time.
        assert_eq!(serving.push(VIEW, &[row("oslo", 50, 5.5)], at(100)).unwrap(), 1);
        assert_eq!(get(&serving, "oslo", 100)["temp"], 5.5);
        let deleted = Row {
            tombstone: true,
            ..row("oslo", 51, 0.0)
        };
        serving.push(VIEW, &[deleted], at(100)).unwrap();
        assert_eq!(get(&serving, "oslo", 100)["weather__status"], "DELETED");
    });
}

#[test]
fn one_wrong_row_keeps_all_out() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let mut short = row("rome", 50, 5.0);
        short.features.pop();
        let error = serving.push(VIEW, &[row("oslo", 50, 5.0), short], at(100)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(get(&serving, "oslo", 100)["temp"], 1.5);
    });
}

#[test]
fn a_rebuild_keeps_what_the_table_lacks_and_forgets_what_it_has() {
    in_each_store(|store| {
        let serving = Serving::over(store.clone()).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let long = "x".repeat(1000);
        let rows = [row("oslo", 50, 5.0), row("rome", 50, 6.0), row(&long, 50, 7.0)];
        serving.push(VIEW, &rows, at(60)).unwrap();
        build(&serving, state(2), &[("oslo", 5, 1.5), ("rome", 55, 9.0)], 100);
        let temps = ["oslo", "rome", &long].map(|place| get(&serving, place, 100)["temp"].as_f64());
        assert_eq!(temps, [Some(5.0), Some(9.0), Some(7.0)]);
        let pushed = crate::support::dump(&*store)
            .into_iter()
            .filter(|(key, _)| key.starts_with("02"));
        assert_eq!(pushed.count(), 2, "rome's is forgotten: the table has a newer one");
        // Another schema: the rows do not fit, and are forgotten.
        let mut other = state(3);
        other.features.pop();
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        let load = serving.build(&lease, other, at(100).micros()).unwrap();
        let empty = load.rows();
        load.finish(&empty).unwrap();
        let pushed = crate::support::dump(&*store)
            .into_iter()
            .filter(|(key, _)| key.starts_with("02"));
        assert_eq!(pushed.count(), 0);
    });
}

#[test]
fn a_push_into_a_view_that_is_being_built_goes_into_both() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
        let lease = serving.lease(LeaseSort::Exclusive).unwrap();
        let mut load = serving.build(&lease, state(2), at(100).micros()).unwrap();
        serving.push(VIEW, &[row("oslo", 50, 5.0)], at(60)).unwrap();
        let mut batch = load.rows();
        batch.push([Value::Text("oslo")], Some(head(20, 0)), features(2.0).into_iter());
        load.write(&batch).unwrap();
        serving.push(VIEW, &[row("rome", 50, 6.0)], at(60)).unwrap();
        let temps = |serving: &Serving| ["oslo", "rome"].map(|place| get(serving, place, 100)["temp"].as_f64());
        assert_eq!(temps(&serving), [Some(5.0), Some(6.0)]);
        let end = load.rows();
        let loaded = load.finish(&end).unwrap();
        assert_eq!((loaded.keys, temps(&serving)), (2, [Some(5.0), Some(6.0)]));
    });
}

/// Rows are pushed while the view is built again and again: none is lost, whatever moment it came at.
#[test]
fn no_push_is_lost_while_a_view_is_built_again_and_again() {
    const PUSHES: usize = 400;
    let serving = Serving::over(Arc::new(Memory::new())).unwrap();
    build(&serving, state(1), &[("oslo", 5, 1.5)], 100);
    let is_over = AtomicBool::new(false);
    let mut builds = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for push in 0..PUSHES {
                let row = row(&format!("place {push}"), 50, push as f64);
                assert_eq!(serving.push(VIEW, &[row], at(60)).unwrap(), 1);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            builds += 1;
            build(&serving, state(1 + builds), &[("oslo", 5, 1.5)], 100);
        }
    });
    assert!(builds > 0);
    for push in 0..PUSHES {
        assert_eq!(
            get(&serving, &format!("place {push}"), 100)["temp"],
            push as f64,
            "after {builds} builds"
        );
    }
    assert_eq!(
        serving.key_count(&serving.view(VIEW).unwrap()).unwrap(),
        PUSHES as u64 + 1
    );
}

#[test]
fn a_row_is_read_from_json_exactly() {
    let state = state(1);
    let read = |json: &str| {
        Row::from_json(
            &state,
            serde_json::from_str::<serde_json::Value>(json)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    };
    let whole =
        read(r#"{"place": "oslo", "temp": 5, "event_time": "2024-01-01T00:00:00Z", "deleted": false}"#).unwrap();
    assert!(!whole.tombstone && whole.features.len() == 3);
    for wrong in [
        r#"{"place": "oslo", "event_time": "2024-01-01T00:00:00Z", "deleted": 1}"#,
        r#"{"place": "oslo", "event_time": "2024-01-01T00:00:00.0000001Z"}"#,
        r#"{"place": "oslo", "temp": "warm", "event_time": "2024-01-01T00:00:00Z"}"#,
        r#"{"place": "oslo"}"#,
    ] {
        assert_eq!(read(wrong).expect_err(wrong).kind(), ErrorKind::InvalidInput);
    }
    let error = read(r#"{"place": "oslo", "tmp": 5, "event_time": "2024-01-01T00:00:00Z"}"#).unwrap_err();
    assert_eq!(error.cures(), [drumlin_model::Cure::did_you_mean("temp")]);
}
