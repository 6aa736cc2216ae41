//! Serving: the newest row of every key of the materialized views, read in microseconds, as the law says.
//!
//! An inference service needs this crate and nothing above it: no SQL engine, no table format, no object store. A [`Serving`]
//! is opened over an [`OnlineStore`]: a folder ([`Lmdb`]), memory ([`Memory`]), or another kind that keeps the promises.
//! `examples/serve.rs` opens a store and gets features.
//!
//! ```text
//! features (materialize, verify)      an inference service
//!        │ RowBatch, Load                  │ Row        │ Lookup, Answers
//!        ▼                                 ▼            ▼
//!      load ──────────► merge ◄────────── push         get          views by name: state
//!                         │                                          rows as bytes: key, row, value
//!                    OnlineStore: bytes by key (lmdb, memory)
//! ```
//!
//! Neighbours: the crate `model` below; `features` above fills the store and proves it. Invariant: the store is a view of the
//! repository (but for pushed rows): delete it, materialize, and it answers as before.

mod error;
mod get;
mod key;
mod limits;
mod lmdb;
mod load;
mod memory;
mod merge;
mod push;
mod row;
mod serving;
mod state;
mod store;
mod value;

pub use error::{Error, Result};
pub use get::{Answer, Answers, Lookup};
pub use limits::{BATCH_CHANGES_MAX, BATCH_LEN_MAX, KEY_LEN_MAX, VALUE_LEN_MAX};
pub use lmdb::Lmdb;
pub use load::{Load, Loaded, RowBatch};
pub use memory::Memory;
pub use push::Row;
pub use row::{Head, NO_END, Rules, Stamp};
pub use serving::{KeyPage, Serving};
pub use state::{FORMAT, Partial, ViewState, Watermark};
pub use store::{Batch, Change, Lease, LeaseSort, OnlineStore, Scan, Values, check_key};
pub use value::{OwnedValue, Value, exact_time};
