//! The tests of `drumlin-tables`: one binary, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod bounds;
mod concurrent;
mod evolve;
mod exact;
mod limits;
mod mistakes;
mod model;
mod order;
mod output;
mod plans;
mod readers;
mod reading;
mod refs;
mod requests;
mod rewrites;
mod support;
mod verbs;
mod watched;
