//! What the tests of all crates need: repositories in a line, a clock that is set, stores that count and fail.
//! A dev-dependency only; nothing that is shipped imports it.

pub mod clock;
pub mod repo;

pub use clock::TestClock;
pub use repo::{TestRepo, author, info, name, path};
