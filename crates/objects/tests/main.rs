//! The tests of `drumlin-objects`: one binary, one module a subject.
