//! The tests of `drumlin-repo`: one binary, one module a subject.
