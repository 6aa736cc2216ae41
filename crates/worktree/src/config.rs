//! `ConfigFile`: a file of settings, in TOML, as people write it. `layout` reads where the repository is from one, `settings`
//! takes what is set.
//! Invariant: a change keeps every line that it is not about, known or not, comments too; a file is replaced whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use toml_edit::{Document, DocumentMut, Item, TableLike};

use crate::{
    Error, Result,
    lock::WorkLock,
    settings::{FileLayer, Key, Unknown, Value},
};

/// The table that holds the settings, in every file.
const SETTINGS: &str = "settings";
/// The largest file that is read, in bytes: nobody writes a thousandth of it.
const FILE_LEN_MAX: u64 = 1 << 20;

/// A file of settings, read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: String,
    document: Document<String>,
}

impl ConfigFile {
    /// None if there is no such file.
    pub fn read(path: &Path) -> Result<Option<ConfigFile>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let metadata = match fs::metadata(path) {
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
            metadata => metadata.map_err(Error::io("read", path))?,
        };
        if metadata.len() > FILE_LEN_MAX {
            return Err(Error::Config {
                file: path.to_owned(),
                line: 1,
                why: format!("the file is longer than {FILE_LEN_MAX} bytes"),
            });
        }
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        ConfigFile::parse(path, text).map(Some)
    }

    pub fn parse(path: &Path, text: String) -> Result<ConfigFile> {
        let document = Document::parse(text.clone()).map_err(|error| Error::Config {
            file: path.to_owned(),
            line: line_at(&text, error.span()),
            why: error.message().to_owned(),
        })?;
        Ok(ConfigFile {
            path: path.to_owned(),
            text,
            document,
        })
    }

    /// What stands at the top of the file under a name.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.document.get(name)
    }

    /// An error about a part of this file.
    pub fn wrong(&self, item: Option<&Item>, why: impl Into<String>) -> Error {
        Error::Config {
            file: self.path.clone(),
            line: line_at(&self.text, item.and_then(Item::span)),
            why: why.into(),
        }
    }

    /// What the file sets. `others` are the names at the top of the file that mean something else.
    pub fn layer(&self, others: &[&str]) -> Result<FileLayer> {
        let mut layer = FileLayer {
            file: self.path.clone(),
            values: BTreeMap::new(),
            unknown: Vec::new(),
        };
        for (name, item) in self.document.iter() {
            if name != SETTINGS && !others.contains(&name) {
                layer
                    .unknown
                    .push(self.unknown(self.document.as_table(), name, item, None));
            }
        }
        let Some(item) = self.item(SETTINGS) else {
            return Ok(layer);
        };
        let table = item
            .as_table_like()
            .ok_or_else(|| self.wrong(Some(item), format!("`{SETTINGS}` is not a table")))?;
        for (name, item) in table.iter() {
            match Key::known(name) {
                Some(key) => {
                    let value = value(key, item).map_err(|why| self.wrong(Some(item), format!("{key}: {why}")))?;
                    layer.values.insert(key, value);
                }
                None => layer.unknown.push(self.unknown(table, name, item, Key::close_to(name))),
            }
        }
        Ok(layer)
    }

    fn unknown(&self, table: &dyn TableLike, name: &str, item: &Item, close: Option<&'static str>) -> Unknown {
        let key = table.get_key_value(name).and_then(|(key, _)| key.span());
        Unknown {
            file: self.path.clone(),
            line: line_at(&self.text, key.or(item.span())),
            key: name.to_owned(),
            close,
        }
    }
}

/// A file that settings are kept in; it need not be there.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    path: PathBuf,
    /// What stands at the top of the file beside the settings.
    others: &'static [&'static str],
    /// Whoever changes the file holds this lock.
    lock: Option<PathBuf>,
}

impl SettingsFile {
    pub(crate) fn new(path: PathBuf, others: &'static [&'static str], lock: Option<PathBuf>) -> SettingsFile {
        SettingsFile { path, others, lock }
    }

    /// The file of whoever runs the program. Of two who change it at once, the later one wins.
    pub fn of_user(path: PathBuf) -> SettingsFile {
        SettingsFile::new(path, &[], None)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is set; none if there is no such file.
    ///
    /// # Errors
    /// `Error::Config` names the line that is no TOML, or that gives a setting a value that it cannot have.
    pub fn read(&self) -> Result<Option<FileLayer>> {
        let file = ConfigFile::read(&self.path)?;
        file.map(|file| file.layer(self.others)).transpose()
    }

    /// Sets `key`, or takes it out (none), and says what was set before. The file is made when it is not there.
    ///
    /// # Errors
    /// As `read`; `Error::Locked` if another process changes the working copy that the file belongs to.
    pub fn set(&self, key: Key, value: Option<&Value>) -> Result<Option<Value>> {
        let _lock = self
            .lock
            .as_ref()
            .map(|lock| WorkLock::take(lock, "config set"))
            .transpose()?;
        // Of a link, what it leads to is replaced.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let (text, before) = match ConfigFile::read(&path)? {
            Some(file) => {
                let before = file.layer(self.others)?.values.remove(&key);
                (file.text, before)
            }
            None => (String::new(), None),
        };
        let changed = changed(&text, key, value);
        if changed != text {
            replace(&path, &changed)?;
        }
        Ok(before)
    }
}

/// The text of a file that is known to be right, with one setting changed.
fn changed(text: &str, key: Key, value: Option<&Value>) -> String {
    let mut document: DocumentMut = text.parse().expect("the text was parsed before");
    match value {
        Some(value) => {
            let settings = document.entry(SETTINGS).or_insert_with(toml_edit::table);
            let settings = settings
                .as_table_like_mut()
                .expect("that it is a table was seen before");
            let mut new = written(value);
            // What stands around the old value, such as comments, stays around the new one.
            match settings.get_mut(key.as_str()) {
                Some(item) => {
                    if let Some(old) = item.as_value() {
                        *new.decor_mut() = old.decor().clone();
                    }
                    *item = Item::Value(new);
                }
                None => drop(settings.insert(key.as_str(), Item::Value(new))),
            }
        }
        None => {
            if let Some(settings) = document.get_mut(SETTINGS).and_then(Item::as_table_like_mut) {
                settings.remove(key.as_str());
            }
        }
    }
    document.to_string()
}

fn written(value: &Value) -> toml_edit::Value {
    match value {
        Value::Count(count) => i64::try_from(*count).unwrap_or(i64::MAX).into(),
        other => other.to_string().into(),
    }
}

fn value(key: Key, item: &Item) -> Result<Value, String> {
    if let Some(text) = item.as_str() {
        return key.value(text);
    }
    match (key, item.as_integer()) {
        (Key::Memory | Key::Threads, Some(number)) => key.value(&number.to_string()),
        (Key::Memory | Key::Threads, None) => Err("the value is neither a text nor a whole number".to_owned()),
        _ => Err("the value is not a text".to_owned()),
    }
}

/// Replaces a file, or makes it, so that whoever reads it sees the old or the new one, also after a loss of power.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        if let Ok(there) = fs::metadata(path) {
            file.set_permissions(there.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    if let Err(error) = write() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
        return Err(Error::io("write", path)(error));
    }
    let sync = File::open(folder).and_then(|folder| folder.sync_all());
    sync.map_err(Error::io("sync", folder))
}

/// The line of a part of a text, counted from 1; the first, where nobody knows better.
fn line_at(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or("");
    before.matches('\n').count() + 1
}
