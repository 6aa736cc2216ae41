//! Random operations on a `SessionStore` and on object_store's in-memory store: the same answers, the same kinds of error.
//! Seeds of failures are kept in `side_by_side.seeds` and run first.
//!
//! Two differences are meant, and kept out of the operations: a rename onto itself (the in-memory store loses the object),
//! and a key below another key's object (a tree refuses it).

use std::collections::HashMap;

use bytes::Bytes;
use drumlin_objects::{SessionStore, SnapshotStore};
use futures::TryStreamExt;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    RenameOptions, RenameTargetMode, UpdateVersion, memory::InMemory, path::Path,
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::support::{self, noise};

/// No key is below another; some sort around a slash.
const KEYS: [&str; 9] = ["a", "b-", "b/1", "b/c/2", "b/c/3", "b0", "d/e/é x", "d/e/%41", "z"];
const PREFIXES: [&str; 8] = ["", "a", "b", "b/c", "b/", "d", "d/e", "nothing"];
/// Empty, small, several chunks, a blob, and several pieces of a ranged read.
const SIZES: [usize; 5] = [0, 11, 300_000, 1_300_000, 9_000_000];

#[derive(Clone, Copy, Debug)]
enum Known {
    Current,
    First,
    Wrong,
    Missing,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Overwrite,
    Create,
    Update(Known),
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    None,
    Match(bool),
    NoneMatch(bool),
    ModifiedSince(i64),
    UnmodifiedSince(i64),
}

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: usize,
        size: usize,
        mode: Mode,
    },
    Upload {
        key: usize,
        parts: Vec<usize>,
        complete: bool,
    },
    Get {
        key: usize,
        range: Option<GetRange>,
        condition: Condition,
        head: bool,
    },
    Ranges {
        key: usize,
        ranges: Vec<(u64, u64)>,
    },
    Delete {
        keys: Vec<usize>,
    },
    List {
        prefix: usize,
        after: Option<usize>,
    },
    Delimited {
        prefix: usize,
    },
    Copy {
        from: usize,
        to: usize,
        create: bool,
    },
    Rename {
        from: usize,
        to: usize,
        create: bool,
    },
    Commit,
}

fn range() -> impl Strategy<Value = Option<GetRange>> {
    let at = || prop_oneof![0..20u64, 299_990..300_010u64, 1_299_990..1_300_010u64, Just(8 << 20)];
    let bounded = (at(), at()).prop_map(|(start, end)| Some(GetRange::Bounded(start..end)));
    let offset = at().prop_map(|at| Some(GetRange::Offset(at)));
    let suffix = at().prop_map(|at| Some(GetRange::Suffix(at)));
    prop_oneof![2 => Just(None), 3 => bounded, 1 => offset, 1 => suffix]
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS.len();
    let size = || prop_oneof![6 => 0..2usize, 2 => Just(2), 1 => Just(3), 1 => Just(4)];
    let known = prop_oneof![3 => Just(Known::Current), 1 => Just(Known::First), 1 => Just(Known::Wrong), 1 => Just(Known::Missing)];
    let mode = prop_oneof![2 => Just(Mode::Overwrite), 2 => Just(Mode::Create), 2 => known.prop_map(Mode::Update)];
    let condition = prop_oneof![
        4 => Just(Condition::None),
        1 => any::<bool>().prop_map(Condition::Match),
        1 => any::<bool>().prop_map(Condition::NoneMatch),
        1 => (-1..=1i64).prop_map(Condition::ModifiedSince),
        1 => (-1..=1i64).prop_map(Condition::UnmodifiedSince),
    ];
    let pair = || (key(), key(), any::<bool>());
    prop_oneof![
        5 => (key(), size(), mode).prop_map(|(key, size, mode)| Op::Put { key, size, mode }),
        1 => (key(), prop::collection::vec(size(), 0..4), prop::bool::weighted(0.8))
            .prop_map(|(key, parts, complete)| Op::Upload { key, parts, complete }),
        4 => (key(), range(), condition, prop::bool::weighted(0.2))
            .prop_map(|(key, range, condition, head)| Op::Get { key, range, condition, head }),
        2 => (key(), prop::collection::vec((0..20u64, 0..320_000u64), 0..4))
            .prop_map(|(key, ranges)| Op::Ranges { key, ranges }),
        2 => prop::collection::vec(key(), 1..4).prop_map(|keys| Op::Delete { keys }),
        2 => (0..PREFIXES.len(), prop::option::of(key())).prop_map(|(prefix, after)| Op::List { prefix, after }),
        2 => (0..PREFIXES.len()).prop_map(|prefix| Op::Delimited { prefix }),
        2 => pair().prop_map(|(from, to, create)| Op::Copy { from, to, create }),
        2 => pair().prop_map(|(from, to, create)| Op::Rename { from, to, create }),
        1 => Just(Op::Commit),
    ]
}

