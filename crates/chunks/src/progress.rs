//! `Progress`: how long work tells whoever watches how far it is. Every floor takes a `&dyn Progress`; the command line draws it.
//! Nothing may depend on what an implementation does with it.

/// What a task's total and steps are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Files,
    Rows,
    Items,
}

/// A listener to one task at a time. Methods return at once and never fail; `advance` is called from many threads.
pub trait Progress: Send + Sync {
    /// A task begins; its total is given where it is known.
    fn start(&self, task: &str, total: Option<u64>, unit: Unit);
    /// The total turned out to be `by` more than was said.
    fn grow(&self, _by: u64) {}
    /// `by` more units are done.
    fn advance(&self, by: u64);
    /// The task is over, well or badly.
    fn finish(&self);
}

/// A task that is over when this is dropped: at its end, at an error, and when the work is cancelled.
pub struct Task<'a> {
    progress: &'a dyn Progress,
}

impl<'a> Task<'a> {
    pub fn start(progress: &'a dyn Progress, task: &str, total: Option<u64>, unit: Unit) -> Self {
        progress.start(task, total, unit);
        Self { progress }
    }

    /// `by` more units are done.
    pub fn advance(&self, by: u64) {
        self.progress.advance(by);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.progress.finish();
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _task: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _by: u64) {}
    fn finish(&self) {}
}
