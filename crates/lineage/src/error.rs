//! What can go wrong when history is asked where things come from.

use drumlin_model::{CommitId, Cure, ErrorKind, RepoPath, Verb};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no commit up to {} wrote {path:?}", .commit.short())]
    NeverWritten { path: RepoPath, commit: CommitId },
    #[error("commit {commit} is not part of this history")]
    UnknownCommit { commit: CommitId },
    #[error("the history has more than {limit} commits, the most that lineage reads")]
    TooManyCommits { limit: usize },
    #[error("cannot read the history of commit {commit}")]
    History {
        commit: CommitId,
        source: Box<drumlin_repo::Error>,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NeverWritten { .. } | Error::UnknownCommit { .. } => ErrorKind::NotFound,
            Error::TooManyCommits { .. } => ErrorKind::Unsupported,
            Error::History { source, .. } => source.kind(),
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        match self {
            Error::NeverWritten { commit, .. } => vec![Cure::run(Verb::Log).with("at", commit.short())],
            Error::UnknownCommit { .. } => vec![Cure::run(Verb::Log)],
            Error::TooManyCommits { .. } => Vec::new(),
            Error::History { source, .. } => source.cures(),
        }
    }
}
