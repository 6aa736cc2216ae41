//! Logs of Delta tables: entries mean something only one after another, so to a merge and a rebase a log is one thing.
//! `trees::merge` and `commit` ask; what an entry says is for the floors above.

use drumlin_model::RepoPath;

/// The folder that makes a folder a Delta table.
pub(crate) const DELTA_LOG: &str = "_delta_log";

/// The log that a path is in.
pub(crate) fn log_of(path: &RepoPath) -> Option<RepoPath> {
    path.ancestors().find(|folder| folder.name() == DELTA_LOG)
}
