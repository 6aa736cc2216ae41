//! The tests of `drumlin-tables`: one binary, one module a subject.
