//! The tests of `drumlin-features`: one binary, one module a subject.
