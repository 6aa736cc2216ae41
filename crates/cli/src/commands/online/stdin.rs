//! Rows on stdin, one JSON object a line.

use std::io::Read;

use serde_json::{Map, Value};

use crate::error::CommandError;

/// The most bytes read from stdin.
const STDIN_LEN_MAX: u64 = 256 << 20;

/// The objects on stdin.
pub fn json_lines() -> Result<Vec<Map<String, Value>>, CommandError> {
    let mut text = String::new();
    let mut stdin = std::io::stdin().take(STDIN_LEN_MAX + 1);
    stdin
        .read_to_string(&mut text)
        .map_err(|error| CommandError::io("cannot read rows from stdin", error))?;
    if text.len() as u64 > STDIN_LEN_MAX {
        return Err(
            CommandError::invalid(format!("the rows on stdin take more than {STDIN_LEN_MAX} bytes"))
                .with_hint("drumlin table append TABLE --from FILE, then drumlin online materialize"),
        );
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        serde_json::from_str(line).map_err(|error| {
            CommandError::invalid(format!("line {} of stdin is not a JSON object: {error}", at + 1))
                .with_hint("write one object a line: {\"key\": \"value\"}")
        })
    });
    rows.collect()
}
