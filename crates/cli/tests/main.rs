//! The tests of `drumlin-cli`: one binary, one module a subject.
