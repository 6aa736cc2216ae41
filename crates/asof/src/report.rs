//! What an as-of join saw while it ran: the counts that a user is told beside the result.
//! Shared between the plan that counts and the caller who reads; complete when the plan's stream has ended.

use std::sync::{Arc, Mutex, MutexGuard};

/// Counts of one run. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct AsOfReport {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub spine_rows: u64,
    /// In how many pieces the spine was joined: more than one means that it did not fit the memory limit.
    pub spine_pieces: u64,
    pub views: Vec<ViewCounts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewCounts {
    pub view: String,
    /// Rows of the view that never match, because they have no event time.
    pub null_event_times: u64,
}

impl AsOfReport {
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// One line for each thing that a user should know.
    pub fn notices(&self) -> Vec<String> {
        let counts = self.lock();
        let without_time = counts.views.iter().filter(|view| view.null_event_times > 0);
        without_time
            .map(|view| {
                format!(
                    "{} rows of view {:?} have no event time and never match",
                    view.null_event_times, view.view
                )
            })
            .collect()
    }

    pub(crate) fn expect_views(&self, views: impl Iterator<Item = String>) {
        self.lock().views = views
            .map(|view| ViewCounts {
                view,
                null_event_times: 0,
            })
            .collect();
    }

    pub(crate) fn spine_piece(&self, rows: u64) {
        let mut counts = self.lock();
        counts.spine_rows += rows;
        counts.spine_pieces += 1;
    }

    /// A view is read once per piece of the spine, whole or with pruned parts left out: the most that was seen counts.
    pub(crate) fn null_event_times(&self, lookup: usize, rows: u64) {
        let view = &mut self.lock().views[lookup];
        view.null_event_times = view.null_event_times.max(rows);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
