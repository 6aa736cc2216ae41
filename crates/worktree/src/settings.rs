//! Settings: what can be set, and which of the places that may set it goes first. A pure value: layers in, settings out.
//! `config` reads and changes the files; whoever runs the program looks at the environment, the flags and the home folder.
//! Invariant: every setting has a value, and says where it comes from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// The memory that queries and joins take before they spill, where nothing else is said: a fourth of a small machine's.
pub const MEMORY_DEFAULT_BYTES: u64 = 2_000_000_000;
/// Threads that queries and joins use where nothing else is said, at most: more wait for memory and the disk.
pub const THREADS_DEFAULT_MAX: u64 = 16;
/// Threads that may be asked for: more than any machine has processors, and far below what a process may start.
const THREADS_MAX: u64 = 1024;
/// The longest name of an actor, in bytes: it stands in every commit and every operation.
const ACTOR_LEN_MAX: usize = 256;

/// Letters that may be wrong, missing or too many in a name that is taken for another: two, as in a word typed in haste.
const TYPOS_MAX: usize = 2;

/// What can be set. The same name stands in the files, at the command line and in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Who is named in commits and operations.
    Actor,
    /// Whether text for people has colors.
    Color,
    /// The most memory that queries and joins take before they spill to the disk.
    Memory,
    /// The most threads that queries and joins use.
    Threads,
}

impl Key {
    pub const ALL: [Key; 4] = [Key::Actor, Key::Color, Key::Memory, Key::Threads];

    pub const fn as_str(self) -> &'static str {
        match self {
            Key::Actor => "actor",
            Key::Color => "color",
            Key::Memory => "memory",
            Key::Threads => "threads",
        }
    }

    /// The variable of the environment that sets it.
    pub const fn variable(self) -> &'static str {
        match self {
            Key::Actor => "DRUMLIN_ACTOR",
            Key::Color => "DRUMLIN_COLOR",
            Key::Memory => "DRUMLIN_MEMORY",
            Key::Threads => "DRUMLIN_THREADS",
        }
    }

    /// The key of that name; else an error that says which names are close.
    pub fn named(name: &str) -> Result<Key> {
        Key::known(name).ok_or_else(|| Error::NoSuchSetting {
            name: name.to_owned(),
            close: Key::close_to(name),
        })
    }

    pub(crate) fn known(name: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// The name of a key that somebody may have meant by `name`.
    pub(crate) fn close_to(name: &str) -> Option<&'static str> {
        let distance = |key: &Key| strsim::damerau_levenshtein(&name.to_lowercase(), key.as_str());
        let close = Key::ALL.into_iter().min_by_key(distance)?;
        (distance(&close) <= TYPOS_MAX).then_some(close.as_str())
    }

    /// The value that a text means. The error says what would be one.
    pub fn value(self, text: &str) -> Result<Value, String> {
        match self {
            Key::Actor => actor(text),
            Key::Color => Color::parse(text).map(Value::Color),
            Key::Memory => parse_size(text).map(Value::Bytes),
            Key::Threads => match text.parse() {
                Ok(threads @ 1..=THREADS_MAX) => Ok(Value::Count(threads)),
                _ => Err(format!("{text:?} is not a number of threads from 1 to {THREADS_MAX}")),
            },
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn actor(text: &str) -> Result<Value, String> {
    if text.is_empty() || text.len() > ACTOR_LEN_MAX || text.contains(char::is_control) {
        return Err(format!(
            "{text:?} is not a name of 1 to {ACTOR_LEN_MAX} bytes on one line"
        ));
    }
    Ok(Value::Text(text.to_owned()))
}

/// When text has colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// Where a person watches.
    Auto,
    Always,
    Never,
}

impl Color {
    pub const fn as_str(self) -> &'static str {
        match self {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }
    }

    fn parse(text: &str) -> Result<Color, String> {
        let all = [Color::Auto, Color::Always, Color::Never];
        let found = all.into_iter().find(|color| color.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not one of auto, always, never"))
    }
}

/// The value of a setting. What it prints, `Key::value` reads back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    Text(String),
    Color(Color),
    /// An amount of memory.
    Bytes(u64),
    Count(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Color(color) => f.write_str(color.as_str()),
            Value::Bytes(bytes) => write_size(*bytes, f),
            Value::Count(count) => write!(f, "{count}"),
        }
    }
}

/// The units of sizes, the largest first: what is printed is the largest of which it is a whole number.
const UNITS: [(&str, u64); 9] = [
    ("tb", 1_000_000_000_000),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

/// Reads `512MB`, `2GiB`, `1000000`: a number of bytes. The error says what would be a size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let mut unit = unit.trim().to_ascii_lowercase();
    if ["k", "m", "g", "t"].contains(&unit.as_str()) {
        unit.push('b');
    }
    let Some((_, factor)) = UNITS.iter().find(|(known, _)| *known == unit) else {
        return Err(format!("unknown unit {unit:?}; write such as 512MB or 2GiB"));
    };
    let no_size = || format!("{text:?} is not a size; write such as 512MB or 2GiB");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor).ok_or_else(no_size);
    }
    let number: f64 = number.parse().map_err(|_| no_size())?;
    Ok((number * *factor as f64) as u64)
}