/// What an operation showed, without what differs by design (etags and times).
#[derive(Debug, PartialEq)]
enum Shown {
    Done,
    Object {
        key: String,
        size: u64,
        range: std::ops::Range<u64>,
        bytes: Option<Bytes>,
    },
    Bytes(Vec<Bytes>),
    Listed {
        objects: Vec<(String, u64)>,
        folders: Vec<String>,
    },
    Keys(Vec<String>),
    Failed(&'static str),
}

/// A store, and the etag that the first write of each key gave it.
struct Side<'a> {
    store: &'a dyn ObjectStore,
    first_etags: HashMap<usize, String>,
}

fn key(at: usize) -> Path {
    Path::parse(KEYS[at]).unwrap()
}

/// Content that no other write has, so that equal etags here mean the same write there.
fn content(size: usize, serial: usize) -> Bytes {
    noise(serial as u64 + 1, SIZES[size])
}

fn listed(objects: Vec<ObjectMeta>, folders: Vec<Path>) -> Shown {
    Shown::Listed {
        objects: objects
            .into_iter()
            .map(|object| (object.location.to_string(), object.size))
            .collect(),
        folders: folders.into_iter().map(|folder| folder.to_string()).collect(),
    }
}

impl<'a> Side<'a> {
    fn new(store: &'a dyn ObjectStore) -> Self {
        Self {
            store,
            first_etags: HashMap::new(),
        }
    }

    async fn run(&mut self, op: &Op, serial: usize) -> Shown {
        match self.try_run(op, serial).await {
            Ok(shown) => shown,
            Err(Error::NotFound { .. }) => Shown::Failed("not found"),
            Err(Error::AlreadyExists { .. }) => Shown::Failed("already exists"),
            Err(Error::Precondition { .. }) => Shown::Failed("precondition"),
            Err(Error::NotModified { .. }) => Shown::Failed("not modified"),
            Err(Error::Generic { .. }) => Shown::Failed("generic"),
            Err(error) => panic!("{op:?}: {error}"),
        }
    }

    async fn try_run(&mut self, op: &Op, serial: usize) -> object_store::Result<Shown> {
        let store = self.store;
        match op {
            Op::Put { key: at, size, mode } => {
                let mode = self.mode(*at, *mode).await;
                let put = store
                    .put_opts(&key(*at), content(*size, serial).into(), mode.into())
                    .await?;
                self.first_etags.entry(*at).or_insert(put.e_tag.unwrap());
            }
            Op::Upload {
                key: at,
                parts,
                complete,
            } => {
                let mut upload = store.put_multipart(&key(*at)).await?;
                for (part, size) in parts.iter().enumerate() {
                    upload.put_part(content(*size, serial * 10 + part).into()).await?;
                }
                if *complete {
                    upload.complete().await?;
                } else {
                    upload.abort().await?;
                }
            }
            Op::Get {
                key: at,
                range,
                condition,
                head,
            } => return self.get(*at, range, *condition, *head).await,
            Op::Ranges { key: at, ranges } => {
                let ranges: Vec<_> = ranges.iter().map(|&(start, len)| start..start + len).collect();
                return Ok(Shown::Bytes(store.get_ranges(&key(*at), &ranges).await?));
            }
            Op::Delete { keys } => {
                let keys: Vec<_> = keys.iter().map(|&at| Ok(key(at))).collect();
                let deleted = store.delete_stream(Box::pin(futures::stream::iter(keys)));
                let deleted: Vec<Path> = deleted.try_collect().await?;
                return Ok(Shown::Keys(deleted.iter().map(Path::to_string).collect()));
            }
            Op::List { prefix, after } => return self.list(*prefix, *after).await,
            Op::Delimited { prefix } => {
                let prefix = Path::parse(PREFIXES[*prefix]).unwrap();
                let found = store.list_with_delimiter(Some(&prefix)).await?;
                return Ok(listed(found.objects, found.common_prefixes));
            }
            Op::Copy { from, to, create } => {
                let mode = if *create { CopyMode::Create } else { CopyMode::Overwrite };
                store
                    .copy_opts(&key(*from), &key(*to), CopyOptions::new().with_mode(mode))
                    .await?;
            }
            Op::Rename { from, to, create } if from != to => {
                let mode = if *create {
                    RenameTargetMode::Create
                } else {
                    RenameTargetMode::Overwrite
                };
                store
                    .rename_opts(&key(*from), &key(*to), RenameOptions::new().with_target_mode(mode))
                    .await?;
            }
            Op::Rename { .. } | Op::Commit => {}
        }
        Ok(Shown::Done)
    }

