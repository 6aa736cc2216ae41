//! SQL over any refs in one query: `SELECT ... FROM flights@v1 JOIN flights@main USING (id)`.
//! `names` finds the refs in the text, `catalog` finds tables and files at commits, `query` plans and runs, `output` writes.
//! Invariant: each ref is resolved once per query, and the query says which commits it read.

mod catalog;
mod names;
mod output;
mod query;

pub use catalog::Read;
pub use output::{RowFormat, RowsWritten, write_rows};
pub use query::Query;
