//! `online ...`: the online store filled, read and written. It is a view: it can be deleted and made again.

mod get;
mod list;
mod materialize;
mod push;

pub use get::{OnlineGetRequest, OnlineRow};
pub use list::{OnlineListRequest, OnlineViewRow, OnlineWatermark};
pub use materialize::{MaterializedHow, MaterializedRow, OnlineMaterializeRequest};
pub use push::{OnlinePushAnswer, OnlinePushRequest};

use crate::{Error, Result};

/// Rows of one request at most: more belong into a table.
const ROWS_MAX: usize = 100_000;

/// Refuses more rows than one request may have.
fn check_count(rows: usize) -> Result<()> {
    if rows <= ROWS_MAX {
        return Ok(());
    }
    Err(Error::TooManyRows {
        rows,
        rows_max: ROWS_MAX,
    })
}
