//! The tests of `drumlin-repo`: one binary, one module a subject.

mod trees;
mod trees_cost;
mod trees_merge;
