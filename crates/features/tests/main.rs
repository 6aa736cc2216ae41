//! The tests of `drumlin-features`: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod definitions;
mod golden;
mod identity;
mod kills;
mod online;
mod online_cases;
mod online_edges;
mod opens;
mod support;
mod trains;