    async fn list(&self, prefix: usize, after: Option<usize>) -> object_store::Result<Shown> {
        let prefix = Path::parse(PREFIXES[prefix]).unwrap();
        let listing = match after {
            Some(after) => self.store.list_with_offset(Some(&prefix), &key(after)),
            None => self.store.list(Some(&prefix)),
        };
        Ok(listed(listing.try_collect().await?, Vec::new()))
    }

    async fn mode(&self, at: usize, mode: Mode) -> PutMode {
        let known = match mode {
            Mode::Overwrite => return PutMode::Overwrite,
            Mode::Create => return PutMode::Create,
            Mode::Update(known) => known,
        };
        let e_tag = match known {
            Known::Current => self
                .store
                .head(&key(at))
                .await
                .ok()
                .and_then(|meta| meta.e_tag)
                .or(Some("none".into())),
            Known::First => self.first_etags.get(&at).cloned().or(Some("none".into())),
            Known::Wrong => Some("wrong".into()),
            Known::Missing => None,
        };
        PutMode::Update(UpdateVersion { e_tag, version: None })
    }

    async fn get(
        &self,
        at: usize,
        range: &Option<GetRange>,
        condition: Condition,
        head: bool,
    ) -> object_store::Result<Shown> {
        let meta = self.store.head(&key(at)).await?;
        let tag = |matching| {
            if matching {
                meta.e_tag.clone().unwrap()
            } else {
                "wrong".to_owned()
            }
        };
        let moved = |hours| meta.last_modified + chrono::Duration::hours(hours);
        let options = GetOptions::new().with_range(range.clone()).with_head(head);
        let options = match condition {
            Condition::None => options,
            Condition::Match(matching) => options.with_if_match(Some(tag(matching))),
            Condition::NoneMatch(matching) => options.with_if_none_match(Some(tag(matching))),
            Condition::ModifiedSince(hours) => options.with_if_modified_since(Some(moved(hours))),
            Condition::UnmodifiedSince(hours) => options.with_if_unmodified_since(Some(moved(hours))),
        };
        let object = self.store.get_opts(&key(at), options).await?;
        let (key, size, range) = (object.meta.location.to_string(), object.meta.size, object.range.clone());
        // The in-memory store sends the data of a head request too.
        let bytes = if head { None } else { Some(object.bytes().await?) };
        Ok(Shown::Object {
            key,
            size,
            range,
            bytes,
        })
    }
}

/// Equal contents have equal etags here, so a write of equal content in between is no change; there it is one.
fn may_differ(op: &Op, session: &Side<'_>) -> Option<usize> {
    match op {
        Op::Put {
            key,
            mode: Mode::Update(Known::First),
            ..
        } if session.first_etags.contains_key(key) => Some(*key),
        _ => None,
    }
}

async fn run_case(ops: Vec<Op>) {
    let repo = support::repo().await;
    let session = SessionStore::new(support::session(&repo).await);
    let memory = InMemory::new();
    let (mut ours, mut theirs) = (Side::new(&session), Side::new(&memory));
    for (serial, op) in ops.iter().enumerate() {
        if let Some(at) = may_differ(op, &ours)
            && session.head(&key(at)).await.ok().and_then(|meta| meta.e_tag).as_ref() == ours.first_etags.get(&at)
            && let Ok(meta) = memory.head(&key(at)).await
        {
            theirs.first_etags.insert(at, meta.e_tag.unwrap());
        }
        assert_eq!(
            ours.run(op, serial).await,
            theirs.run(op, serial).await,
            "{op:?}, number {serial}"
        );
        if matches!(op, Op::Commit) && !session.session().changes().is_empty() {
            // Changes that come to nothing are no commit; the session goes on all the same.
            let _ = session.session().commit(drumlin_testkit::info("so far")).await;
        }
    }
    let all = Op::List { prefix: 0, after: None };
    let _ = session.session().commit(drumlin_testkit::info("all")).await;
    let snapshot = SnapshotStore::new(session.session().base());
    let mut committed = Side::new(&snapshot);
    assert_eq!(
        committed.run(&all, 0).await,
        theirs.run(&all, 0).await,
        "after the commit"
    );
    for (at, key) in KEYS.iter().enumerate() {
        let get = Op::Get {
            key: at,
            range: None,
            condition: Condition::None,
            head: false,
        };
        assert_eq!(
            committed.run(&get, 0).await,
            theirs.run(&get, 0).await,
            "after the commit: {key}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/side_by_side.seeds"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_session_answers_as_a_store_in_memory_does(ops in prop::collection::vec(operation(), 1..50)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run_case(ops));
    }
}
