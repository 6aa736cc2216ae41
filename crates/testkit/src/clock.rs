//! `TestClock`: a clock that ticks when it is asked, so that a test gives the same times each time it runs.
//! `TestRepo` comes with one; a test may set it back, as machines do.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use drumlin_model::Timestamp;
use drumlin_repo::Clock;

/// 2024-01-01T00:00:00Z.
const START_MICROS: i64 = 1_704_067_200_000_000;
/// How far it goes on at each look.
const TICK_MICROS: i64 = 1_000_000;

/// Clones are one clock.
#[derive(Clone, Debug)]
pub struct TestClock {
    next_micros: Arc<AtomicI64>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            next_micros: Arc::new(AtomicI64::new(START_MICROS)),
        }
    }
}

impl TestClock {
    pub fn new() -> Self {
        Self::default()
    }

    /// The time that the next look sees.
    pub fn set(&self, time: Timestamp) {
        self.next_micros.store(time.micros(), Ordering::SeqCst);
    }

    /// Moves the clock on, or back.
    pub fn advance_micros(&self, by: i64) {
        self.next_micros.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.next_micros.fetch_add(TICK_MICROS, Ordering::SeqCst))
    }
}
