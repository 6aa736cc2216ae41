//! `Layout`: where a working copy keeps its own files, and the settings that say where its repository is.
//! `config.toml` holds lines `key = value` (a subset of TOML), so that people can read and edit it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use drumlin_model::path::OWN_FOLDER;

use super::error::WorkingCopyError as Error;

/// The newest format of `.drumlin` that this program writes and reads.
const FORMAT: u64 = 1;
const CONFIG_FILE: &str = "config.toml";

/// The places inside `.drumlin`, and where the repository is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The folder that people work in.
    pub folder: PathBuf,
    /// The storage of the repository; inside `.drumlin` unless the settings name another.
    pub repository: PathBuf,
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

    /// Makes the folders of a new working copy; `repository` is none for one of its own.
    /// The settings are written last: a folder without them is not yet a working copy.
    pub fn create(folder: &Path, repository: Option<&Path>) -> Result<Layout, Error> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let folder = folder.canonicalize().map_err(Error::io("find", folder))?;
        let own = folder.join(OWN_FOLDER);
        let named = match repository {
            Some(path) => path.canonicalize().map_err(Error::io("find", path))?,
            None => PathBuf::from("repo"),
        };
        let layout = Layout {
            repository: own.join(&named),
            folder,
        };
        if own.join(CONFIG_FILE).exists() {
            return Err(Error::AlreadyAWorkingCopy { folder: layout.folder });
        }
        for part in [layout.work(), layout.files(), layout.cache()] {
            fs::create_dir_all(&part).map_err(Error::io("create", part))?;
        }
        Ok(layout)
    }

    /// Writes the settings, which makes the folder a working copy.
    pub fn seal(&self) -> Result<(), Error> {
        let named = self.repository.strip_prefix(self.own()).unwrap_or(&self.repository);
        let named = named.to_str().ok_or_else(|| Error::NameNotUtf8 {
            path: self.repository.clone(),
        })?;
        let text = format!(
            "# Where this working copy finds its repository. A relative path starts at this folder.\nformat = {FORMAT}\nrepository = {}\n",
            serde_json::Value::from(named)
        );
        let (beside, file) = (self.own().join("config.toml.new"), self.own().join(CONFIG_FILE));
        fs::write(&beside, text).map_err(Error::io("write", &beside))?;
        let sync = |path: &Path| fs::File::open(path).and_then(|file| file.sync_all());
        sync(&beside)
            .and_then(|()| fs::rename(&beside, &file))
            .map_err(Error::io("write", &file))?;
        sync(&self.own()).map_err(Error::io("sync", self.own()))
    }

    /// The working copy that `from` lies in: the nearest folder upwards that has `.drumlin`.
    pub fn discover(from: &Path) -> Result<Layout, Error> {
        let start = from.canonicalize().map_err(Error::io("find", from))?;
        for folder in start.ancestors() {
            let file = folder.join(OWN_FOLDER).join(CONFIG_FILE);
            match fs::read_to_string(&file) {
                Ok(text) => return Layout::read(folder, &file, &text),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(Error::io("read", file)(error)),
            }
        }
        Err(Error::NotARepository { folder: start })
    }

    fn read(folder: &Path, file: &Path, text: &str) -> Result<Layout, Error> {
        let wrong = |line: usize, why: &str| Error::Config {
            file: file.to_owned(),
            line,
            why: why.to_owned(),
        };
        let (mut format, mut repository) = (None, None);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| wrong(number, "it is not `key = value`"))?;
            match key.trim() {
                "format" => {
                    format = Some(
                        value
                            .trim()
                            .parse()
                            .map_err(|_| wrong(number, "the format is not a number"))?,
                    )
                }
                "repository" => {
                    let path: String = serde_json::from_str(value.trim())
                        .map_err(|_| wrong(number, "the repository is not a quoted path"))?;
                    repository = Some(path);
                }
                // A later format may have other keys: say that it is later, not that it is wrong.
                _ if format.is_some_and(|found| found > FORMAT) => {}
                key => {
                    return Err(wrong(
                        number,
                        &format!("there is no setting {key:?} (format and repository are known)"),
                    ));
                }
            }
        }
        match format {
            Some(FORMAT) => {}
            Some(found) => {
                return Err(Error::TooNew {
                    folder: folder.to_owned(),
                    found,
                    newest: FORMAT,
                });
            }
            None => return Err(wrong(1, "the format is missing")),
        }
        let repository = repository.ok_or_else(|| wrong(1, "the repository is missing"))?;
        Ok(Layout {
            folder: folder.to_owned(),
            repository: folder.join(OWN_FOLDER).join(repository),
        })
    }
}
