//! What can go wrong with a verb, in one enum: errors of the floors below pass through, and the few of the verbs' own.
//! Each says its kind, by which a surface chooses an exit code or a status, and its cures, as data.

use std::path::PathBuf;

use drumlin_model::{CommitId, Cure, ErrorKind, PathError, RefName, RefNameError, RepoPath, Timestamp, Verb};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How many paths a conflict names.
const CONFLICTS_SHOWN_MAX: usize = 20;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Chunks(#[from] drumlin_chunks::Error),
    #[error(transparent)]
    Repo(#[from] drumlin_repo::Error),
    #[error(transparent)]
    Worktree(#[from] drumlin_worktree::Error),
    #[error(transparent)]
    Tables(#[from] drumlin_tables::Error),
    #[error(transparent)]
    Features(#[from] drumlin_features::Error),
    #[error(transparent)]
    Lineage(#[from] drumlin_lineage::Error),
    #[error(transparent)]
    Online(#[from] drumlin_online::Error),
    #[error(transparent)]
    RefName(#[from] RefNameError),
    #[error(transparent)]
    Path(#[from] PathError),
    /// The desk was opened over a repository alone.
    #[error("this needs a working copy, and only the repository is open")]
    NoWorkingCopy,
    /// A commit is checked out by itself, or a desk without a working copy was given no branch.
    #[error("no branch is checked out here, so there is nothing to commit to")]
    NoBranch,
    /// A desk without a working copy was given no folder for this.
    #[error("no folder was named for {what}")]
    NoFolder { what: &'static str },
    #[error("branch {branch} is checked out here")]
    CheckedOut { branch: RefName },
    /// Nothing was done. `source_ref` is what the changes were to come from.
    #[error("both sides changed {}; nothing was done", shown(.paths))]
    Conflicts { paths: Vec<String>, source_ref: String },
    #[error("nothing stands at {path} at {}", .commit.short())]
    NothingAt { path: RepoPath, commit: CommitId },
    #[error("{problems} of the repository's objects are damaged or missing")]
    Damage { problems: usize },
    #[error("there are no definitions at {}", .path.display())]
    NoDefinitions { path: PathBuf },
    #[error("{rows} rows are more than {rows_max} at once")]
    TooManyRows { rows: usize, rows_max: usize },
    #[error("training set {name} did not come out as it was recorded")]
    NotRebuilt { name: String },
    #[error("the online store answers differently from the tables")]
    OnlineDiffers,
    /// The store does not keep what answered at the time of the comparison.
    #[error("{keys} keys cannot be asked at this time; from {from} on all can")]
    Unanswered { keys: u64, from: Timestamp },
    #[error("{what}")]
    Invalid { what: String, cures: Vec<Cure> },
    #[error("cannot {action} {}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Chunks(error) => error.kind(),
            Error::Repo(error) => error.kind(),
            Error::Worktree(error) => error.kind(),
            Error::Tables(error) => error.kind(),
            Error::Features(error) => error.kind(),
            Error::Lineage(error) => error.kind(),
            Error::Online(error) => error.kind(),
            Error::RefName(_) | Error::Path(_) | Error::Invalid { .. } => ErrorKind::InvalidInput,
            Error::NoWorkingCopy | Error::NoBranch | Error::NoFolder { .. } | Error::CheckedOut { .. } => {
                ErrorKind::Precondition
            }
            Error::NotRebuilt { .. } | Error::Unanswered { .. } => ErrorKind::Precondition,
            Error::TooManyRows { .. } => ErrorKind::InvalidInput,
            Error::Conflicts { .. } => ErrorKind::Conflict,
            Error::NothingAt { .. } | Error::NoDefinitions { .. } => ErrorKind::NotFound,
            Error::Damage { .. } | Error::OnlineDiffers => ErrorKind::Corrupt,
            Error::Io { source, .. } => ErrorKind::of_io(source),
        }
    }

    /// Whether a writer failed because whoever read from it has seen enough.
    pub fn is_closed_pipe(&self) -> bool {
        let Error::Tables(drumlin_tables::Error::Io { source, .. }) = self else {
            return false;
        };
        source.kind() == std::io::ErrorKind::BrokenPipe
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        match self {
            Error::Chunks(error) => error.cures(),
            Error::Repo(error) => error.cures(),
            Error::Worktree(error) => error.cures(),
            Error::Tables(error) => error.cures(),
            Error::Features(error) => error.cures(),
            Error::Lineage(error) => error.cures(),
            Error::Online(error) => error.cures(),
            Error::RefName(_) => vec![Cure::run(Verb::BranchList).why("lists the branches")],
            Error::Path(_) => vec![Cure::run(Verb::Status).why("paths start at the repository's folder")],
            Error::NoWorkingCopy => vec![Cure::run(Verb::Clone).why("makes a working copy")],
            Error::NoBranch => vec![
                Cure::run(Verb::Checkout).with("to", "main"),
                Cure::run(Verb::Checkout)
                    .with("create", "NAME")
                    .why("makes a branch of what is here"),
            ],
            Error::CheckedOut { .. } => vec![Cure::run(Verb::Checkout).with("to", "OTHER").why("first")],
            Error::Conflicts { paths, source_ref } => paths
                .first()
                .map(|path| {
                    Cure::run(Verb::Restore)
                        .with("paths", path)
                        .with("source", source_ref)
                        .why("takes it as it is there; then add it, commit, and try again")
                })
                .into_iter()
                .collect(),
            Error::NothingAt { path, .. } => vec![
                Cure::run(Verb::Log)
                    .with("path", path.as_str())
                    .why("shows which commits touched it"),
            ],
            Error::Damage { .. } => {
                vec![Cure::say(
                    "copy the named objects back from a backup or another copy of the store",
                )]
            }
            Error::NoDefinitions { .. } => vec![Cure::say("write definitions in features/NAME.yaml, then apply them")],
            Error::TooManyRows { .. } => {
                vec![Cure::run(Verb::TableAppend).why("then online materialize reads them from the table")]
            }
            Error::NotRebuilt { .. } => vec![Cure::run(Verb::Fsck)],
            Error::OnlineDiffers => vec![Cure::run(Verb::OnlineMaterialize).flag("rebuild")],
            Error::Unanswered { from, .. } => vec![Cure::run(Verb::Verify).with("now", from.to_string())],
            Error::Invalid { cures, .. } => cures.clone(),
            Error::NoFolder { .. } | Error::Io { .. } => Vec::new(),
        }
    }
}

/// The first of a list, for a line of text.
fn shown(paths: &[String]) -> String {
    let first = paths[..paths.len().min(CONFLICTS_SHOWN_MAX)].join(", ");
    match paths.len().saturating_sub(CONFLICTS_SHOWN_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
