//! Delta tables and SQL at any ref, by deltalake and DataFusion over snapshots and sessions.
//! Below: `drumlin-objects`, whose stores are bound to a commit or a session. Above: `drumlin-features` and the command line.
//! Invariant: a table's history is the repository's: every write is one commit, and every read names the commit that it read.

mod delete;
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
mod rewrite;
mod sql;
mod table;
mod types;
mod upsert;
mod verb;
mod write;

pub use delete::DeletePlan;
pub use diff::RowDiff;
pub use engine::Engine;
pub use error::{Error, Result, kind_beneath};
pub use options::{
    AppendRows, CreateTable, DeleteRows, EngineOptions, FileFormat, FromFile, OverwriteTable, ReadOptions, Source,
    UpsertRows, WriteRequest,
};
pub use sql::{Query, Read, RowFormat, RowsWritten, write_rows};
pub use table::{TableAt, TableChange, TableFile, TableInfo, table_path};
pub use types::{ColumnType, UTC, type_name};
pub use verb::Written;
