//! The tests of `drumlin-testkit`: one binary, one module a subject.
