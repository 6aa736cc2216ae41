//! Logs of Delta tables: entries mean something only one after another, so to a merge and a rebase a log is one thing.
//! `trees::merge` and `commit` ask, and the floors above for the names; what an entry says is theirs.

use drumlin_model::RepoPath;

/// The folder that makes a folder a Delta table.
pub const DELTA_LOG: &str = "_delta_log";

/// The log that a path is in.
pub(crate) fn log_of(path: &RepoPath) -> Option<RepoPath> {
    path.ancestors().find(|folder| folder.name() == DELTA_LOG)
}

/// The table whose log a path is, or is in.
pub fn table_of(path: &RepoPath) -> Option<RepoPath> {
    let is_log = path.name() == DELTA_LOG;
    let log = if is_log { Some(path.clone()) } else { log_of(path) };
    log?.parent()
}
