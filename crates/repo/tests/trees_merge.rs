//! Merges by name: files where the other side has folders, and folders that fill up.

use drumlin_chunks::Bucket;
use drumlin_model::{Placed, RepoPath, TreeId};
use drumlin_repo::trees::{Change, Conflict, TreeStore};

use crate::trees::{Entries, file, folder, path, read, wait};

struct Case {
    store: TreeStore,
    base: TreeId,
}

impl Case {
    async fn new(base: &[(&str, Placed)]) -> Self {
        let store = TreeStore::new(Bucket::memory());
        let empty = store.empty().await.unwrap();
        let base = base
            .iter()
            .map(|(name, placed)| (path(name), Some(placed.clone())))
            .collect();
        let base = store.apply(empty, base).await.unwrap();
        Self { store, base }
    }

    async fn merge(&self, ours: Vec<Change>, theirs: Vec<Change>) -> (Entries, Vec<Conflict>) {
        let ours = self.store.apply(self.base, ours).await.unwrap();
        let theirs = self.store.apply(self.base, theirs).await.unwrap();
        let merged = self.store.merge(self.base, ours, theirs).await.unwrap();
        (read(&self.store, merged.tree).await, merged.conflicts)
    }
}

fn put(name: &str, placed: Placed) -> Change {
    (path(name), Some(placed))
}

fn entries<const N: usize>(entries: [(&str, Placed); N]) -> Entries {
    entries.map(|(name, placed)| (path(name), placed)).into()
}

fn blocked(conflicts: &[Conflict]) -> Vec<(&str, Option<&str>)> {
    conflicts
        .iter()
        .map(|conflict| {
            (
                conflict.path.as_str(),
                conflict.blocked_by.as_ref().map(RepoPath::as_str),
            )
        })
        .collect()
}

#[test]
fn our_file_keeps_out_what_they_put_below_it() {
    wait(async {
        let case = Case::new(&[("x", file(0, 0))]).await;
        let theirs = vec![put("a/b", file(2, 2)), put("a/c/d", file(3, 3)), put("y", file(4, 4))];
        let (merged, conflicts) = case.merge(vec![put("a", file(1, 1))], theirs).await;
        assert_eq!(
            merged,
            entries([("a", file(1, 1)), ("x", file(0, 0)), ("y", file(4, 4))])
        );
        assert_eq!(blocked(&conflicts), [("a/b", Some("a")), ("a/c/d", Some("a"))]);
        assert_eq!(conflicts[0].theirs, Some(file(2, 2)));
        assert_eq!((&conflicts[0].base, &conflicts[0].ours), (&None, &None));
    });
}

#[test]
fn our_folder_keeps_out_their_file() {
    wait(async {
        let case = Case::new(&[("x", file(0, 0))]).await;
        let (merged, conflicts) = case
            .merge(vec![put("a/b", file(1, 1))], vec![put("a", file(2, 2))])
            .await;
        assert_eq!(merged, entries([("a/b", file(1, 1)), ("x", file(0, 0))]));
        assert_eq!(blocked(&conflicts), [("a", Some("a/b"))]);
    });
}

#[test]
fn a_file_that_one_side_makes_a_folder_and_the_other_edits_conflicts() {
    wait(async {
        let case = Case::new(&[("a", file(0, 0))]).await;
        let theirs = vec![(path("a"), None), put("a/b", file(2, 2))];
        let (merged, conflicts) = case.merge(vec![put("a", file(1, 1))], theirs).await;
        assert_eq!(merged, entries([("a", file(1, 1))]));
        assert_eq!(blocked(&conflicts), [("a", None), ("a/b", Some("a"))]);
    });
}

#[test]
fn empty_folders_give_way_on_either_side() {
    wait(async {
        let case = Case::new(&[("x", file(0, 0))]).await;
        let full = entries([("a/b", file(1, 1)), ("x", file(0, 0))]);
        let (add, make) = (|| vec![put("a/b", file(1, 1))], || vec![put("a", folder())]);
        assert_eq!(case.merge(add(), make()).await, (full.clone(), vec![]));
        assert_eq!(case.merge(make(), add()).await, (full, vec![]));
        let kept = Case::new(&[("a", folder())]).await;
        let both = entries([("a/b", file(1, 1)), ("a/c", file(2, 2))]);
        assert_eq!(kept.merge(add(), vec![put("a/c", file(2, 2))]).await, (both, vec![]));
    });
}

#[test]
fn a_folder_moved_away_by_us_takes_in_what_they_add_to_it() {
    wait(async {
        let case = Case::new(&[("a/b", file(1, 1)), ("a/c", file(2, 2))]).await;
        let ours = vec![(path("a/b"), None), (path("a/c"), None)];
        let (merged, conflicts) = case.merge(ours, vec![put("a/d", file(3, 3))]).await;
        assert_eq!((merged, conflicts), (entries([("a/d", file(3, 3))]), vec![]));
    });
}

#[test]
fn the_newer_time_of_the_same_content_is_kept() {
    wait(async {
        let case = Case::new(&[("a", file(0, 0))]).await;
        let (merged, conflicts) = case.merge(vec![put("a", file(1, 7))], vec![put("a", file(1, 9))]).await;
        assert_eq!((merged, conflicts), (entries([("a", file(1, 9))]), vec![]));
        let (merged, conflicts) = case.merge(vec![put("a", file(1, 9))], vec![put("a", file(1, 7))]).await;
        assert_eq!((merged, conflicts), (entries([("a", file(1, 9))]), vec![]));
    });
}

#[test]
fn a_tree_merges_with_itself_and_its_base_without_a_read() {
    wait(async {
        let case = Case::new(&[("a", file(0, 0))]).await;
        let changed = case.store.apply(case.base, vec![put("a", file(1, 1))]).await.unwrap();
        let cold = TreeStore::new(Bucket::memory());
        for (base, ours, theirs, merged) in [
            (case.base, changed, changed, changed),
            (case.base, case.base, changed, changed),
            (case.base, changed, case.base, changed),
        ] {
            assert_eq!(cold.merge(base, ours, theirs).await.unwrap().tree, merged);
        }
    });
}
