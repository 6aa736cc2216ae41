//! `Task`: a part of a verb that is being watched. It is over when the value goes, however that comes.
//! The verbs start tasks, one at a time; `drumlin-chunks` says what a `Progress` promises.

use drumlin_chunks::{Progress, Unit};

pub(crate) struct Task<'a> {
    progress: &'a dyn Progress,
}

impl<'a> Task<'a> {
    /// Work that is counted in rows; `total` where it is known.
    pub(crate) fn start(progress: &'a dyn Progress, name: &str, total: Option<u64>) -> Self {
        progress.start(name, total, Unit::Rows);
        Self { progress }
    }

    pub(crate) fn advance(&self, rows: usize) {
        self.progress.advance(rows as u64);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.progress.finish();
    }
}
