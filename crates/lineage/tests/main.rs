//! The tests of `drumlin-lineage`: one binary, one module a subject.

mod drawing;
mod folders;
mod impact;
mod merges;
mod origins;
mod properties;
mod support;
