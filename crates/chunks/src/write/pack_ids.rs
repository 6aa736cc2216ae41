//! `PackIds`: the ids of a writer's packs. They begin with the time, so that a listing shows packs about as old as they are.
//! `packs` takes one for each pack. Invariant: no two are alike, whatever the clock says.

use std::time::Instant;

use drumlin_model::{PackId, Timestamp};

/// Milliseconds since 1970 as 6 big-endian bytes (until the year 10889), then 26 random bytes.
#[derive(Debug)]
pub(crate) struct PackIds {
    began: Timestamp,
    since: Instant,
}

impl PackIds {
    /// Ids from now on, which is `began`.
    pub(crate) fn since(began: Timestamp) -> Self {
        let since = Instant::now();
        Self { began, since }
    }

    pub(crate) fn next(&self) -> PackId {
        let began = u64::try_from(self.began.micros() / 1000).unwrap_or(0);
        let millis = began.saturating_add(self.since.elapsed().as_millis() as u64);
        let mut id: [u8; 32] = rand::random();
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        PackId::from_bytes(id)
    }
}
