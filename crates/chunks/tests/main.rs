//! The tests of `drumlin-chunks`: one binary, one module a subject.
