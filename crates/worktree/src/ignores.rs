//! `Ignores`: what the `.drumlinignore` files say, with Git's syntax: the nearest file that has a rule for a path decides.
//! Only for what is not yet kept: a file that the index knows stays known.

use std::{path::Path, sync::Arc};

use ignore::{Match, gitignore::GitignoreBuilder};

use crate::{Error, Result};

pub(crate) const IGNORE_FILE: &str = ".drumlinignore";

/// The rules that hold inside one folder: its own and those of the folders above, up to the working copy's.
#[derive(Clone, Default)]
pub(crate) struct Ignores {
    nearest: Option<Arc<Level>>,
}

struct Level {
    rules: ignore::gitignore::Gitignore,
    above: Option<Arc<Level>>,
}

impl Ignores {
    /// The rules inside `folder`, which lies in the folder that these rules are of. Reads its ignore file if it has one.
    pub fn enter(&self, folder: &Path) -> Result<Ignores> {
        let file = folder.join(IGNORE_FILE);
        if !file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(self.clone());
        }
        let mut builder = GitignoreBuilder::new(folder);
        let rules = match builder.add(&file) {
            Some(source) => Err(source),
            None => builder.build(),
        };
        let rules = rules.map_err(|source| Error::IgnoreFile { file, source })?;
        Ok(Ignores {
            nearest: Some(Arc::new(Level {
                rules,
                above: self.nearest.clone(),
            })),
        })
    }

    /// Whether a path in the folder that these rules are of is to be passed over.
    pub fn is_ignored(&self, path: &Path, is_folder: bool) -> bool {
        let mut level = self.nearest.as_deref();
        while let Some(Level { rules, above }) = level {
            match rules.matched(path, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => level = above.as_deref(),
            }
        }
        false
    }
}
