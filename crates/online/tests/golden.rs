//! The bytes of the online store, written out (page 005): a change of one of these is a change of what is in people's stores.

use std::sync::Arc;

use drumlin_model::{
    CommitId,
    feature::{FeatureType, Nulls},
};
use drumlin_online::{
    FORMAT, Head, LeaseSort, Memory, NO_END, OwnedValue, Row, Rules, Serving, Stamp, Value, ViewState, Watermark,
};

use crate::support::{at, dump};

fn view(name: &str, keys: &[(&str, FeatureType)], features: &[(&str, FeatureType)]) -> ViewState {
    let typed =
        |columns: &[(&str, FeatureType)]| columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    ViewState {
        view: name.into(),
        definition: "hash".into(),
        generation: 0,
        keys: typed(keys),
        features: typed(features),
        rules: Rules {
            inclusive: true,
            nulls: Nulls::LastNonNull,
            max_age: Some(3_600_000_000),
        },
        watermark: Watermark {
            commit: CommitId::of(b"commit"),
            files: 2,
            files_hash: "files".into(),
        },
        partial: None,
    }
}

fn head(second: i64, sequence: u64) -> Head {
    Head {
        stamp: Stamp {
            event: at(second).micros(),
            created: at(second + 1).micros(),
            sequence,
        },
        until: NO_END,
        tombstone: false,
        pushed: false,
    }
}

/// A view whose key has every type, with one row.
fn every_key(serving: &Serving) {
    use FeatureType as T;
    let kinds = [
        T::String,
        T::Int8,
        T::Uint64,
        T::Bool,
        T::Float32,
        T::Timestamp,
        T::Date,
        T::Binary,
    ];
    let names = ["text", "int", "uint", "bool", "float", "time", "date", "bytes"];
    let keys: Vec<_> = names.into_iter().zip(kinds).collect();
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    let load = serving
        .build(&lease, view("every", &keys, &[]), at(100).micros())
        .unwrap();
    let mut batch = load.rows();
    let key = [
        Value::Text("é"),
        Value::Int(-2),
        Value::Uint(u64::MAX),
        Value::Bool(true),
        Value::Float(0.5),
        Value::Timestamp(1_000_001),
        Value::Date(-1),
        Value::Bytes(&[0, 255]),
    ];
    batch.push(key, Some(head(1, 1)), std::iter::empty());
    load.finish(&batch).unwrap();
}

/// A view whose rows have every kind of feature; one key has two versions, the newer in the future; one is deleted and ends;
/// one is longer than the store takes; and an append to it was interrupted.
fn every_row(serving: &Serving) {
    use FeatureType as T;
    let features = [
        ("bool", T::Bool),
        ("int", T::Int32),
        ("uint", T::Uint16),
        ("float", T::Float64),
        ("time", T::Timestamp),
        ("date", T::Date),
        ("text", T::String),
        ("bytes", T::Binary),
        ("null", T::Int64),
    ];
    let values = [
        Value::Bool(true),
        Value::Int(-3),
        Value::Uint(4),
        Value::Float(1.5),
        Value::Timestamp(2_000_002),
        Value::Date(19_000),
        Value::Text("text"),
        Value::Bytes(&[1, 2]),
        Value::Null,
    ];
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    let state = view("rows", &[("k", T::String)], &features);
    let load = serving.build(&lease, state, at(100).micros()).unwrap();
    let mut batch = load.rows();
    let long = "long ".repeat(200);
    batch.push([Value::Text("a")], Some(head(5, 1)), values.into_iter());
    batch.push([Value::Text("a")], Some(head(500, 2)), values.into_iter());
    let ends = Head {
        until: at(50).micros(),
        tombstone: true,
        ..head(6, 3)
    };
    batch.push([Value::Text("b")], Some(ends), [Value::Null; 9].into_iter());
    batch.push([Value::Text(&long)], Some(head(7, 4)), values.into_iter());
    // Something older was dropped, so this key says that it hides something.
    batch.push([Value::Text("c")], Some(head(9, 5)), values.into_iter());
    batch.push([Value::Text("c")], Some(head(8, 6)), values.into_iter());
    load.finish(&batch).unwrap();
    let row = |key: &str| Row {
        keys: vec![OwnedValue::Text(key.into())],
        event_time: at(20),
        tombstone: false,
        features: (0..9).map(|_| OwnedValue::Plain(Value::Null)).collect(),
    };
    serving.push("rows", &[row("a"), row(&long)], at(30)).unwrap();
    let state = serving.view("rows").unwrap();
    let watermark = Watermark {
        files: 3,
        ..state.watermark.clone()
    };
    let mut load = serving.append(&lease, state, watermark, at(100).micros());
    let batch = load.rows();
    load.write(&batch).unwrap();
}

/// One line for each record, in the order of the keys: key and value in hex, the states as the text that they are.
fn lines(store: &Memory) -> String {
    let text = |hex: &str| {
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        String::from_utf8(bytes).ok().filter(|text| text.starts_with('{'))
    };
    let lines = dump(store)
        .into_iter()
        .map(|(key, value)| format!("{key} {}\n", text(&value).unwrap_or(value)));
    lines.collect()
}

#[test]
fn the_bytes_of_a_store() {
    assert_eq!(FORMAT, 3);
    let store = Memory::new();
    let serving = Serving::over(Arc::new(store.clone())).unwrap();
    every_key(&serving);
    every_row(&serving);
    // And a build that has not ended.
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    serving
        .build(&lease, view("rows", &[("k", FeatureType::String)], &[]), 0)
        .unwrap();
    assert_eq!(lines(&store), include_str!("golden/store"));
}
