//! Times an online get of 50 features in process, beside two floors: a bare LMDB get of as many bytes and a `HashMap`.
//! Prints one JSON line per figure: `bench`, `case`, `subject`, `value`, `unit`. Arguments: keys, gets.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{collections::HashMap, error::Error, path::Path, time::Instant};

use drumlin_model::{
    CommitId, Timestamp,
    feature::{FeatureType, Nulls, ViewUse},
};
use drumlin_online::{Head, LeaseSort, NO_END, Rules, Serving, Stamp, Value, ViewState, Watermark};
use heed::types::Bytes as Raw;
use rand::{Rng, SeedableRng, rngs::StdRng};

const FEATURES: usize = 50;
const KEYS_DEFAULT: usize = 50_000;
const GETS_DEFAULT: usize = 200_000;
/// Rows of one update, as a materialization has them.
const UPDATE_ROWS: usize = 1 << 16;
/// When the rows happened: the start of 2024.
const EVENT: Timestamp = Timestamp::from_micros(1_704_067_200_000_000);
/// When they are asked for: a day later.
const NOW: Timestamp = Timestamp::from_micros(1_704_153_600_000_000);
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let keys = arguments.next().transpose()?.unwrap_or(KEYS_DEFAULT);
    let gets = arguments.next().transpose()?.unwrap_or(GETS_DEFAULT);
    let folder = tempfile::tempdir()?;
    let store = loaded(&folder.path().join("online"), keys)?;
    let mut random = StdRng::seed_from_u64(1);
    let wanted: Vec<String> = (0..gets).map(|_| name(random.random_range(0..keys))).collect();
    report("drumlin", drumlin(&store, &wanted)?);
    report("floor: LMDB get", lmdb(&folder.path().join("floor"), keys, &wanted)?);
    report("floor: HashMap get", hash_map(keys, &wanted));
    Ok(())
}

fn name(key: usize) -> String {
    format!("entity-{key:08}")
}

fn value(key: usize, feature: usize) -> f64 {
    key as f64 * 0.5 + feature as f64
}

/// A store with one view of 50 features, loaded as a materialization does it.
fn loaded(folder: &Path, keys: usize) -> Result<Serving, Box<dyn Error>> {
    let features = (0..FEATURES).map(|feature| (format!("f{feature}"), FeatureType::Float64));
    let state = ViewState {
        view: "wide".into(),
        definition: String::new(),
        generation: 0,
        keys: vec![("id".into(), FeatureType::String)],
        features: features.collect(),
        rules: Rules {
            inclusive: true,
            nulls: Nulls::Row,
            max_age: None,
        },
        watermark: Watermark {
            commit: CommitId::of(b"bench"),
            files: 1,
            files_hash: String::new(),
        },
        partial: None,
    };
    let serving = Serving::open(folder)?;
    let lease = serving.lease(LeaseSort::Exclusive)?;
    let mut load = serving.build(&lease, state, NOW.micros())?;
    for from in (0..keys).step_by(UPDATE_ROWS) {
        let mut batch = load.rows();
        for key in from..keys.min(from + UPDATE_ROWS) {
            let stamp = Stamp {
                event: EVENT.micros(),
                created: EVENT.micros(),
                sequence: key as u64,
            };
            let head = Head {
                stamp,
                until: NO_END,
                tombstone: false,
                pushed: false,
            };
            let features = (0..FEATURES).map(|feature| Value::Float(value(key, feature)));
            batch.push([Value::Text(&name(key))], Some(head), features);
        }
        load.write(&batch)?;
    }
    let end = load.rows();
    load.finish(&end)?;
    Ok(serving)
}

fn drumlin(store: &Serving, wanted: &[String]) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut lookup = store.prepare(&[ViewUse::of("wide")])?;
    let mut times = Vec::with_capacity(wanted.len());
    for key in wanted {
        let begun = Instant::now();
        let sum = store.get(&mut lookup, &[&[Value::Text(key)]], NOW, |answers| {
            let answer = answers.answer(0, 0);
            let values = (0..answer.len()).map(|index| match answer.value(index) {
                Value::Float(value) => value,
                _ => f64::NAN,
            });
            values.sum::<f64>()
        })?;
        times.push(begun.elapsed().as_nanos() as u64);
        check(key, sum)?;
    }
    Ok(times)
}

fn check(key: &str, sum: f64) -> Result<(), Box<dyn Error>> {
    let key: usize = key.trim_start_matches("entity-").parse()?;
    let expected: f64 = (0..FEATURES).map(|feature| value(key, feature)).sum();
    if sum == expected {
        Ok(())
    } else {
        Err(format!("key {key}: {sum} is not {expected}").into())
    }
}

fn packed(key: usize) -> Vec<u8> {
    (0..FEATURES)
        .flat_map(|feature| value(key, feature).to_le_bytes())
        .collect()
}

fn sum(bytes: &[u8]) -> f64 {
    bytes
        .chunks_exact(8)
        .map(|slot| f64::from_le_bytes(slot.try_into().expect("a chunk of 8")))
        .sum()
}

fn lmdb(folder: &Path, keys: usize, wanted: &[String]) -> Result<Vec<u64>, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let mut options = heed::EnvOpenOptions::new();
    // SAFETY: a new folder of our own.
    let env = unsafe { options.map_size(1 << 32).max_dbs(1).open(folder) }?;
    let opened = env.create_databases_and_commit::<_, _, (), heed::Error>(env.write_txn()?, |opener, txn| {
        opener
            .create_database::<Raw, Raw>(txn, Some("rows"))
            .map(heed::CommitOrAbort::Commit)
    })?;
    let rows = opened.commit().ok_or("it was created")?;
    let mut txn = env.write_txn()?;
    for key in 0..keys {
        rows.put(&mut txn, name(key).as_bytes(), &packed(key))?;
    }
    txn.commit()?;
    let mut times = Vec::with_capacity(wanted.len());
    for key in wanted {
        let begun = Instant::now();
        let txn = env.read_txn()?;
        let sum = sum(rows.get(&txn, key.as_bytes())?.unwrap_or_default());
        drop(txn);
        times.push(begun.elapsed().as_nanos() as u64);
        check(key, sum)?;
    }
    Ok(times)
}

fn hash_map(keys: usize, wanted: &[String]) -> Vec<u64> {
    let rows: HashMap<String, Vec<u8>> = (0..keys).map(|key| (name(key), packed(key))).collect();
    let mut times = Vec::with_capacity(wanted.len());
    for key in wanted {
        let begun = Instant::now();
        let sum = rows.get(key).map(|bytes| sum(bytes));
        times.push(begun.elapsed().as_nanos() as u64);
        std::hint::black_box(sum);
    }
    times
}

fn report(subject: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    for (percentile, share) in PERCENTILES {
        let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        let micros = times.get(at).map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0);
        let case = format!("get of {FEATURES} features, {percentile}");
        println!(
            "{}",
            serde_json::json!({ "bench": "online-get", "case": case, "subject": subject, "value": micros, "unit": "us" })
        );
    }
}
