//! The tests of `drumlin-lineage`: one binary, one module a subject.
