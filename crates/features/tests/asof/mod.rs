//! The as-of join against its law: readable cases, an oracle that is obviously right, a second judge, and limits.

pub mod case_file;
pub mod cases;
mod duckdb;
mod exact;
mod kit;
mod limits;
mod oracle;
mod random;
pub mod table;
