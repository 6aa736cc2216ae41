//! `RepoStore`: a whole repository as an object store that only reads; keys are `ref/path`.
//! Each ref is a `SnapshotStore` of its own, found on first use.
//! Invariant: a ref is resolved once and then means that commit for the life of the store, however the branch moves.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use drumlin_model::RefExpr;
use drumlin_repo::{Repo, Snapshot};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};
use percent_encoding::percent_decode_str;
use tokio::sync::Mutex;

use crate::{
    error::Error,
    snapshot_store::{SnapshotStore, read_only},
};

/// How many refs one store keeps bound. Forgetting one would let it move, so the store refuses the next instead.
const REFS_MAX: usize = 10_000;

/// A repository's refs, each bound to the commit that it named when first used.
#[derive(Clone, Debug)]
pub struct RepoStore {
    repo: Repo,
    /// By the ref as it is spelled in keys. The lock is held while a ref is resolved: two readers agree on the commit.
    bound: Arc<Mutex<BTreeMap<String, SnapshotStore>>>,
}

impl RepoStore {
    pub fn new(repo: Repo) -> Self {
        Self {
            repo,
            bound: Arc::default(),
        }
    }

    /// Makes `reference` mean `snapshot` in this store from now on, whether or not it was in use.
    pub async fn bind(&self, reference: &RefExpr, snapshot: Snapshot) -> Result<(), Error> {
        let mut bound = self.bound.lock().await;
        check_room(&bound)?;
        bound.insert(reference.to_string(), SnapshotStore::new(snapshot));
        Ok(())
    }

    async fn at(&self, name: &str) -> Result<SnapshotStore, Error> {
        // `main~1` may arrive as `main%7E1`: a ref holds no '%', so both can only mean the same.
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        let mut bound = self.bound.lock().await;
        if let Some(store) = bound.get(&name) {
            return Ok(store.clone());
        }
        check_room(&bound)?;
        let reference: RefExpr = name.parse().map_err(|source| Error::Reference {
            name: name.clone(),
            source,
        })?;
        let snapshot = self.repo.snapshot(&reference).await;
        let store = SnapshotStore::new(snapshot.map_err(|source| Error::Repo {
            key: name.clone(),
            source: Box::new(source),
        })?);
        bound.insert(name, store.clone());
        Ok(store)
    }

    /// The names of all branches and tags, as prefixes.
    async fn references(&self) -> Result<ListResult, Error> {
        let refs = self.repo.refs().await.map_err(|source| Error::Repo {
            key: String::new(),
            source: Box::new(source),
        })?;
        let names = refs.branches.keys().chain(refs.tags.keys());
        let mut common_prefixes: Vec<_> = names
            .map(|name| Path::parse(name.as_str()).expect("a ref's name is a valid segment of a key"))
            .collect();
        common_prefixes.sort();
        common_prefixes.dedup();
        Ok(ListResult {
            common_prefixes,
            objects: Vec::new(),
        })
    }

    async fn list_below(
        self,
        prefix: Option<Path>,
        offset: Option<Path>,
    ) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let (name, inner) = prefix.as_ref().and_then(split).ok_or(Error::NoReference)?;
        let store = self.at(name).await?;
        let listed = match offset.map(|offset| within(name, &offset)) {
            None | Some(Within::Before) => store.list(Some(&inner)),
            Some(Within::At(offset)) => store.list_with_offset(Some(&inner), &offset),
            Some(Within::After) => stream::empty().boxed(),
        };
        let name = name.to_owned();
        Ok(listed
            .map_ok(move |meta| ObjectMeta {
                location: joined(&name, &meta.location),
                ..meta
            })
            .boxed())
    }
}

fn check_room(bound: &BTreeMap<String, SnapshotStore>) -> Result<(), Error> {
    if bound.len() < REFS_MAX {
        Ok(())
    } else {
        Err(Error::TooManyRefs { limit: REFS_MAX })
    }
}

/// The ref and the key within it; none for the top, which no ref has.
fn split(key: &Path) -> Option<(&str, Path)> {
    let (name, rest) = key.as_ref().split_once('/').unwrap_or((key.as_ref(), ""));
    let rest = Path::parse(rest).expect("the end of a key is a valid key");
    (!name.is_empty()).then_some((name, rest))
}

fn joined(name: &str, key: &Path) -> Path {
    Path::parse(format!("{name}/{key}")).expect("two valid keys make one")
}

/// Where an offset of the whole store lies, seen from one ref.
enum Within {
    Before,
    At(Path),
    After,
}

fn within(name: &str, offset: &Path) -> Within {
    let top = format!("{name}/");
    match offset.as_ref().strip_prefix(&top) {
        Some(rest) => Within::At(Path::parse(rest).expect("the end of a key is a valid key")),
        None if offset.as_ref() < top.as_str() => Within::Before,
        None => Within::After,
    }
}

/// The error that a key without a ref gets.
fn no_object(key: &Path) -> Error {
    Error::Missing { key: key.to_string() }
}

impl fmt::Display for RepoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RepoStore")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for RepoStore {
    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only(location)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only(location)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (name, inner) = split(location).ok_or_else(|| no_object(location))?;
        let mut result = self.at(name).await?.get_opts(&inner, options).await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (name, inner) = split(location).ok_or_else(|| no_object(location))?;
        self.at(name).await?.get_ranges(&inner, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|location| read_only(&location?)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(self.clone().list_below(prefix.cloned(), None))
            .try_flatten()
            .boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(self.clone().list_below(prefix.cloned(), Some(offset.clone())))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let Some((name, inner)) = prefix.and_then(split) else {
            return Ok(self.references().await?);
        };
        let mut found = self.at(name).await?.list_with_delimiter(Some(&inner)).await?;
        for object in &mut found.objects {
            object.location = joined(name, &object.location);
        }
        for folder in &mut found.common_prefixes {
            *folder = joined(name, folder);
        }
        Ok(found)
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        read_only(to)
    }

    async fn rename_opts(&self, from: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        read_only(from)
    }
}
