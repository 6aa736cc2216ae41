//! The tests of `drumlin-model`: one binary, one module a subject.
