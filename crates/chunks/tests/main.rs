//! The tests of `drumlin-chunks`: one binary, one module a subject.

mod conformance;
mod cutting;
mod damage;
mod dedup;
mod durable;
mod faults;
mod requests;
mod round_trips;
mod support;
mod timing;
