//! Delta tables and SQL at any ref, by deltalake and DataFusion over snapshots and sessions.
//! Below: `drumlin-objects`, whose stores are bound to a commit or a session. Above: `drumlin-features` and the command line.
//! Invariant: a table's history is the repository's: every write is one commit, and every read names the commit that it read.

mod change;
mod delta;
mod diff;
mod engine;
mod error;
mod explain;
mod fit;
mod keys;
mod log_cache;
mod options;
mod read;
mod sql;
mod table;
mod verb;
mod write;

pub use diff::RowDiff;
pub use engine::Engine;
pub use error::{Error, Result};
pub use options::{ColumnType, EngineOptions, FileFormat, ReadOptions, Source, UTC, WriteRequest, type_name};
pub use sql::{Query, Read, RowFormat, RowsWritten, write_rows};
pub use table::{TABLES_FOLDER, TableAt, TableChange, TableFile, TableInfo, table_name, table_path};
pub use verb::Written;
pub use write::{TableWrite, WriteMode};
