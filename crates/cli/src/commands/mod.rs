//! One file for each verb: its words (whose doc comments are the help), the one call, the rendering.
//! The order is that of the help.

pub mod add;
pub mod apply;
pub mod branch;
pub mod checkout;
pub mod cherry_pick;
pub mod clone;
pub mod commit;
pub mod completions;
pub mod config;
pub mod diff;
pub mod feature;
pub mod fsck;
pub mod init;
pub mod lineage;
pub mod log;
pub mod merge;
pub mod online;
pub mod op;
pub mod reset;
pub mod restore;
pub mod revert;
pub mod show;
pub mod sql;
pub mod status;
pub mod table;
pub mod tag;
pub mod train;
pub mod undo;
pub mod verify;
