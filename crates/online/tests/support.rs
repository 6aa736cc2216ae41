//! A view with rows in a few words, in each kind of store.

use std::{collections::BTreeMap, sync::Arc};

use drumlin_model::{
    CommitId, Timestamp,
    feature::{FeatureType, Nulls, ViewUse},
};
use drumlin_online::{
    Head, LeaseSort, Lmdb, Memory, NO_END, OnlineStore, OwnedValue, Row, Rules, Serving, Stamp, Value, ViewState,
    Watermark,
};
use tempfile::TempDir;

pub const VIEW: &str = "weather";

/// Calls `test` with an empty store of each kind.
pub fn in_each_store(test: impl Fn(Arc<dyn OnlineStore>)) {
    test(Arc::new(Memory::new()));
    let folder = TempDir::new().unwrap();
    test(Arc::new(Lmdb::open(folder.path()).unwrap()));
}

/// Microseconds of a number of seconds after 1970.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub fn watermark(files: u64) -> Watermark {
    Watermark {
        commit: CommitId::of(&files.to_le_bytes()),
        files,
        files_hash: format!("hash of {files}"),
    }
}

/// A view by place, with a number, a text and bytes.
pub fn state(files: u64) -> ViewState {
    let typed = |name: &str, kind| (name.to_owned(), kind);
    ViewState {
        view: VIEW.into(),
        definition: "the definition's hash".into(),
        generation: 0,
        keys: vec![typed("place", FeatureType::String)],
        features: vec![
            typed("temp", FeatureType::Float64),
            typed("sky", FeatureType::String),
            typed("raw", FeatureType::Binary),
        ],
        rules: Rules {
            inclusive: true,
            nulls: Nulls::Row,
            max_age: None,
        },
        watermark: watermark(files),
        partial: None,
    }
}

/// A row of a source: place, second, temperature.
pub type Reading<'a> = (&'a str, i64, f64);

/// What the store keeps of a row beside its values; it was known at once.
pub fn head(second: i64, sequence: u64) -> Head {
    Head {
        stamp: Stamp {
            event: at(second).micros(),
            created: i64::MIN,
            sequence,
        },
        until: NO_END,
        tombstone: false,
        pushed: false,
    }
}

/// The features of a reading.
pub fn features(temp: f64) -> [Value<'static>; 3] {
    [Value::Float(temp), Value::Text("clear"), Value::Bytes(b"\0\xff")]
}

pub fn build(serving: &Serving, state: ViewState, rows: &[Reading<'_>], now: i64) -> u64 {
    let lease = serving.lease(LeaseSort::Exclusive).unwrap();
    let load = serving.build(&lease, state, at(now).micros()).unwrap();
    let mut batch = load.rows();
    for (sequence, (place, second, temp)) in rows.iter().enumerate() {
        let keys = [Value::Text(place)];
        batch.push(keys, Some(head(*second, sequence as u64)), features(*temp).into_iter());
    }
    let loaded = load.finish(&batch).unwrap();
    assert_eq!(loaded.read, rows.len() as u64);
    serving.sweep(&lease).unwrap();
    loaded.keys
}

pub fn row(place: &str, second: i64, temp: f64) -> Row {
    Row {
        keys: vec![OwnedValue::Text(place.into())],
        event_time: at(second),
        tombstone: false,
        features: vec![
            OwnedValue::Plain(Value::Float(temp)),
            OwnedValue::Text("clouds".into()),
            OwnedValue::Bytes(vec![1]),
        ],
    }
}

pub fn get(serving: &Serving, place: &str, now: i64) -> BTreeMap<String, serde_json::Value> {
    let mut lookup = serving.prepare(&[ViewUse::of(VIEW)]).unwrap();
    serving
        .get(&mut lookup, &[&[Value::Text(place)]], at(now), |answers| {
            answers.to_json(0)
        })
        .unwrap()
}

/// Every key and value of the store, in hex.
pub fn dump(store: &dyn OnlineStore) -> Vec<(String, String)> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut items = Vec::new();
    let all = drumlin_online::Scan {
        prefix: b"",
        after: None,
        limit: usize::MAX,
    };
    store
        .scan(all, &mut |key, value| items.push((hex(key), hex(value))))
        .unwrap();
    items
}
