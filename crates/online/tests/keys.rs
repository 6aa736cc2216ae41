//! Keys of rows: equal exactly when all their values are, however long they are and whatever column they came from.

use drumlin_model::feature::{FeatureType, ViewUse};
use drumlin_online::{Serving, Value, ViewState};
use proptest::prelude::*;

use crate::support::{VIEW, at, head, in_each_store, state};

/// Builds a view with one row for each key, whose feature is the key's place; what each key then answers.
fn answers(serving: &Serving, kinds: &[FeatureType], keys: &[Vec<Value<'_>>]) -> Vec<Option<i64>> {
    let typed = |(index, kind): (usize, &FeatureType)| (format!("k{index}"), *kind);
    let state = ViewState {
        keys: kinds.iter().enumerate().map(typed).collect(),
        features: vec![("place".into(), FeatureType::Int64)],
        ..state(1)
    };
    let lease = serving.lease(drumlin_online::LeaseSort::Exclusive).unwrap();
    let load = serving.build(&lease, state, at(100).micros()).unwrap();
    let mut batch = load.rows();
    for (place, key) in keys.iter().enumerate() {
        let features = [Value::Int(place as i64)];
        batch.push(key.iter().copied(), Some(head(5, place as u64)), features.into_iter());
    }
    load.finish(&batch).unwrap();
    let mut lookup = serving.prepare(&[ViewUse::of(VIEW)]).unwrap();
    let rows: Vec<&[Value<'_>]> = keys.iter().map(Vec::as_slice).collect();
    serving
        .get(&mut lookup, &rows, at(100), |answers| {
            let value = |row| match answers.answer(row, 0).value(0) {
                Value::Int(place) => Some(place),
                _ => None,
            };
            (0..answers.rows()).map(value).collect()
        })
        .unwrap()
}

#[test]
fn keys_that_join_to_the_same_text_are_two() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let pairs = [("1", "23"), ("12", "3"), ("", "123"), ("123", ""), ("1", "23")];
        let keys: Vec<_> = pairs
            .iter()
            .map(|(a, b)| vec![Value::Text(a), Value::Text(b)])
            .collect();
        let kinds = [FeatureType::String; 2];
        // The last row has the first one's key, and is newer.
        assert_eq!(
            answers(&serving, &kinds, &keys),
            [Some(4), Some(1), Some(2), Some(3), Some(4)]
        );
    });
}

#[test]
fn long_keys_are_told_apart() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let texts: Vec<String> = [490, 501, 502, 503, 504, 2000]
            .iter()
            .map(|len| "x".repeat(*len))
            .collect();
        let mut keys: Vec<_> = texts.iter().map(|text| vec![Value::Text(text)]).collect();
        let other = "x".repeat(1999) + "y";
        keys.push(vec![Value::Text(&other)]);
        let places = answers(&serving, &[FeatureType::String], &keys);
        assert_eq!(places, (0..7).map(Some).collect::<Vec<_>>());
        // Their values come back from the store, in full.
        let state = serving.view(VIEW).unwrap();
        let page = serving.keys_after(&state, None, 100).unwrap().unwrap();
        let found: Vec<usize> = page
            .rows()
            .unwrap()
            .iter()
            .map(|row| row[0].to_json().as_str().unwrap().len())
            .collect();
        assert_eq!(found.iter().sum::<usize>(), 490 + 501 + 502 + 503 + 504 + 2000 + 2000);
    });
}

#[test]
fn one_number_is_one_key_whatever_its_width() {
    in_each_store(|store| {
        let serving = Serving::over(store).unwrap();
        let keys = [
            Value::Int(5),
            Value::Uint(5),
            Value::Int(-5),
            Value::Uint(u64::MAX),
            Value::Null,
        ]
        .map(|key| vec![key]);
        let places = answers(&serving, &[FeatureType::Int64], &keys);
        assert_eq!(places, [Some(1), Some(1), Some(2), Some(3), None]);
        let keys = [0.0, -0.0, f64::NAN, -f64::NAN, 0.1].map(|key| vec![Value::Float(key)]);
        let places = answers(&serving, &[FeatureType::Float64], &keys);
        assert_eq!(places, [Some(1), Some(1), Some(3), Some(3), Some(4)]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// Of keys of random parts, the last row of each distinct key answers for all of it.
    #[test]
    fn equal_values_are_equal_keys(pairs in prop::collection::vec(("[ab]{0,3}", prop::collection::vec(0_u8..3, 0..4)), 1..20)) {
        let serving = Serving::over(std::sync::Arc::new(drumlin_online::Memory::new())).unwrap();
        let keys: Vec<_> = pairs.iter().map(|(text, bytes)| vec![Value::Text(text), Value::Bytes(bytes)]).collect();
        let expected: Vec<_> = pairs.iter().map(|pair| pairs.iter().rposition(|other| other == pair).map(|place| place as i64)).collect();
        prop_assert_eq!(answers(&serving, &[FeatureType::String, FeatureType::Binary], &keys), expected);
    }
}
