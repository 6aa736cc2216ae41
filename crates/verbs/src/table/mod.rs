//! `table ...`: tables made, changed and looked at. Each verb that writes is one commit.

mod delete;
mod look;
mod write;

pub use delete::{TableDeleteAnswer, TableDeleteRequest};
pub use look::{
    TableColumn, TableHistoryRequest, TableHistoryRow, TableListRequest, TableRow, TableShowAnswer, TableShowRequest,
};
pub use write::{
    RowsFrom, TableAppendRequest, TableCreateRequest, TableOverwriteRequest, TableUpsertRequest, TableWriteAnswer,
};
