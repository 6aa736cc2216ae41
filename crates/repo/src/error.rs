//! What can go wrong with a repository, in one enum; each case names the thing and says what mends it.
//! Errors of the chunks below pass through unchanged.

use drumlin_model::{
    CommitId, Cure, ErrorKind, FormatError, OperationId, RefName, RepoPath, Verb, by::ACTOR_LEN_MAX,
    provenance::PROVENANCE_LEN_MAX,
};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Chunks(#[from] drumlin_chunks::Error),
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An object that others name is gone.
    #[error("object {key} is missing from the repository")]
    MissingObject { key: String },
    #[error(transparent)]
    Entry(#[from] drumlin_model::tree::EntryError),
    /// A background task ended without an answer.
    #[error("the task that was to {task} stopped")]
    Stopped {
        task: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },
    #[error("there is no repository here")]
    NoRepository,
    #[error("there already is a repository here")]
    RepositoryExists,
    #[error("no branch, tag or commit is called {name:?}")]
    NoSuchRef { name: String },
    #[error("no branch is called {name:?}")]
    NoSuchBranch { name: RefName },
    #[error("no tag is called {name:?}")]
    NoSuchTag { name: RefName },
    #[error("commit {commit} is not in the repository")]
    NoSuchCommit { commit: CommitId },
    #[error("{prefix:?} is the start of several commits: {}", shown(.candidates))]
    AmbiguousCommit { prefix: String, candidates: Vec<CommitId> },
    #[error("{of:?} has no ancestor {steps} steps back")]
    NoSuchAncestor { of: String, steps: u32 },
    #[error("no operation has the id {operation}")]
    NoSuchOperation { operation: OperationId },
    #[error("branch {name:?} exists already")]
    BranchExists { name: RefName },
    #[error("tag {name:?} exists already")]
    TagExists { name: RefName },
    #[error("{path:?} does not exist at {at}")]
    NoSuchPath { path: RepoPath, at: String },
    #[error("{path:?} is a {found}, not a file")]
    NotAFile { path: RepoPath, found: &'static str },
    #[error("{path:?} stays outside the repository, at {address}; such files cannot be read yet")]
    External { path: RepoPath, address: String },
    #[error("{file:?} and {below:?} cannot both exist: the first is a file")]
    PathClash { file: RepoPath, below: RepoPath },
    #[error("branch {branch:?} was changed by others at {}", shown(.paths))]
    Conflict { branch: RefName, paths: Vec<RepoPath> },
    /// Changes that are read page by page, from whoever keeps them.
    #[error("the changes to commit cannot be read")]
    Changes {
        kind: ErrorKind,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("nothing to commit on branch {branch:?}")]
    NothingToCommit { branch: RefName },
    #[error("operation {operation} cannot be undone: {kind} {name:?} has moved since")]
    Moved {
        operation: OperationId,
        kind: &'static str,
        name: RefName,
    },
    #[error("{kind} {name:?} is not where it was expected to be")]
    RefMoved { kind: &'static str, name: RefName },
    #[error("operation {operation} created the repository and cannot be undone")]
    FirstOperation { operation: OperationId },
    #[error("commit {commit} has no parent to compare it with")]
    NoParent { commit: CommitId },
    #[error("others changed the repository each of the {attempts} times that this change was tried")]
    Contended { attempts: u32 },
    #[error("the store did not say whether operation {operation} happened")]
    OutcomeUnknown {
        operation: OperationId,
        #[source]
        source: Box<Error>,
    },
    #[error(
        "the repository has {refs} branches and tags; their list, with one more change, is too long to be read back"
    )]
    TooManyRefs { refs: usize },
    #[error("one operation cannot change {changes} branches and tags; their list is too long to be read back")]
    TooManyChanges { changes: usize },
    #[error("the name of who asks has {len} bytes; at most {ACTOR_LEN_MAX} are recorded")]
    ActorTooLong { len: usize },
    #[error("the provenance of this commit would be {len} bytes long; at most {PROVENANCE_LEN_MAX} are read back")]
    ProvenanceTooLong { len: usize },
    #[error("{path:?} cannot be read as commit {commit} has it")]
    Unreadable {
        path: RepoPath,
        commit: CommitId,
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Chunks(error) => error.kind(),
            Error::Format(error) => error.kind(),
            Error::NotAFile { .. } | Error::PathClash { .. } => ErrorKind::InvalidInput,
            Error::Entry(_) => ErrorKind::InvalidInput,
            Error::MissingObject { .. } => ErrorKind::Corrupt,
            Error::Stopped { .. } => ErrorKind::Internal,
            Error::NoRepository
            | Error::NoSuchRef { .. }
            | Error::NoSuchBranch { .. }
            | Error::NoSuchTag { .. }
            | Error::NoSuchCommit { .. }
            | Error::NoSuchAncestor { .. }
            | Error::NoSuchOperation { .. }
            | Error::NoSuchPath { .. } => ErrorKind::NotFound,
            Error::AmbiguousCommit { .. } => ErrorKind::InvalidInput,
            Error::RepositoryExists | Error::BranchExists { .. } | Error::TagExists { .. } => ErrorKind::AlreadyExists,
            Error::External { .. } => ErrorKind::Unsupported,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::NothingToCommit { .. }
            | Error::Moved { .. }
            | Error::RefMoved { .. }
            | Error::FirstOperation { .. }
            | Error::NoParent { .. }
            | Error::TooManyRefs { .. } => ErrorKind::Precondition,
            Error::ProvenanceTooLong { .. } | Error::TooManyChanges { .. } | Error::ActorTooLong { .. } => {
                ErrorKind::InvalidInput
            }
            Error::Contended { .. } | Error::OutcomeUnknown { .. } => ErrorKind::Unavailable,
            Error::Unreadable { source, .. } => source.kind(),
            Error::Changes { kind, .. } => *kind,
        }
    }

    /// What mends it, the best first.
    pub fn cures(&self) -> Vec<Cure> {
        let cure = match self {
            Error::Unreadable { source, .. } => return source.cures(),
            Error::Chunks(source) => return source.cures(),
            Error::NoSuchRef { .. } => return vec![Cure::run(Verb::BranchList), Cure::run(Verb::TagList)],
            Error::NoRepository => Cure::run(Verb::Init),
            Error::MissingObject { .. } => Cure::run(Verb::Fsck),
            Error::Format(FormatError::Damaged { .. }) => Cure::run(Verb::Fsck),
            Error::NoSuchBranch { .. } | Error::BranchExists { .. } => Cure::run(Verb::BranchList),
            Error::NoSuchTag { .. } | Error::TagExists { .. } => Cure::run(Verb::TagList),
            Error::NoSuchCommit { .. } | Error::NoSuchAncestor { .. } => Cure::run(Verb::Log),
            Error::AmbiguousCommit { candidates, .. } => {
                Cure::choose("commit", candidates.iter().map(ToString::to_string))
            }
            Error::NoSuchOperation { .. } | Error::Moved { .. } | Error::OutcomeUnknown { .. } => {
                Cure::run(Verb::OpLog)
            }
            Error::RefMoved { .. } => Cure::run(Verb::BranchList),
            Error::TooManyRefs { .. } => Cure::run(Verb::TagDelete).why("makes room for others"),
            Error::TooManyChanges { .. } => Cure::say("fewer branches and tags in one operation"),
            Error::ActorTooLong { .. } => Cure::say("a shorter name of who asks"),
            Error::ProvenanceTooLong { .. } => Cure::say("a shorter message, or fewer inputs in one commit"),
            Error::NoSuchPath { .. } | Error::NotAFile { .. } => Cure::run(Verb::Status),
            Error::PathClash { file, .. } => Cure::run(Verb::Show).with("what", file.as_str()),
            Error::Conflict { branch, .. } => Cure::run(Verb::Log).with("at", branch.as_str()),
            _ => return Vec::new(),
        };
        vec![cure]
    }
}

/// The first few of a list, for a line of text.
fn shown<T: std::fmt::Debug>(things: &[T]) -> String {
    const SHOWN_MAX: usize = 5;
    let mut text = things
        .iter()
        .take(SHOWN_MAX)
        .map(|thing| format!("{thing:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    if things.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more", things.len() - SHOWN_MAX));
    }
    text
}
