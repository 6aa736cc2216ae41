//! The tests of `drumlin-repo`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod commits;
mod faults;
mod fsck;
mod history;
mod merges;
mod names;
mod races;
mod requests;
mod root;
mod sessions;
mod trees;
mod trees_cost;
mod trees_limits;
mod trees_merge;
mod undo;
mod walks;
