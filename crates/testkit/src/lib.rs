//! What the tests of all crates need: repositories in a line, a clock that is set, stores that count and fail, the law's cases.
//! A dev-dependency only; nothing that is shipped imports it.

pub mod clock;
pub mod counting_store;
pub mod faulty_store;
pub mod law;
pub mod repo;
pub mod watched_store;
mod yaml;

pub use clock::TestClock;
pub use counting_store::{CountingStore, Requests};
pub use faulty_store::{Faults, FaultyStore, Side};
pub use repo::{TestRepo, author, info, name, path};
pub use watched_store::{Request, Verb};
