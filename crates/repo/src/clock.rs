//! `Clock`: where the time comes from, so that nothing below the top floor reads it by itself.
//! `SystemClock` is the machine's; tests have one that they set.

use std::time::{SystemTime, UNIX_EPOCH};

use drumlin_model::Timestamp;

/// The present. Answers need not grow: a machine's clock may be set back.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is to ask"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
