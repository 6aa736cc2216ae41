//! An inference service in a few lines: opens an online store and gets a view's features for one key.
//!
//! ```text
//! serve FOLDER VIEW TIME KEY...
//! serve .drumlin/online weather 2024-01-31T12:00:00Z JFK
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{error::Error, path::Path};

use drumlin_model::feature::ViewUse;
use drumlin_online::{OwnedValue, Serving, Value, exact_time};

const USAGE: &str = "serve FOLDER VIEW TIME KEY...";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, view, time, keys @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let now = exact_time(time).ok_or("TIME is not a time such as 2024-01-31T12:00:00Z")?;

    // Open the store once, and share it: `Serving` is cheap to clone.
    let serving = Serving::open(Path::new(folder))?;
    // Compile the request once: names become positions.
    let mut lookup = serving.prepare(&[ViewUse::of(view)])?;

    // For each call: the keys as typed values, then one read for all of them.
    let typed = lookup.keys().iter().zip(keys);
    let typed = typed.map(|((name, kind), text)| {
        OwnedValue::parse(*kind, text).ok_or_else(|| format!("{text:?} is not a {kind}, the type of key {name:?}"))
    });
    let typed: Vec<OwnedValue> = typed.collect::<Result<_, _>>()?;
    let row: Vec<Value<'_>> = typed.iter().map(OwnedValue::as_value).collect();
    serving.get(&mut lookup, &[&row], now, |answers| {
        let answer = answers.answer(0, 0);
        println!("{}", answer.status());
        for (name, value) in answer.named() {
            println!("{name} = {}", value.to_json());
        }
    })?;
    Ok(())
}
