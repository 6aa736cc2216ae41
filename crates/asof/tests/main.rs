//! The as-of join against its law: readable cases, an oracle that is obviously right, a second judge, and limits.

mod cases;
mod duckdb;
mod exact;
mod kit;
mod limits;
mod oracle;
mod random;
mod table;
