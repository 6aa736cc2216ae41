//! Reading as an object store reads, over anything that has entries and content: a snapshot or a session.
//! The stores in this crate turn each call into one of these functions.
//! Invariant: an answer's data and its metadata come from the same entry, even while a session is written to.

use std::{collections::BTreeSet, fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use drumlin_model::{Entry, EntryKind, Placed, RepoPath, Timestamp};
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ListResult, ObjectMeta, Result, path::Path};

use crate::{
    attributes,
    error::Error,
    key::{object_path, repo_path},
};

/// The largest piece of a ranged read that is held at once, in bytes: one request to a bucket, and bounded memory for a
/// range of gigabytes.
const PIECE_LEN_MAX: u64 = 8 << 20;
/// How many entries of one folder a delimited listing walks over before it asks for what follows the folder instead: fewer
/// than a range of the tree holds, so a seek never costs more than it saves.
const WALK_ENTRIES_MAX: usize = 512;
/// Sorts after nearly every name of a folder and before whatever follows the folder.
const LAST_NAME: char = char::MAX;

type RepoResult<T> = Result<T, drumlin_repo::Error>;

/// What this module reads from. Listings are in byte order of the path; content is verified.
#[async_trait]
pub(crate) trait Source: Clone + fmt::Debug + Send + Sync + 'static {
    async fn entry(&self, path: &RepoPath) -> RepoResult<Option<Placed>>;
    /// Everything below `folder` (all without one) whose path is greater than `start_after`.
    fn list(
        &self,
        folder: Option<&RepoPath>,
        start_after: Option<&str>,
    ) -> BoxStream<'static, RepoResult<(RepoPath, Placed)>>;
    /// The content of `placed`, whatever stands at `path` by now.
    async fn read_ranges(&self, path: &RepoPath, placed: &Placed, ranges: &[Range<u64>]) -> RepoResult<Vec<Bytes>>;
    fn stream(&self, path: &RepoPath, placed: &Placed) -> BoxStream<'static, RepoResult<Bytes>>;
}

/// An object: a path with bytes, and what the tree says of it.
pub(crate) struct Object {
    pub path: RepoPath,
    pub placed: Placed,
}

impl Object {
    pub fn meta(&self, key: Path) -> ObjectMeta {
        meta(key, &self.placed.entry)
    }
}

/// The object at `key`. What is no object is missing, but for a symbolic link, which says that it is one.
pub(crate) async fn object(source: &impl Source, key: &Path) -> Result<Object, Error> {
    let missing = || Error::Missing { key: key.to_string() };
    let path = repo_path(key).map_err(|_| missing())?;
    let placed = source
        .entry(&path)
        .await
        .map_err(Error::repo(key))?
        .ok_or_else(missing)?;
    match &placed.entry.kind {
        EntryKind::File(_) | EntryKind::External(_) => Ok(Object { path, placed }),
        EntryKind::Folder => Err(missing()),
        EntryKind::Symlink { target } => Err(Error::Symlink {
            key: key.to_string(),
            target: target.clone(),
        }),
    }
}

pub(crate) async fn get_opts(source: &impl Source, key: &Path, options: GetOptions) -> Result<GetResult> {
    let object = object(source, key).await?;
    let meta = object.meta(key.clone());
    options.check_preconditions(&meta)?;
    if options.version.is_some() {
        return Err(Error::Version { key: key.to_string() }.into());
    }
    let range = match &options.range {
        Some(range) => resolve_range(key, range, meta.size)?,
        None => 0..meta.size,
    };
    let attributes = attributes::shown(&object.placed.entry.attributes);
    let data = if options.head {
        stream::empty().boxed()
    } else {
        content(source, key, object, range.clone())
    };
    Ok(GetResult {
        payload: GetResultPayload::Stream(data),
        meta,
        range,
        attributes,
    })
}

/// All ranges of one object, planned together below: how they lie in packs decides what is fetched.
pub(crate) async fn get_ranges(source: &impl Source, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let object = object(source, key).await?;
    let size = object.placed.entry.size();
    let ranges = ranges
        .iter()
        .map(|range| resolve_range(key, &GetRange::Bounded(range.clone()), size))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(source
        .read_ranges(&object.path, &object.placed, &ranges)
        .await
        .map_err(Error::repo(key))?)
}

pub(crate) fn list(
    source: &impl Source,
    prefix: Option<&Path>,
    offset: Option<&Path>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let Some(folder) = folder(prefix) else {
        return stream::empty().boxed();
    };
    let key = prefix.cloned().unwrap_or_default();
    below(source, folder.as_ref(), offset.map(Path::as_ref), &key)
        .map_ok(|(path, placed)| meta(object_path(&path), &placed.entry))
        .map_err(Into::into)
        .boxed()
}

