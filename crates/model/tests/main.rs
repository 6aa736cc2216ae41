//! The tests of `drumlin-model`: one binary, one module a subject.

mod tree_codec;mod tree_fuzz;
mod tree_rules;
