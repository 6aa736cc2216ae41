//! From what people type to paths of the repository. Nothing is asked of the disk but where links above a path lead.
//! Invariant: a path that leaves the working copy is an error, however it is spelled.

use std::path::{Component, Path, PathBuf};

use drumlin_model::RepoPath;

use crate::{Error, Result};

/// The path inside the working copy `folder` that `typed` means when read in the folder `current`; none is the whole.
/// Both folders are canonical. `typed` itself may be a link, or be missing.
pub(crate) fn to_scope(folder: &Path, current: &Path, typed: &Path) -> Result<Option<RepoPath>> {
    let outside = || Error::Outside {
        path: typed.to_owned(),
        folder: folder.to_owned(),
    };
    let lexical = normalized(&current.join(typed)).ok_or_else(outside)?;
    let inside = match lexical.strip_prefix(folder) {
        Ok(inside) => inside.to_owned(),
        // An absolute path may go through links that lead here.
        Err(_) => through_links(&lexical)
            .and_then(|real| real.strip_prefix(folder).ok().map(Path::to_owned))
            .ok_or_else(outside)?,
    };
    let mut names = Vec::new();
    for part in inside.components() {
        let name = part
            .as_os_str()
            .to_str()
            .ok_or_else(|| Error::NameNotUtf8 { path: typed.to_owned() })?;
        names.push(name);
    }
    if names.is_empty() {
        return Ok(None);
    }
    RepoPath::new(names.join("/")).map(Some).map_err(|source| Error::Name {
        path: typed.to_owned(),
        source,
    })
}

/// Without `.` and `..`; none if it leaves the root of the file system.
fn normalized(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            part => plain.push(part),
        }
    }
    Some(plain)
}

/// The same place with the links above it resolved: of the nearest folder above that exists.
fn through_links(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    let name = path.file_name()?;
    let real = path.is_dir().then(|| path.canonicalize().ok()).flatten();
    real.or_else(|| Some(parent.canonicalize().ok().or_else(|| through_links(parent))?.join(name)))
}

/// Drops every scope that lies within another, so that nothing is looked at twice.
pub(crate) fn outermost(mut scopes: Vec<Option<RepoPath>>) -> Vec<Option<RepoPath>> {
    if scopes.iter().any(Option::is_none) {
        return vec![None];
    }
    scopes.sort();
    scopes.dedup();
    let all: std::collections::BTreeSet<RepoPath> = scopes.iter().flatten().cloned().collect();
    scopes.retain(|scope| {
        scope
            .as_ref()
            .is_some_and(|path| !path.ancestors().any(|above| all.contains(&above)))
    });
    scopes
}
