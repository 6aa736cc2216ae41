//! Trees beside an obviously right model, a sorted map: apply, get, list, diff, merge.
//! Half of the names in play end a range, so that small trees have many ranges.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use drumlin_chunks::Bucket;
use drumlin_model::{
    Entry, EntryKind, External, File, FileId, Location, PackId, Placed, RepoPath, Timestamp, TreeId,
    tree::{Cutter, Merge, merge_entries},
};
use drumlin_repo::{
    Error,
    trees::{Change, PathDiff, TreeStore},
};
use futures::TryStreamExt;
use proptest::{collection::vec, prelude::*, sample::Index};

pub type Entries = BTreeMap<RepoPath, Placed>;

pub fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

pub fn file(content: u64, modified: i64) -> Placed {
    let id = FileId::of(&content.to_le_bytes());
    let kind = EntryKind::File(File {
        id,
        size: content,
        executable: false,
    });
    Placed {
        entry: Entry::new(kind, Timestamp::from_micros(modified)),
        at: Location::Unknown,
    }
}

pub fn folder() -> Placed {
    Placed {
        entry: Entry::new(EntryKind::Folder, Timestamp::default()),
        at: Location::Unknown,
    }
}

/// Whether the path ends a range wherever it stands.
pub fn ends_range(path: &RepoPath) -> bool {
    Cutter::default().push(path, &file(0, 0).entry)
}

/// The names in play: in folders, above folders, between folders; half of them end a range.
static NAMES: LazyLock<Vec<RepoPath>> = LazyLock::new(|| {
    let folders = ["", "a/", "a/b/", "a-/", "b/", "b/b/b/", "é/"];
    let named = |n: usize| path(&format!("{}{n}", folders[n % folders.len()]));
    let enders = (0..400_000).map(named).filter(ends_range).take(70);
    let others = (0..50)
        .map(named)
        .chain(["a", "a/b", "a-", "b", "b/b", "b/b/b", "a.", "é", "b/b-"].map(path));
    enders.chain(others).collect()
});

fn any_name() -> impl Strategy<Value = RepoPath> {
    any::<Index>().prop_map(|at| at.get(&NAMES).clone())
}

fn any_placed() -> impl Strategy<Value = Placed> {
    prop_oneof![
        8 => (0u64..3, 0i64..3).prop_map(|(content, modified)| file(content, modified)),
        2 => Just(folder()),
        1 => Just(()).prop_map(|()| {
            let external = External { size: 1, key: "k".repeat(4000), version: "1".into(), ..External::default() };
            let entry = Entry::new(EntryKind::External(external), Timestamp::default());
            Placed { entry, at: Location::Unknown }
        }),
    ]
}

pub fn any_changes(max: usize) -> impl Strategy<Value = Vec<Change>> {
    vec(
        (
            any_name(),
            prop_oneof![3 => any_placed().prop_map(Some), 1 => Just(None)],
        ),
        0..max,
    )
}

/// The entries with changes made to them, or none when a file would stand where a folder is needed.
fn changed(entries: &Entries, changes: &[Change]) -> Option<Entries> {
    let mut all = entries.clone();
    for (path, placed) in changes {
        match placed {
            Some(placed) => drop(all.insert(path.clone(), placed.clone())),
            None => drop(all.remove(path)),
        }
    }
    let needed: BTreeSet<RepoPath> = all.keys().flat_map(RepoPath::ancestors).collect();
    all.retain(|path, placed| !(placed.entry.kind == EntryKind::Folder && needed.contains(path)));
    all.keys().all(|path| !needed.contains(path)).then_some(all)
}

/// As many of the changes as make a tree.
fn made(entries: &Entries, changes: &[Change]) -> Entries {
    changes.iter().fold(entries.clone(), |entries, change| {
        changed(&entries, std::slice::from_ref(change)).unwrap_or(entries)
    })
}

fn changes_between(from: &Entries, to: &Entries) -> Vec<Change> {
    let removed = from
        .keys()
        .filter(|path| !to.contains_key(*path))
        .map(|path| (path.clone(), None));
    let put = to.iter().map(|(path, placed)| (path.clone(), Some(placed.clone())));
    removed.chain(put).collect()
}

pub async fn build(store: &TreeStore, entries: &Entries) -> TreeId {
    let empty = store.empty().await.unwrap();
    let all = entries
        .iter()
        .map(|(path, placed)| (path.clone(), Some(placed.clone())))
        .collect();
    store.apply(empty, all).await.unwrap()
}

