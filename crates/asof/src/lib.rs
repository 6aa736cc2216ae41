//! The as-of join: for each spine row the feature row that was newest, and known, at the row's own time.
//! `spec` says what is asked, `node` puts it in a logical plan, `exec` runs it; the modules below them are its parts. The crate
//! knows tables of Parquet files and queries of DataFusion, and no repository: `drumlin-features` says which files and queries.
//! Invariant: rows out equal rows in, in the spine's order, and the pick is the greatest by (event time, created time, order
//! of writing): never arbitrary, whatever the memory limit, the threads or the order of the files.

mod columns;
mod error;
mod exact_sum;
mod exec;
mod fetch;
mod files;
mod index;
mod key;
mod node;
mod pick;
mod ranges;
mod reader;
mod report;
mod resolve;
mod run;
mod scan;
mod source;
mod spec;
mod spool;
mod time;
mod window;

pub use error::{Error, Result};
pub use node::{AsOfJoin, with_as_of};
pub use report::{AsOfReport, Counts, ViewCounts};
pub use spec::{
    AsOfSpec, Feature, FeatureSource, KeyPair, KnownAt, Lookup, OnNullTime, ParquetFile, ParquetSource, Window,
    WindowFunction,
};
