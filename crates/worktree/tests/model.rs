//! Random edits and verbs beside a model that is plainly right: pictures of the disk, taken when something was committed.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use drumlin_model::ErrorKind;
use drumlin_testkit::info;
use proptest::{collection::vec, prelude::*, sample::select, test_runner::Config};

use crate::kit::{Kit, Node, Picture};

#[derive(Clone, Debug)]
enum Step {
    Write { path: &'static str, content: u8 },
    Delete { path: &'static str },
    Chmod { path: &'static str },
    Link { path: &'static str, target: &'static str },
    MakeFolder { path: &'static str },
    Rename { from: &'static str, to: &'static str },
    Add,
    Commit,
    Checkout,
    Force,
    RestoreAll,
}

const PATHS: [&str; 12] = [
    "a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d-", "e", "e/a", "e/f/g/h", "f.txt",
];

fn step() -> impl Strategy<Value = Step> {
    let path = || select(&PATHS[..]);
    prop_oneof![
        8 => (path(), 0..4u8).prop_map(|(path, content)| Step::Write { path, content }),
        3 => path().prop_map(|path| Step::Delete { path }),
        1 => path().prop_map(|path| Step::Chmod { path }),
        1 => (path(), path()).prop_map(|(path, target)| Step::Link { path, target }),
        2 => path().prop_map(|path| Step::MakeFolder { path }),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename { from, to }),
        3 => Just(Step::Add),
        3 => Just(Step::Commit),
        4 => Just(Step::Checkout),
        1 => Just(Step::Force),
        1 => Just(Step::RestoreAll),
    ]
}

/// What is committed on each branch, and what the next commit would make of the present one.
struct Model {
    branches: BTreeMap<&'static str, Picture>,
    staged: Picture,
    now: &'static str,
}

impl Model {
    fn other(&self) -> &'static str {
        if self.now == "main" { "side" } else { "main" }
    }
    fn head(&self) -> &Picture {
        &self.branches[self.now]
    }
}

/// Edits the disk as a user would; what the disk does not allow is not done.
fn edit(root: &Path, step: &Step) {
    let at = |path: &str| root.join(path);
    let make_way = |path: &str| {
        let path = at(path);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => drop(fs::remove_dir_all(&path)),
            Ok(_) => drop(fs::remove_file(&path)),
            Err(_) => {}
        }
        // A link above would lead elsewhere.
        let above_is_real = path
            .ancestors()
            .skip(1)
            .take_while(|above| *above != root)
            .all(|above| !above.is_symlink());
        above_is_real && fs::create_dir_all(path.parent().unwrap()).is_ok()
    };
    match step {
        Step::Write { path, content } => {
            let in_the_way = !at(path).is_file() || at(path).is_symlink();
            if in_the_way && !make_way(path) {
                return;
            }
            // Two of the contents have the same size; one is empty; one is cut into chunks.
            let content = [vec![], b"one".to_vec(), b"two".to_vec(), vec![9; 200_000]][usize::from(*content)].clone();
            drop(fs::write(at(path), content));
        }
        Step::Delete { path } => drop(make_way(path)),
        Step::Chmod { path } => {
            if let Ok(metadata) = at(path).symlink_metadata()
                && metadata.is_file()
            {
                let mode = metadata.permissions().mode() ^ 0o111;
                fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        Step::Link { path, target } => {
            if make_way(path) {
                symlink(target, at(path)).unwrap();
            }
        }
        Step::MakeFolder { path } => drop(fs::create_dir_all(at(path))),
        Step::Rename { from, to } => {
            if at(from).symlink_metadata().is_ok() && !to.starts_with(from) && !from.starts_with(to) && make_way(to) {
                fs::rename(at(from), at(to)).unwrap();
            }
        }
        _ => unreachable!("not an edit"),
    }
}

fn without_folders(picture: &Picture) -> Picture {
    picture
        .iter()
        .filter(|(_, node)| **node != Node::Folder)
        .map(|(path, node)| (path.clone(), node.clone()))
        .collect()
}

fn changed(a: &Picture, b: &Picture) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    paths
        .into_iter()
        .filter(|path| a.get(*path) != b.get(*path))
        .cloned()
        .collect()
}

async fn act(kit: &Kit, model: &mut Model, step: &Step) {
    match step {
        Step::Add => {
            kit.add_all().await;
            model.staged = kit.disk();
            let (staged, unstaged, untracked) = kit.status().await;
            assert!(
                unstaged.is_empty() && untracked.is_empty(),
                "{unstaged:?} {untracked:?}"
            );
            let staged: Vec<_> = staged.iter().map(|line| line[2..].to_owned()).collect();
            let head = model.head().clone();
            assert_eq!(staged, changed(&head, &model.staged));
        }
        Step::Commit => {
            let committed = kit.copy.commit(info("step")).await;
            assert_eq!(committed.is_ok(), model.staged != *model.head(), "{committed:?}");
            model.branches.insert(model.now, model.staged.clone());
            assert_eq!(kit.tree(model.now).await, model.staged);
        }
        Step::Checkout => checkout(kit, model).await,
        Step::Force => {
            let tracked_elsewhere = kit.status().await.2;
            if !tracked_elsewhere.is_empty() {
                return; // What is untracked may rightly be in the way.
            }
            kit.force(model.other()).await;
            model.now = model.other();
            model.staged = model.head().clone();
            assert_eq!(kit.disk(), *model.head());
            assert!(kit.is_clean().await);
        }
        Step::RestoreAll => {
            let untracked = kit.status().await.2;
            if untracked.is_empty() && !model.staged.is_empty() {
                kit.restore(".", None, false).await;
                assert_eq!(kit.disk(), model.staged);
            }
        }
        edited => edit(kit.folder.path(), edited),
    }
}

async fn checkout(kit: &Kit, model: &mut Model) {
    let (before, status) = (kit.disk(), kit.status().await);
    let (from, to) = (model.head().clone(), model.branches[model.other()].clone());
    match kit.checkout(model.other()).await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
            assert_ne!(before, from, "a clean working copy is never refused");
            assert_eq!(
                (kit.disk(), kit.status().await),
                (before, status),
                "refused, so nothing changed"
            );
        }
        Ok(_) => {
            if before == from && model.staged == from {
                assert_eq!(kit.disk(), to);
                assert!(kit.is_clean().await, "{:?}", kit.status().await);
            }
            // Every file is what the target has, or what the user had where both branches agree.
            let merged = |here: &Picture| {
                let mut merged = without_folders(here);
                for path in changed(&without_folders(&from), &without_folders(&to)) {
                    match without_folders(&to).get(&path) {
                        Some(node) => drop(merged.insert(path, node.clone())),
                        // Taken out of what is tracked, and made again: it is the user's own.
                        None if !model.staged.contains_key(&path) => {}
                        None => drop(merged.remove(&path)),
                    }
                }
                merged
            };
            assert_eq!(without_folders(&kit.disk()), merged(&before));
            model.now = model.other();
            // What was staged goes along; the rest is the target's.
            let mut staged = model.head().clone();
            for path in changed(&from, &model.staged) {
                match model.staged.get(&path) {
                    Some(node) => staged.insert(path, node.clone()),
                    None => staged.remove(&path),
                };
            }
            model.staged = staged;
        }
    }
}

async fn run(steps: Vec<Step>) {
    let kit = Kit::with(&[("a", "one"), ("d/a", "one")]).await;
    let first = kit.disk();
    kit.branch("side").await;
    let branches = BTreeMap::from([("main", first.clone()), ("side", first.clone())]);
    let mut model = Model {
        branches,
        staged: first,
        now: "side",
    };
    for step in steps
        .iter()
        .chain([&Step::Add, &Step::Commit, &Step::Checkout, &Step::Checkout])
    {
        act(&kit, &mut model, step).await;
    }
    for branch in ["main", "side"] {
        assert_eq!(kit.tree(branch).await, model.branches[branch], "{branch}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 96, max_shrink_iters: 400, failure_persistence: None, ..Config::default() })]
    #[test]
    fn a_working_copy_is_a_folder_that_remembers(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