pub(crate) async fn list_with_delimiter(source: &impl Source, prefix: Option<&Path>) -> Result<ListResult> {
    let mut found = ListResult {
        common_prefixes: Vec::new(),
        objects: Vec::new(),
    };
    let Some(folder) = folder(prefix) else { return Ok(found) };
    let key = prefix.cloned().unwrap_or_default();
    let skip = folder.as_ref().map_or(0, |folder| folder.as_str().len() + 1);
    let mut folders = BTreeSet::new();
    let mut entries = below(source, folder.as_ref(), None, &key);
    let mut walked = 0;
    while let Some((path, placed)) = entries.try_next().await? {
        let Some(slash) = path.as_str()[skip..].find('/') else {
            found.objects.push(meta(object_path(&path), &placed.entry));
            continue;
        };
        let below_folder = &path.as_str()[..skip + slash];
        let is_new = folders.insert(Path::parse(below_folder).expect("the start of a path is a valid key"));
        walked = if is_new { 0 } else { walked + 1 };
        let after = format!("{below_folder}/{LAST_NAME}");
        // A name that sorts even behind the last is walked, since no seek passes it.
        if walked >= WALK_ENTRIES_MAX && path.as_str() < after.as_str() {
            entries = below(source, folder.as_ref(), Some(&after), &key);
            walked = 0;
        }
    }
    found.common_prefixes = folders.into_iter().collect();
    Ok(found)
}

/// The objects below a folder, in byte order of the path, after `after`. The folder's own path is never among them.
fn below(
    source: &impl Source,
    folder: Option<&RepoPath>,
    after: Option<&str>,
    key: &Path,
) -> BoxStream<'static, Result<(RepoPath, Placed), Error>> {
    let own = folder.cloned();
    source
        .list(folder, after)
        .map_err(Error::repo(key))
        .try_filter(move |(path, placed)| future::ready(is_object(&placed.entry) && Some(path) != own.as_ref()))
        .boxed()
}

fn is_object(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File(_) | EntryKind::External(_))
}

/// The folder that a prefix names: none inside is the whole tree, none outside a prefix that no path can have.
fn folder(prefix: Option<&Path>) -> Option<Option<RepoPath>> {
    match prefix {
        None => Some(None),
        Some(prefix) if prefix.as_ref().is_empty() => Some(None),
        Some(prefix) => repo_path(prefix).ok().map(Some),
    }
}

fn meta(location: Path, entry: &Entry) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: datetime(entry.modified),
        size: entry.size(),
        e_tag: Some(etag(entry)),
        version: None,
    }
}

/// How many hex digits of a file's hash its etag has: as many as an MD5, which is all that some programs compare.
const ETAG_DIGITS: usize = 32;

/// The etag of an entry: of a file the start of its hash, of an external one the tag that it was imported with.
pub fn etag(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::File(file) => format!("{}-1", &file.id.to_string()[..ETAG_DIGITS]),
        EntryKind::External(external) => external.etag.clone(),
        EntryKind::Symlink { .. } | EntryKind::Folder => String::new(),
    }
}

/// An instant that no calendar holds is the nearest that one does.
fn datetime(time: Timestamp) -> DateTime<Utc> {
    let nearest = if time.micros() < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    time.to_datetime().unwrap_or(nearest)
}

fn resolve_range(key: &Path, range: &GetRange, size: u64) -> Result<Range<u64>, Error> {
    range.as_range(size).map_err(|source| Error::Range {
        key: key.to_string(),
        size,
        source: Box::new(source),
    })
}

/// The bytes of a range as a stream that holds a few pieces at most.
fn content(source: &impl Source, key: &Path, object: Object, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let failed = Error::repo(key);
    let Object { path, placed } = object;
    if range == (0..placed.entry.size()) {
        return source
            .stream(&path, &placed)
            .map_err(failed)
            .map_err(Into::into)
            .boxed();
    }
    let source = source.clone();
    stream::iter(pieces(range))
        .then(move |piece| {
            let (source, path, placed) = (source.clone(), path.clone(), placed.clone());
            async move { source.read_ranges(&path, &placed, &[piece]).await }
        })
        .map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok)))
        .try_flatten()
        .map_err(failed)
        .map_err(Into::into)
        .boxed()
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let starts = (range.start..range.end).step_by(PIECE_LEN_MAX as usize);
    starts.map(move |start| start..range.end.min(start + PIECE_LEN_MAX))
}
