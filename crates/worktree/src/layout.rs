//! `Layout`: where a working copy keeps its own files, and where its repository is.
//! `config.toml` says the latter, and what is set for this working copy: see `config`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use drumlin_chunks::Place;
use drumlin_model::path::OWN_FOLDER;

use crate::{
    Error, Result,
    config::{ConfigFile, SettingsFile, replace},
};

/// The newest format of `.drumlin` that this program writes and reads.
const FORMAT: i64 = 1;
const CONFIG_FILE: &str = "config.toml";
const FORMAT_KEY: &str = "format";
const REPOSITORY_KEY: &str = "repository";
/// What stands at the top of `config.toml` beside the settings.
const KEYS: [&str; 2] = [FORMAT_KEY, REPOSITORY_KEY];
/// The folder of a working copy's own repository, in `.drumlin`.
const OWN_REPOSITORY: &str = "repo";

/// The places inside `.drumlin`, and where the repository is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The folder that people work in.
    pub folder: PathBuf,
    /// Where the repository is. A folder is absolute; it lies inside `.drumlin` unless `config.toml` names another.
    pub repository: Place,
}

impl Layout {
    pub fn own(&self) -> PathBuf {
        self.folder.join(OWN_FOLDER)
    }
    /// The index, the lock and the state of this working copy.
    pub fn work(&self) -> PathBuf {
        self.own().join("work")
    }
    pub fn lock(&self) -> PathBuf {
        self.work().join("lock")
    }
    /// Files that are being written: renamed to their places when whole, of no value after a crash.
    /// Only whoever holds the work lock has any.
    pub fn files(&self) -> PathBuf {
        self.own().join("files")
    }
    /// What queries put on the disk for want of memory: a folder for each process, see `SpillFolder`.
    pub fn spill(&self) -> PathBuf {
        self.own().join("spill")
    }
    pub fn cache(&self) -> PathBuf {
        self.own().join("cache")
    }
    /// The file that says where the repository is and what is set for this working copy.
    pub fn config(&self) -> PathBuf {
        self.own().join(CONFIG_FILE)
    }

    /// Makes the folders of a new working copy; `repository` is none for one of its own, and absolute else.
    /// The settings are written last: a folder without them is not yet a working copy.
    pub fn create(folder: &Path, repository: Option<Place>) -> Result<Layout> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let folder = folder.canonicalize().map_err(Error::io("find", folder))?;
        let own = folder.join(OWN_FOLDER);
        let repository = match repository {
            Some(place) => place,
            None => Place::Folder(own.join(OWN_REPOSITORY)),
        };
        let layout = Layout { folder, repository };
        if layout.config().exists() {
            return Err(Error::AlreadyAWorkingCopy { folder: layout.folder });
        }
        for part in [layout.work(), layout.files(), layout.cache()] {
            fs::create_dir_all(&part).map_err(Error::io("create", part))?;
        }
        Ok(layout)
    }

    /// Writes `config.toml`, which makes the folder a working copy.
    pub fn seal(&self) -> Result<()> {
        let place = match &self.repository {
            Place::Folder(path) => Place::Folder(path.strip_prefix(self.own()).unwrap_or(path).to_owned()),
            bucket @ Place::Bucket { .. } => bucket.clone(),
        };
        let named = place.to_text().ok_or_else(|| Error::NameNotUtf8 {
            path: PathBuf::from(place.to_string()),
        })?;
        let text = format!(
            "# Where this working copy finds its repository. A relative path starts at this folder.\n\
             {FORMAT_KEY} = {FORMAT}\n{REPOSITORY_KEY} = {}\n",
            toml_edit::Value::from(named)
        );
        replace(&self.config(), &text)
    }

    /// The working copy that `from` lies in: the nearest folder upwards that has `.drumlin`.
    pub fn discover(from: &Path) -> Result<Layout> {
        let start = from.canonicalize().map_err(Error::io("find", from))?;
        for folder in start.ancestors() {
            if let Some(layout) = Layout::of(folder)? {
                return Ok(layout);
            }
        }
        Err(Error::NotARepository { folder: start })
    }

    /// The working copy in `folder`; none if it is not one.
    fn of(folder: &Path) -> Result<Option<Layout>> {
        let own = folder.join(OWN_FOLDER);
        let Some(file) = ConfigFile::read(&own.join(CONFIG_FILE))? else {
            return Ok(None);
        };
        let format = file.item(FORMAT_KEY);
        match format.map(|item| item.as_integer()) {
            Some(Some(FORMAT)) => {}
            Some(Some(found)) if found > FORMAT => {
                return Err(Error::TooNew {
                    folder: folder.to_owned(),
                    found: found.unsigned_abs(),
                    newest: FORMAT.unsigned_abs(),
                });
            }
            Some(_) => return Err(file.wrong(format, "the format is not a number that this program knows")),
            None => return Err(file.wrong(None, "the format is missing")),
        }
        let repository = file.item(REPOSITORY_KEY);
        let text = match repository.map(|item| item.as_str()) {
            Some(Some(text)) => text,
            Some(None) => return Err(file.wrong(repository, "the repository is not a text")),
            None => return Err(file.wrong(None, "the repository is missing")),
        };
        let place: Place = text
            .parse()
            .map_err(|error: drumlin_chunks::Error| file.wrong(repository, error.to_string()))?;
        Ok(Some(Layout {
            folder: folder.to_owned(),
            repository: place.from_base(&own),
        }))
    }

    /// The repository that `place` means: of a folder that is a working copy, that one's. A folder has to be there.
    pub(crate) fn repository_at(place: Place) -> Result<Place> {
        let folder = match place {
            Place::Folder(folder) => folder.canonicalize().map_err(Error::io("find", folder))?,
            bucket @ Place::Bucket { .. } => return Ok(bucket),
        };
        if let Some(layout) = Layout::of(&folder)? {
            return Ok(layout.repository);
        }
        if folder.join(OWN_FOLDER).is_dir() {
            // Killed before it was whole, or its settings are lost.
            return Err(Error::NotARepository { folder });
        }
        Ok(Place::Folder(folder))
    }

    /// The file of what is set for this working copy.
    pub fn settings(&self) -> SettingsFile {
        SettingsFile::new(self.config(), &KEYS, Some(self.lock()))
    }
}
