//! The tests of `drumlin-model`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod commits;
mod features;
mod golden;
mod tree_codec;
mod tree_fuzz;
mod tree_limits;
mod tree_measure;
mod tree_rules;
mod verbs;
