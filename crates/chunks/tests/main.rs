//! The tests of `drumlin-chunks`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that it did not expect"
)]

mod bounds;
mod conformance;
mod cutting;
mod damage;
mod dedup;
mod durable;
mod faults;
mod golden;
mod places;
mod requests;
mod round_trips;
mod seams;
mod segments;
mod support;
mod timing;
