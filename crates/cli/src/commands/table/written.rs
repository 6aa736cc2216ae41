//! What a write did to a table, in a line.

use std::io::{self, Write};

use drumlin_verbs::TableWriteAnswer;

use crate::ui::{NAME, paint, plural};

/// What a write did to a table.
pub fn print_written(out: &mut dyn Write, written: &TableWriteAnswer) -> io::Result<()> {
    let table = paint(NAME, &written.table);
    let Some(commit) = written.commit else {
        return writeln!(out, "{table}: nothing to do");
    };
    let rows = [
        (written.rows_added, "added"),
        (written.rows_updated, "updated"),
        (written.rows_deleted, "deleted"),
    ];
    let some = rows.iter().filter(|(rows, _)| *rows > 0);
    let some: Vec<String> = some
        .map(|(rows, did)| format!("{} {did}", plural(*rows, "row")))
        .collect();
    let rows = if some.is_empty() {
        "no rows".to_owned()
    } else {
        some.join(", ")
    };
    let commit = paint(NAME, commit.short());
    writeln!(out, "{table}: {rows}; version {} as {commit}", written.version)
}
