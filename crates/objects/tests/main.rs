//! The tests of `drumlin-objects`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod address;
mod attributes;
mod conformance;
mod ranges;
mod repository;
mod session;
mod side_by_side;
mod snapshot;
mod support;
mod upload;
