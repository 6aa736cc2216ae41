//! The tests of `drumlin-tables`: one binary, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod concurrent;
mod evolve;
mod limits;
mod mistakes;
mod model;
mod output;
mod readers;
mod reading;
mod refs;
mod requests;
mod support;
mod verbs;
