//! `Configuration`: the settings of one run of the program, with the files that they stand in. `config` shows and changes it;
//! every other verb takes values of it.
//! Invariant: what it says holds now; a change is read back from the file.

use std::path::{Path, PathBuf};

use crate::{
    Error, Layout, Result,
    config::SettingsFile,
    settings::{FileLayer, Key, Layers, Settings, Value},
};

/// Which file a change goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsScope {
    /// The file of this working copy.
    Repository,
    /// The file of whoever runs the program, for all repositories.
    User,
}

/// What a change of a setting did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChanged {
    /// The file that says so now.
    pub file: PathBuf,
    /// What the file set before.
    pub before: Option<Value>,
}

/// The settings as they hold, and where they are kept.
#[derive(Clone, Debug)]
pub struct Configuration {
    from: PathBuf,
    user: Option<SettingsFile>,
    repository: Option<SettingsFile>,
    layers: Layers,
    settings: Settings,
}

impl Configuration {
    /// Reads the user's file (none where nobody knows a home folder) and that of the working copy that `from` lies in, if it
    /// lies in one. `layers` holds what else there is to know; its files are not looked at.
    ///
    /// # Errors
    /// `Error::Config` for a file with a mistake, `Error::Setting` for a variable with one.
    pub fn load(from: &Path, user: Option<PathBuf>, layers: Layers) -> Result<Configuration> {
        let repository = match Layout::discover(from) {
            Ok(layout) => Some(layout.settings()),
            // Whoever opens the working copy says that it is too new; what is set in it cannot be known here.
            Err(Error::NotARepository { .. } | Error::TooNew { .. }) => None,
            Err(error) => return Err(error),
        };
        let user = user.map(SettingsFile::of_user);
        let layers = read(layers, user.as_ref(), repository.as_ref())?;
        Ok(Configuration {
            from: from.to_owned(),
            settings: Settings::resolve(layers.clone())?,
            user,
            repository,
            layers,
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets `key` in a file, or takes it out (none).
    ///
    /// # Errors
    /// `Error::NotARepository` if there is no working copy here to keep it, `Error::NoUserFile` if nobody knows where the
    /// user's file would be.
    pub fn set(&mut self, scope: SettingsScope, key: Key, value: Option<&Value>) -> Result<SettingChanged> {
        let file = match scope {
            SettingsScope::User => self.user.as_ref().ok_or(Error::NoUserFile)?,
            SettingsScope::Repository => self.repository.as_ref().ok_or_else(|| Error::NotARepository {
                folder: self.from.clone(),
            })?,
        };
        let before = file.set(key, value)?;
        let file = file.path().to_owned();
        self.layers = read(self.layers.clone(), self.user.as_ref(), self.repository.as_ref())?;
        self.settings = Settings::resolve(self.layers.clone())?;
        Ok(SettingChanged { file, before })
    }
}

fn read(layers: Layers, user: Option<&SettingsFile>, repository: Option<&SettingsFile>) -> Result<Layers> {
    let layer = |file: Option<&SettingsFile>| -> Result<Option<FileLayer>> {
        match file {
            Some(file) => file.read(),
            None => Ok(None),
        }
    };
    Ok(Layers {
        user: layer(user)?,
        repository: layer(repository)?,
        ..layers
    })
}
