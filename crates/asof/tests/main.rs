//! The as-of join against its law: readable cases, an oracle that is obviously right, a second judge, and limits.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod cases;
mod duckdb;
mod exact;
mod kit;
mod limits;
mod oracle;
mod random;
mod table;
