//! The tests of `drumlin-tables`: one binary, one module a subject.

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
