//! The tests of `drumlin-objects`: one binary, one module a subject.

mod address;
mod conformance;
mod ranges;
mod repository;
mod session;
mod side_by_side;
mod snapshot;
mod support;
mod upload;
