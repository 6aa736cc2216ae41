//! The tests of `drumlin-worktree`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod cost;
mod golden;
mod kit;
mod model;
mod places;
mod settings;
mod trouble;
mod verbs;
