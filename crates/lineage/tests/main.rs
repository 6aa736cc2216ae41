//! The tests of `drumlin-lineage`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod drawing;
mod folders;
mod impact;
mod merges;
mod origins;
mod properties;
mod support;
