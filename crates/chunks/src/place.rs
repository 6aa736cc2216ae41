//! `Place`: where a repository is, as a value that is written in settings and typed by people: a folder, or a bucket's URL.
//! `worktree` keeps it; whoever runs the program opens it, because that alone may know credentials.
//! Invariant: a place holds no secret, and what it prints parses back to the same place.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};

/// The longest text of a place, in bytes: what any program takes as a URL.
pub const PLACE_LEN_MAX: usize = 4096;
/// The scheme of a folder's URL.
const FILE_SCHEME: &str = "file";
/// Parts of option names that speak of secrets. Those belong into the environment of whoever opens the place.
const SECRETS: [&str; 6] = ["secret", "token", "password", "credential", "access_key", "account_key"];
/// What an option's value may hold as it is, besides letters and digits. `&`, `=`, `#` and `%` are escaped.
const VALUE_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b':');
/// What ends a URL's path, or would be read as an escape.
const PATH_ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A folder of this machine. A relative one starts wherever the text stood.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// `scheme://bucket/prefix`, without a slash at the end. Printed, bytes that a URL cannot hold are escaped.
        url: String,
        /// What tells how to reach it (a region, an endpoint), by name. Written after the URL: `?name=value&name=value`.
        options: BTreeMap<String, String>,
    },
}

impl Place {
    /// The same place, where a relative folder starts at `base`.
    #[must_use]
    pub fn from_base(self, base: &Path) -> Place {
        match self {
            Place::Folder(folder) => Place::Folder(base.join(folder)),
            bucket @ Place::Bucket { .. } => bucket,
        }
    }

    /// The folder, if this is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Place::Folder(folder) => Some(folder),
            Place::Bucket { .. } => None,
        }
    }

    /// What `parse` reads back as this place. None for a folder whose name is not UTF-8.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Place::Folder(folder) => folder.to_str().map(|_| self.to_string()),
            Place::Bucket { .. } => Some(self.to_string()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A relative folder whose name looks like a URL.
            Place::Folder(folder) if folder.to_str().is_some_and(|text| split_scheme(text).is_some()) => {
                write!(f, "./{}", folder.display())
            }
            Place::Folder(folder) => write!(f, "{}", folder.display()),
            Place::Bucket { url, options } => {
                write!(f, "{}", utf8_percent_encode(url, PATH_ESCAPED))?;
                for (at, (name, value)) in options.iter().enumerate() {
                    let mark = if at == 0 { '?' } else { '&' };
                    write!(f, "{mark}{name}={}", utf8_percent_encode(value, VALUE_ESCAPED))?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    /// Reads a path or a URL. Whatever starts with `scheme://` is a URL; `file:` ones name folders.
    fn from_str(text: &str) -> Result<Place> {
        let wrong = |why| Error::Place {
            text: without_secrets(text),
            why,
        };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.len() > PLACE_LEN_MAX {
            return Err(wrong("it is too long"));
        }
        if text.contains('\0') {
            return Err(wrong("it holds a zero byte"));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Place::Folder(PathBuf::from(text)));
        };
        let scheme = scheme.to_ascii_lowercase();
        if rest.contains('#') {
            return Err(wrong("it has a fragment; write '#' as %23"));
        }
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let location = unescaped(location).ok_or_else(|| wrong("its escapes are not UTF-8"))?;
        if location.contains('\0') {
            return Err(wrong("it holds a zero byte"));
        }
        let (bucket, prefix) = location.split_once('/').unwrap_or((&location, ""));
        if scheme == FILE_SCHEME {
            if !matches!(bucket, "" | "localhost") || !query.is_empty() {
                return Err(wrong("a file URL names a folder of this machine: file:///path"));
            }
            return Ok(Place::Folder(Path::new("/").join(prefix)));
        }
        if bucket.contains('@') {
            return Err(wrong("a place holds no user and no password"));
        }
        if bucket.is_empty() {
            return Err(wrong("it names no bucket"));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.is_empty() && prefix.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(wrong("its prefix has an empty name, `.` or `..`"));
        }
        let url = match prefix {
            "" => format!("{scheme}://{bucket}"),
            prefix => format!("{scheme}://{bucket}/{prefix}"),
        };
        let options = options(query).map_err(wrong)?;
        Ok(Place::Bucket { url, options })
    }
}

/// What stands before and after `://`, if what stands before is a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

fn options(query: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut options = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("an option is not name=value")?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("the name of an option has other than small letters, digits and '_'");
        }
        if SECRETS.iter().any(|secret| name.contains(secret)) {
            return Err("a place is written to files and shown to people, so it holds no secret");
        }
        let value = unescaped(value).ok_or("the escapes of an option are not UTF-8")?;
        if options.insert(name.to_owned(), value).is_some() {
            return Err("an option stands twice");
        }
    }
    Ok(options)
}

fn unescaped(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// The text for an error: what may be a password does not get into logs.
fn without_secrets(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let text = match split_scheme(text) {
        Some((scheme, rest)) => {
            let rest = rest.split_once('?').map_or(rest, |(location, _)| location);
            let bucket = rest.split_once('/').map_or(rest, |(bucket, _)| bucket);
            let rest = bucket.rfind('@').map_or(rest, |at| &rest[at + 1..]);
            format!("{scheme}://{rest}")
        }
        None => text.to_owned(),
    };
    text.chars().take(SHOWN_MAX).collect()
}
