//! `PackIds`: the ids of a writer's packs. They begin with the time, so that a listing shows packs about as old as they are.
//! `packs` takes one for each pack. Invariant: no two are alike, whatever the clock says.

use std::time::Instant;

use drumlin_model::{PackId, Timestamp};

/// Where a writer takes the ids of its packs from.
#[derive(Debug)]
pub enum PackIds {
    /// Milliseconds since 1970 as 6 big-endian bytes (until the year 10889), then 26 random bytes.
    ByTime { began: Timestamp, since: Instant },
    /// These, one after another; for tests that compare bytes.
    Given { first: [u8; 32], count: u8 },
}

impl PackIds {
    /// Ids from now on, which is `began`.
    pub fn since(began: Timestamp) -> Self {
        let since = Instant::now();
        Self::ByTime { began, since }
    }

    /// An id, and then those whose last byte is one more each.
    pub fn given(first: [u8; 32]) -> Self {
        Self::Given { first, count: 0 }
    }

    pub(crate) fn next(&mut self) -> PackId {
        match self {
            Self::ByTime { began, since } => {
                let began = u64::try_from(began.micros() / 1000).unwrap_or(0);
                let millis = began.saturating_add(since.elapsed().as_millis() as u64);
                let mut id: [u8; 32] = rand::random();
                id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
                PackId::from_bytes(id)
            }
            Self::Given { first, count } => {
                let mut id = *first;
                id[31] = id[31].wrapping_add(*count);
                *count = count.wrapping_add(1);
                PackId::from_bytes(id)
            }
        }
    }
}
