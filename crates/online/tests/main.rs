//! The tests of `drumlin-online`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod conformance;
mod damage;
mod golden;
mod keys;
mod kills;
mod pushes;
mod support;
mod views;
