//! What can go wrong between a folder and its repository, in one enum; each case names the thing.
//! Errors of the repository below pass through unchanged, with their kind and their cure.

use std::path::{Path, PathBuf};

use drumlin_model::{Cure, ErrorKind, PathError, RepoPath, names::Verb};

/// How many paths an error names before it only counts the rest.
const PATHS_SHOWN_MAX: usize = 10;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Repo(#[from] drumlin_repo::Error),
    #[error("{} is not inside a Drumlin repository", folder.display())]
    NotARepository { folder: PathBuf },
    #[error("{} is already a Drumlin working copy", folder.display())]
    AlreadyAWorkingCopy { folder: PathBuf },
    #[error("working copy {} has format {found}; this program reads up to format {newest}", folder.display())]
    TooNew { folder: PathBuf, found: u64, newest: u64 },
    #[error("line {line} of {} cannot be used: {why}", file.display())]
    Config { file: PathBuf, line: usize, why: String },
    #[error("{name}: {why}")]
    Setting { name: String, why: String },
    #[error("there is no setting {name:?}")]
    NoSuchSetting { name: String, close: Option<&'static str> },
    #[error("the folder of the user's settings is not known")]
    NoUserFile,
    #[error("the working copy is in use by {holder}")]
    Locked { holder: String },
    #[error("path {} is outside the working copy {}", path.display(), folder.display())]
    Outside { path: PathBuf, folder: PathBuf },
    #[error("{} names the whole working copy, where a path inside it is needed", path.display())]
    WholeFolder { path: PathBuf },
    #[error("path {path} lies beyond the symbolic link {link}")]
    BeyondSymlink { path: RepoPath, link: RepoPath },
    #[error("the name of {} is not UTF-8, so it cannot be kept", path.display())]
    NameNotUtf8 { path: PathBuf },
    #[error("the name of {} cannot be kept", path.display())]
    Name { path: PathBuf, source: PathError },
    #[error("the target of the symbolic link {} is not UTF-8, so it cannot be kept", path.display())]
    TargetNotUtf8 { path: PathBuf },
    #[error("nothing is at {path}")]
    NothingThere { path: RepoPath },
    #[error("{path} is ignored by .drumlinignore")]
    Ignored { path: RepoPath },
    #[error("the ignore file {} cannot be used", file.display())]
    IgnoreFile { file: PathBuf, source: ignore::Error },
    #[error("{} of the working copy would be overwritten: {}", counted(paths.len(), "change"), shown(paths))]
    WouldOverwrite { paths: Vec<RepoPath> },
    #[error("a checkout of {target} was interrupted and has to be finished first")]
    Interrupted { target: String },
    #[error("no branch is checked out, so there is nothing to commit to")]
    Detached,
    #[error("cannot {verb} {}", path.display())]
    Io {
        verb: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot {verb} the index of the working copy")]
    Index { verb: &'static str, source: heed::Error },
    #[error("the index of the working copy is damaged: {detail}")]
    IndexDamaged { detail: String },
}

impl From<drumlin_chunks::Error> for Error {
    fn from(error: drumlin_chunks::Error) -> Self {
        Error::Repo(error.into())
    }
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        use Error as E;
        match self {
            E::Repo(error) => error.kind(),
            E::NotARepository { .. } | E::NothingThere { .. } | E::NoSuchSetting { .. } => ErrorKind::NotFound,
            E::AlreadyAWorkingCopy { .. } => ErrorKind::AlreadyExists,
            E::TooNew { .. } => ErrorKind::Unsupported,
            E::Config { .. }
            | E::Setting { .. }
            | E::Outside { .. }
            | E::WholeFolder { .. }
            | E::BeyondSymlink { .. }
            | E::NameNotUtf8 { .. }
            | E::Name { .. }
            | E::TargetNotUtf8 { .. }
            | E::Ignored { .. }
            | E::IgnoreFile { .. } => ErrorKind::InvalidInput,
            E::Locked { .. } => ErrorKind::Unavailable,
            E::WouldOverwrite { .. } => ErrorKind::Conflict,
            E::Interrupted { .. } | E::Detached | E::NoUserFile => ErrorKind::Precondition,
            E::Io { source, .. } => ErrorKind::of_io(source),
            E::Index {
                source: heed::Error::Io(source),
                ..
            } => ErrorKind::of_io(source),
            E::Index { .. } => ErrorKind::Internal,
            E::IndexDamaged { .. } => ErrorKind::Corrupt,
        }
    }

    /// What mends it, the best first. Arguments are called as the requests of the verbs call them.
    pub fn cures(&self) -> Vec<Cure> {
        use Error as E;
        vec![match self {
            E::Repo(error) => return error.cures(),
            E::NotARepository { .. } => Cure::run(Verb::Init),
            E::AlreadyAWorkingCopy { .. } | E::WholeFolder { .. } | E::NothingThere { .. } => Cure::run(Verb::Status),
            E::Config { file, .. } | E::IgnoreFile { file, .. } => Cure::edit(file.display().to_string()),
            E::NoSuchSetting { close: Some(close), .. } => Cure::did_you_mean(*close),
            E::Setting { .. } | E::NoSuchSetting { .. } => {
                Cure::run(Verb::ConfigList).why("shows what can be set, and where each value comes from")
            }
            E::Outside { folder, .. } => Cure::say(format!("name a path in {}", folder.display())),
            E::BeyondSymlink { link, .. } => Cure::run(Verb::Add).with("paths", link.as_str()).why("keeps the link"),
            E::NameNotUtf8 { path } | E::Name { path, .. } => {
                Cure::say(format!("rename it, or ignore it in .drumlinignore: {}", path.display()))
            }
            E::TargetNotUtf8 { path } => Cure::say(format!("link to another name: {}", path.display())),
            E::Ignored { path } => Cure::say(format!("write `!/{path}` as the last line of .drumlinignore")),
            E::WouldOverwrite { .. } => {
                return vec![
                    Cure::run(Verb::Commit)
                        .with("message", "MESSAGE")
                        .why("keeps these changes, once they are added"),
                    Cure::run(Verb::Checkout)
                        .with("to", "REF")
                        .flag("force")
                        .why("loses these changes"),
                ];
            }
            E::Interrupted { target } => Cure::run(Verb::Checkout).with("to", target.as_str()),
            E::Detached => Cure::run(Verb::Checkout)
                .with("create", "NAME")
                .why("makes a branch of what is here"),
            E::Locked { .. } => Cure::say("wait until it is done, then ask again"),
            E::IndexDamaged { .. } => {
                Cure::run(Verb::Clone).why("makes another working copy of the same repository; copy your changes there")
            }
            E::Io { source, path, .. } => return io_cures(source, path),
            E::NoUserFile => Cure::say("set HOME or XDG_CONFIG_HOME"),
            E::Index { .. } | E::TooNew { .. } => return Vec::new(),
        }]
    }

    pub(crate) fn io(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { verb, path, source }
    }
}

fn io_cures(error: &std::io::Error, path: &Path) -> Vec<Cure> {
    use std::io::ErrorKind as Io;
    let path = path.display().to_string();
    match error.kind() {
        Io::StorageFull => vec![Cure::MakeRoom { folder: path }],
        Io::PermissionDenied => vec![Cure::Permit { path }],
        _ => Vec::new(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn shown(paths: &[RepoPath]) -> String {
    let mut text = paths
        .iter()
        .take(PATHS_SHOWN_MAX)
        .map(RepoPath::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > PATHS_SHOWN_MAX {
        text.push_str(&format!(" and {} more", paths.len() - PATHS_SHOWN_MAX));
    }
    text
}