fn write_size(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let unit = UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((unit, factor)) if *factor > 1 => {
            // `kB` and `KiB` are how these two are written; all others are capitals but for the `i`.
            let unit = unit.to_ascii_uppercase().replace('I', "i").replace("KB", "kB");
            write!(f, "{}{unit}", bytes / factor)
        }
        _ => write!(f, "{bytes}"),
    }
}

/// Where the value of a setting comes from. Later ones go before earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// What the program does by itself.
    BuiltIn,
    /// The file of whoever runs the program, for all repositories.
    User { file: PathBuf },
    /// The file of this working copy.
    Repository { file: PathBuf },
    /// A variable of the environment.
    Environment { variable: &'static str },
    /// What was asked for this one time.
    Flag,
}

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub key: Key,
    pub value: Value,
    pub origin: Origin,
}

/// A line of a file that sets nothing that this program knows. It stays in the file, for a program that does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    pub key: String,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<&'static str>,
}

/// What one file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLayer {
    pub file: PathBuf,
    pub values: BTreeMap<Key, Value>,
    pub unknown: Vec<Unknown>,
}

/// Everything that may set something.
#[derive(Clone, Debug)]
pub struct Layers {
    /// Who runs the program, as the machine knows them.
    pub actor: String,
    /// Processors that this process may use.
    pub processors: u64,
    pub user: Option<FileLayer>,
    pub repository: Option<FileLayer>,
    /// The variables of `Key::variable` that are set.
    pub environment: BTreeMap<Key, String>,
    pub flags: BTreeMap<Key, Value>,
}

/// All settings, each with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    settings: BTreeMap<Key, Setting>,
    unknown: Vec<Unknown>,
}

impl Settings {
    /// Takes each setting from the last layer that has it: built in, the user's file, the repository's file, the
    /// environment, the flags.
    ///
    /// # Errors
    /// `Error::Setting` if a variable of the environment holds no value of its setting.
    pub fn resolve(layers: Layers) -> Result<Settings> {
        let Layers { user, repository, .. } = &layers;
        let unknown = [user, repository].into_iter().flatten();
        let unknown = unknown.flat_map(|layer| layer.unknown.clone()).collect();
        let settings = Key::ALL.into_iter().map(|key| Ok((key, layers.setting(key)?)));
        Ok(Settings {
            settings: settings.collect::<Result<_>>()?,
            unknown,
        })
    }

    /// In the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Setting> {
        self.settings.values()
    }

    pub fn get(&self, key: Key) -> &Setting {
        &self.settings[&key]
    }

    /// What the files hold and this program does not know.
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    pub fn actor(&self) -> &str {
        match &self.get(Key::Actor).value {
            Value::Text(actor) => actor,
            other => unreachable!("`Key::value` makes no {other:?} of an actor"),
        }
    }

    pub fn color(&self) -> Color {
        match self.get(Key::Color).value {
            Value::Color(color) => color,
            ref other => unreachable!("`Key::value` makes no {other:?} of a color"),
        }
    }

    pub fn memory_bytes(&self) -> u64 {
        self.number(Key::Memory)
    }

    pub fn threads(&self) -> usize {
        usize::try_from(self.number(Key::Threads)).unwrap_or(usize::MAX)
    }

    fn number(&self, key: Key) -> u64 {
        match self.get(key).value {
            Value::Bytes(number) | Value::Count(number) => number,
            ref other => unreachable!("`Key::value` makes no {other:?} of {key}"),
        }
    }
}

impl Layers {
    fn setting(&self, key: Key) -> Result<Setting> {
        let (value, origin) = self.found(key)?;
        Ok(Setting { key, value, origin })
    }

    fn found(&self, key: Key) -> Result<(Value, Origin)> {
        if let Some(value) = self.flags.get(&key) {
            return Ok((value.clone(), Origin::Flag));
        }
        if let Some(text) = self.environment.get(&key) {
            let variable = key.variable();
            let value = key.value(text).map_err(|why| Error::Setting {
                name: variable.to_owned(),
                why,
            })?;
            return Ok((value, Origin::Environment { variable }));
        }
        if let Some((value, file)) = in_file(self.repository.as_ref(), key) {
            return Ok((value, Origin::Repository { file }));
        }
        if let Some((value, file)) = in_file(self.user.as_ref(), key) {
            return Ok((value, Origin::User { file }));
        }
        Ok((self.built_in(key), Origin::BuiltIn))
    }

    fn built_in(&self, key: Key) -> Value {
        match key {
            Key::Actor => Value::Text(self.actor.clone()),
            Key::Color => Value::Color(Color::Auto),
            Key::Memory => Value::Bytes(MEMORY_DEFAULT_BYTES),
            Key::Threads => Value::Count(self.processors.clamp(1, THREADS_DEFAULT_MAX)),
        }
    }
}

fn in_file(layer: Option<&FileLayer>, key: Key) -> Option<(Value, PathBuf)> {
    let layer = layer?;
    Some((layer.values.get(&key)?.clone(), layer.file.clone()))
}