pub async fn read(store: &TreeStore, tree: TreeId) -> Entries {
    store.list(tree, None, None).try_collect().await.unwrap()
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn fresh() -> TreeStore {
    TreeStore::new(Bucket::memory())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn applied_step_by_step_or_built_at_once_it_is_the_same_tree(steps in vec(any_changes(25), 1..8)) {
        wait(async {
            let store = fresh();
            let (mut entries, mut tree) = (Entries::new(), store.empty().await.unwrap());
            for changes in steps {
                match changed(&entries, &changes) {
                    Some(changed) => {
                        tree = store.apply(tree, changes).await.unwrap();
                        entries = changed;
                    }
                    None => {
                        let error = store.apply(tree, changes).await.unwrap_err();
                        assert!(matches!(error, Error::PathClash { .. }), "{error}");
                    }
                }
                assert_eq!(read(&store, tree).await, entries);
                assert_eq!(build(&fresh(), &entries).await, tree, "built at once");
                let sizes: u64 = entries.values().map(|placed| placed.entry.size()).sum();
                let summary = store.summary(tree).await.unwrap();
                assert_eq!((summary.entries, summary.bytes), (entries.len() as u64, sizes));
                assert_eq!(store.check(tree, &mut Default::default(), &mut |_, _| ()).await.unwrap(), []);
            }
        });
    }

    #[test]
    fn every_path_is_found_and_every_listing_is_the_models(
        changes in any_changes(80), from in any_name(), after in proptest::option::of(any_name()),
    ) {
        let entries = made(&Entries::new(), &changes);
        wait(async {
            let store = fresh();
            let tree = build(&store, &entries).await;
            for name in NAMES.iter() {
                assert_eq!(store.get(tree, name).await.unwrap().as_ref(), entries.get(name));
                let below = entries.keys().any(|path| path != name && path.is_within(name));
                assert_eq!(store.folder_exists(tree, name).await.unwrap(), below, "{name:?}");
            }
            for folder in from.ancestors().chain([from.clone()]).map(Some).chain([None]) {
                let after = after.as_ref().map(RepoPath::as_str);
                let listed: Entries = store.list(tree, folder.as_ref(), after).try_collect().await.unwrap();
                let mut expected = entries.clone();
                expected.retain(|path, _| folder.as_ref().is_none_or(|folder| path != folder && path.is_within(folder)));
                expected.retain(|path, _| after.is_none_or(|after| path.as_str() > after));
                assert_eq!(listed, expected, "below {folder:?} after {after:?}");
            }
        });
    }

    #[test]
    fn a_diff_is_what_differs(one in any_changes(80), two in any_changes(30), other in any_changes(80)) {
        let before = made(&Entries::new(), &one);
        for after in [made(&before, &two), made(&Entries::new(), &other)] {
            wait(async {
                let store = fresh();
                let (from, to) = (build(&store, &before).await, build(&store, &after).await);
                let found: Vec<PathDiff> = store.diff(from, to).try_collect().await.unwrap();
                let paths: BTreeSet<&RepoPath> = before.keys().chain(after.keys()).collect();
                let differs = paths.into_iter().filter(|&path| before.get(path) != after.get(path));
                let expected: Vec<PathDiff> = differs
                    .map(|path| PathDiff {
                        path: path.clone(),
                        before: before.get(path).cloned(),
                        after: after.get(path).cloned(),
                    })
                    .collect();
                assert_eq!(found, expected);
            });
        }
    }

    #[test]
    fn a_merge_is_each_path_merged(base in any_changes(80), ours in any_changes(25), theirs in any_changes(25), both in any_changes(25)) {
        let base = made(&Entries::new(), &base);
        let both = made(&base, &both);
        let (ours, theirs) = (made(&both, &ours), made(&both, &theirs));
        wait(async {
            let store = fresh();
            let [b, o, t] = [build(&store, &base).await, build(&store, &ours).await, build(&store, &theirs).await];
            let merged = store.merge(b, o, t).await.unwrap();
            assert_merged(&base, &ours, &theirs, &read(&store, merged.tree).await, &merged.conflicts);
            assert_eq!(build(&fresh(), &read(&store, merged.tree).await).await, merged.tree);
        });
    }
}

/// Each path is what merging it alone gives, or is reported and stays as in `ours`.
fn assert_merged(
    base: &Entries,
    ours: &Entries,
    theirs: &Entries,
    merged: &Entries,
    conflicts: &[drumlin_repo::trees::Conflict],
) {
    let reported: BTreeMap<&RepoPath, _> = conflicts.iter().map(|conflict| (&conflict.path, conflict)).collect();
    assert_eq!(reported.len(), conflicts.len(), "one report a path");
    assert!(conflicts.is_sorted_by(|a, b| a.path < b.path));
    for path in base.keys().chain(ours.keys()).chain(theirs.keys()) {
        let [b, o, t] = [base, ours, theirs].map(|side| side.get(path));
        let needed = |side: &Entries| side.keys().any(|other| other != path && other.is_within(path));
        if let Some(conflict) = reported.get(path) {
            assert_eq!(
                [&conflict.base, &conflict.ours, &conflict.theirs].map(Option::as_ref),
                [b, o, t]
            );
            match &conflict.blocked_by {
                Some(other) => {
                    assert!(other.is_within(path) || path.is_within(other), "{path:?} and {other:?}");
                    assert!(merged.contains_key(other), "what blocks is there");
                }
                None => assert_eq!(merge_entries(b, o, t), Merge::Conflict, "{path:?}"),
            }
        }
        let expected = match merge_entries(b, o, t) {
            _ if reported.contains_key(path) => o.cloned(),
            Merge::Clean(merged) => merged,
            Merge::Conflict => panic!("{path:?} conflicts and is not reported"),
        };
        let folder = expected
            .as_ref()
            .is_some_and(|placed| placed.entry.kind == EntryKind::Folder);
        if !(folder && needed(merged)) {
            assert_eq!(merged.get(path), expected.as_ref(), "{path:?}");
        }
    }
}

#[test]
fn locations_are_kept_and_move_no_tree() {
    wait(async {
        let mut entries: Entries = NAMES
            .iter()
            .filter(|name| name.ancestors().count() == 1)
            .map(|name| (name.clone(), file(1, 1)))
            .collect();
        entries = made(&Entries::new(), &changes_between(&Entries::new(), &entries));
        let plain = build(&fresh(), &entries).await;
        let pack = PackId::from_bytes([1; 32]);
        for (offset, placed) in (0..).zip(entries.values_mut()) {
            placed.at = Location::Chunk {
                pack,
                offset,
                stored: 1,
            };
        }
        let bucket = Bucket::memory();
        let tree = build(&TreeStore::new(bucket.clone()), &entries).await;
        assert_eq!(tree, plain);
        assert_eq!(
            read(&TreeStore::new(bucket.clone()), tree).await,
            entries,
            "locations are read back"
        );
        let store = TreeStore::new(bucket);
        let differences: Vec<_> = store.diff(plain, tree).try_collect().await.unwrap();
        assert_eq!(differences, []);
    });
}

#[test]
fn the_last_of_two_changes_of_a_path_counts() {
    wait(async {
        let store = fresh();
        let empty = store.empty().await.unwrap();
        let twice = vec![
            (path("a"), Some(file(1, 1))),
            (path("b"), Some(file(2, 2))),
            (path("a"), Some(file(3, 3))),
        ];
        let tree = store.apply(empty, twice).await.unwrap();
        assert_eq!(store.get(tree, &path("a")).await.unwrap(), Some(file(3, 3)));
        let removed = vec![(path("a"), Some(file(1, 1))), (path("a"), None), (path("b"), None)];
        assert_eq!(store.apply(tree, removed).await.unwrap(), empty);
    });
}

#[test]
fn a_clash_names_both_paths_and_a_long_text_its_entry() {
    wait(async {
        let store = fresh();
        let empty = store.empty().await.unwrap();
        let tree = store
            .apply(empty, vec![(path("data/x"), Some(file(1, 1)))])
            .await
            .unwrap();
        for (added, file_at, below) in [("data", "data", "data/x"), ("data/x/y", "data/x", "data/x/y")] {
            match store
                .apply(tree, vec![(path(added), Some(file(2, 2)))])
                .await
                .unwrap_err()
            {
                Error::PathClash { file, below: found } => assert_eq!((file, found), (path(file_at), path(below))),
                error => panic!("{error}"),
            }
        }
        let kind = EntryKind::Symlink {
            target: "t".repeat(5000),
        };
        let link = Placed {
            entry: Entry::new(kind, Timestamp::default()),
            at: Location::Unknown,
        };
        let error = store.apply(tree, vec![(path("link"), Some(link))]).await.unwrap_err();
        assert_eq!(error.kind(), drumlin_model::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("\"link\""), "{error}");
    });
}
