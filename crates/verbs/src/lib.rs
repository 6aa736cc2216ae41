//! Every verb, once: what the command line, a server and Python share. A [`Desk`] is opened over a working copy or over a
//! repository alone; each [`Verb`](drumlin_model::Verb) is one method of it, called by the verb's identifier.
//! Below are the floors that do the work. Above, a surface turns its words into a request, and the answer into its form.
//! Invariant: nothing here reads the environment, a terminal or the present: the surface gives them in [`DeskOptions`].
//!
//! ```text
//!  words, JSON, keyword arguments  ->  XRequest  ->  Desk::x  ->  XAnswer  ->  text, JSON, objects
//! ```
//!
//! A request is a struct whose fields are the verb's arguments; errors and cures name arguments by these fields.
//! An answer serializes to the JSON that `docs/reference/json.md` publishes: times are RFC 3339 texts, commits are whole
//! ids. A verb that deletes or moves refs takes `dry_run`: then the answer says what would happen, and nothing does.
//!
//! Whoever drops the future of a verb cancels it, at any point: what it changes, it changes by one swap of the root, or by
//! steps that the same verb takes up again. Its threads notice within a batch of files, and end.

mod apply;
mod code;
mod commit_view;
mod config;
mod desk;
mod diff;
mod error;
mod error_answer;
mod feature;
mod files;
mod fsck;
mod history;
mod lineage;
mod merge;
mod moves;
mod named;
mod online;
mod refs;
mod schemas;
mod sql;
mod start;
mod table;
mod times;
mod train;
mod verify;

pub use drumlin_repo::{Clock, SystemClock};
pub use drumlin_tables::{ColumnType, FileFormat};

pub use apply::{ApplyAnswer, ApplyRequest};
pub use code::git_code;
pub use config::{
    Config, ConfigChangeAnswer, ConfigGetRequest, ConfigListRequest, ConfigOptions, ConfigSetRequest,
    ConfigUnsetRequest, SettingFrom, SettingValue, SettingView,
};
pub use drumlin_worktree::{Color, Key, Settings, Value, parse_size};

pub use commit_view::{CodeView, CommitView, InputView, ProvenanceView};
pub use desk::{Desk, DeskOptions, MEMORY_BYTES_DEFAULT};
pub use diff::{DefinitionChange, DefinitionWhat, DiffAnswer, DiffRequest, FieldChange, FileDiff, TableDiff};
pub use error::{Error, Result};
pub use error_answer::{ErrorAnswer, ErrorView, ErrorWord, message};
pub use feature::{
    FeatureHit, FeatureListRequest, FeatureRow, FeatureSearchRequest, FeatureShowAnswer, FeatureShowRequest,
};
pub use files::{
    AddAnswer, AddRequest, Change, CommitAnswer, CommitRequest, PathChange, RestoreAnswer, RestoreRequest,
    StatusAnswer, StatusRequest,
};
pub use fsck::{FsckAnswer, FsckRequest};
pub use history::{
    CommitPage, EntryView, FolderRow, FolderView, LOG_LIMIT_DEFAULT, LogRequest, ShowAnswer, ShowRequest,
};
pub use lineage::{LineageAnswer, LineageEdge, LineageNode, LineageRecord, LineageRequest};
pub use merge::{CherryPickRequest, MergeAnswer, MergeOutcome, MergeRequest, RevertRequest};
pub use moves::{
    CheckoutAnswer, CheckoutRequest, OP_LOG_LIMIT_DEFAULT, OpLogRequest, OperationView, RefChangeView, ResetAnswer,
    ResetRequest, UndoRequest,
};
pub use named::Named;
pub use online::{
    MaterializedHow, MaterializedRow, OnlineGetRequest, OnlineListRequest, OnlineMaterializeRequest, OnlinePushAnswer,
    OnlinePushRequest, OnlineRow, OnlineViewRow, OnlineWatermark,
};
pub use refs::{
    BranchCreateRequest, BranchDeleteRequest, BranchListRequest, BranchRenameRequest, BranchRow, RefAnswer,
    TagCreateRequest, TagDeleteRequest, TagListRequest, TagRow,
};
pub use schemas::{answer_schema, error_schema};
pub use sql::{QUERY_LEN_MAX, RowsAs, SqlAnswer, SqlRequest};
pub use start::{CloneAnswer, CloneRequest, InitAnswer, InitRequest};
pub use table::{
    RowsFrom, TableAppendRequest, TableColumn, TableCreateRequest, TableDeleteAnswer, TableDeleteRequest,
    TableHistoryRequest, TableHistoryRow, TableListRequest, TableOverwriteRequest, TableRow, TableShowAnswer,
    TableShowRequest, TableUpsertRequest, TableWriteAnswer,
};
pub use times::parse_time;
pub use train::{
    KnownAtView, TrainColumnDiff, TrainCreateAnswer, TrainCreateRequest, TrainDefinitionDiff, TrainDiffAnswer,
    TrainDiffRequest, TrainListRequest, TrainRebuildAnswer, TrainRebuildRequest, TrainShowRequest, TrainingColumn,
    TrainingCounts, TrainingOptions, TrainingPart, TrainingSetView, TrainingSpine, TrainingView, TrainingViewCounts,
};
pub use verify::{VerifiedView, VerifyAnswer, VerifyMismatch, VerifyRequest};
