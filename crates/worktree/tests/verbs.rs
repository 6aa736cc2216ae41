//! The verbs of the working copy: what each does to files, to what is staged and to the branch.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use drumlin_chunks::NoProgress;
use drumlin_model::{Attributes, CommitId, Cure, ErrorKind, FileId, Verb};
use drumlin_repo::Error as RepoError;
use drumlin_testkit::{author, info, name, path};
use drumlin_worktree::{Error, Side, WorkingCopy};
use tempfile::TempDir;

use crate::kit::{Kit, Node, clock, open};

fn would_overwrite(error: Error) -> Vec<String> {
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.cures().len(), 2, "keep the changes, or lose them");
    match error {
        Error::WouldOverwrite { paths } => paths.iter().map(|p| p.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_is_what_is_committed() {
    let kit = Kit::new().await;
    kit.write("a.csv", "1,2\n");
    kit.write("deep/er/b.bin", vec![7; 300_000]);
    kit.write("empty", "");
    kit.write("tool", "#!/bin/sh\n");
    kit.set_executable("tool", true);
    kit.write("Übergröße/名前 😀.txt", "names stay as they are");
    kit.write("e\u{301}.txt", "decomposed");
    kit.link("dangling", "no/such/place");
    kit.link("absolute", "/etc/passwd");
    fs::create_dir_all(kit.at("hollow/inner")).unwrap();

    let added = kit.add_all().await;
    assert_eq!(
        (added.added, added.modified, added.deleted, added.unchanged),
        (9, 0, 0, 0)
    );
    assert!(kit.status().await.1.is_empty());
    kit.commit("all").await;

    let disk = kit.disk();
    assert_eq!(disk.len(), 9);
    assert_eq!(disk["hollow/inner"], Node::Folder);
    assert_eq!(disk["absolute"], Node::Link("/etc/passwd".to_owned()));
    assert_eq!(kit.tree("main").await, disk);
    assert!(kit.is_clean().await);
    let again = kit.add_all().await;
    assert_eq!((again.added, again.unchanged, again.bytes), (0, 9, 0));
    let entry = kit
        .copy
        .repo()
        .snapshot(&"main".parse().unwrap())
        .await
        .unwrap()
        .entry(&path("a.csv"))
        .await
        .unwrap();
    assert_eq!(entry.unwrap().entry.as_file().unwrap().id, FileId::of(b"1,2\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_staged_unstaged_and_untracked_apart() {
    let kit = Kit::with(&[("keep", "k"), ("edit", "e"), ("gone", "g"), ("both", "b")]).await;
    kit.write("edit", "longer");
    kit.remove("gone");
    kit.write("both", "staged");
    kit.write("new/x", "1");
    kit.write("new/y", "2");
    kit.write("loose/deep/z", "3");
    kit.add(&["both", "new"]).await.unwrap();
    kit.write("both", "staged, then edited");
    let (staged, unstaged, untracked) = kit.status().await;
    assert_eq!(staged, ["M both", "A new/x", "A new/y"]);
    assert_eq!(unstaged, ["M both", "M edit", "D gone"]);
    assert_eq!(untracked, ["loose"]);
    kit.add(&["gone"]).await.unwrap();
    assert_eq!(kit.status().await.0, ["M both", "D gone", "A new/x", "A new/y"]);
    kit.write("gone", "g");
    kit.add(&["gone"]).await.unwrap();
    assert_eq!(
        kit.status().await.0,
        ["M both", "A new/x", "A new/y"],
        "as it was: nothing to commit there"
    );
    kit.commit("some").await;
    let tree = kit.tree("main").await;
    assert_eq!(tree["both"], Node::File(b"staged".to_vec(), false));
    assert_eq!(tree["edit"], Node::File(b"e".to_vec(), false));
    assert!(!tree.contains_key("loose/deep/z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_names_what_changed_on_either_side() {
    let kit = Kit::with(&[("a", "1"), ("b", "2")]).await;
    kit.write("a", "one");
    kit.add_all().await;
    kit.remove("b");
    let staged = kit.copy.diff(&[".".into()], Side::Staged).await.unwrap();
    let unstaged = kit.copy.diff(&[".".into()], Side::Unstaged).await.unwrap();
    assert_eq!(staged.len(), 1);
    assert_eq!(staged[0].path, path("a"));
    assert_ne!(staged[0].before, staged[0].after);
    assert_eq!(unstaged.len(), 1);
    assert_eq!((unstaged[0].path.as_str(), &unstaged[0].after), ("b", &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_executable_bit_changes() {
    let kit = Kit::with(&[("run.sh", "#!/bin/sh\n")]).await;
    kit.set_executable("run.sh", true);
    assert_eq!(kit.status().await.1, ["M run.sh"]);
    let added = kit.add_all().await;
    assert_eq!((added.modified, added.bytes), (1, 0), "the content is not kept twice");
    kit.commit("executable").await;
    assert_eq!(
        kit.tree("main").await["run.sh"],
        Node::File(b"#!/bin/sh\n".to_vec(), true)
    );
    kit.checkout("main~1").await.unwrap();
    assert_eq!(fs::metadata(kit.at("run.sh")).unwrap().permissions().mode() & 0o111, 0);
    kit.checkout("main").await.unwrap();
    assert_eq!(
        fs::metadata(kit.at("run.sh")).unwrap().permissions().mode() & 0o100,
        0o100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_within_the_tick_of_the_add_is_seen() {
    let kit = Kit::new().await;
    for round in 0..50 {
        kit.write("same-size", format!("round {round:04} a"));
        kit.add_all().await;
        kit.write("same-size", format!("round {round:04} b"));
        assert_eq!(kit.status().await.1, ["M same-size"], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn touched_files_are_not_changed_files() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.write("a", "1");
    assert!(kit.is_clean().await);
    assert_eq!(kit.add_all().await.unchanged, 1);
    assert!(matches!(
        kit.copy.commit(info("nothing")).await,
        Err(Error::Repo(RepoError::NothingToCommit { .. }))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_files_nest_and_tracked_files_stay_tracked() {
    let kit = Kit::with(&[("logs/kept.log", "tracked before it was ignored")]).await;
    kit.write(".drumlinignore", "*.log\n/build/\n!important.log\n");
    kit.write("x.log", "ignored");
    kit.write("important.log", "not ignored");
    kit.write("build/out", "ignored");
    kit.write("sub/build/out", "anchored at the top only");
    kit.write("sub/.drumlinignore", "*.tmp\n!y.log\n");
    kit.write("sub/y.log", "the nearest file decides");
    kit.write("sub/z.tmp", "ignored");
    kit.write("z.tmp", "not ignored up here");
    kit.write("logs/kept.log", "edited");
    kit.add_all().await;
    let (staged, ..) = kit.status().await;
    assert_eq!(
        staged,
        [
            "A .drumlinignore",
            "A important.log",
            "M logs/kept.log",
            "A sub/.drumlinignore",
            "A sub/build/out",
            "A sub/y.log",
            "A z.tmp"
        ]
    );
    let error = kit.add(&["x.log"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(matches!(&error.cures()[..], [Cure::Say { text }] if text.contains("!/x.log")));
    assert!(kit.add(&["build/out"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_drumlin_and_git_are_not_entered() {
    let kit = Kit::new().await;
    kit.write(".git/config", "git's own");
    kit.write("nested/.git/HEAD", "git's own");
    kit.write("nested/file", "ours");
    kit.add_all().await;
    assert_eq!(kit.status().await.0, ["A nested/file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_paths_stay_inside() {
    let kit = Kit::with(&[("sub/a", "1")]).await;
    let below = WorkingCopy::discover(&kit.at("sub"), clock(), &open).await.unwrap();
    assert_eq!(below.folder(), kit.folder.path().canonicalize().unwrap());
    assert_eq!(below.to_repo_path(Path::new("a")).unwrap(), path("sub/a"));
    assert_eq!(below.to_repo_path(Path::new("../b/./c")).unwrap(), path("b/c"));
    assert_eq!(below.to_repo_path(&kit.at("sub/new")).unwrap(), path("sub/new"));
    assert_eq!(below.to_scope(Path::new("..")).unwrap(), None);
    for outside in ["../..", "../../x", "/etc/passwd", "../../../../../../../../../.."] {
        let error = below.to_repo_path(Path::new(outside)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{outside}");
        assert!(
            matches!(&error.cures()[..], [Cure::Say { text }] if text.starts_with("name a path in /")),
            "{outside}"
        );
    }
    assert!(below.to_repo_path(Path::new("../.drumlin/config.toml")).is_err());
    let through = TempDir::new().unwrap();
    std::os::unix::fs::symlink(kit.folder.path(), through.path().join("link")).unwrap();
    assert_eq!(
        below.to_repo_path(&through.path().join("link/sub/a")).unwrap(),
        path("sub/a")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_added() {
    let kit = Kit::with(&[("a", "1")]).await;
    let error = kit.add(&["nothing"]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cures()),
        (ErrorKind::NotFound, vec![Cure::run(Verb::Status)])
    );
    kit.link("link", "sub");
    kit.write("sub/file", "1");
    assert!(matches!(
        kit.add(&["link/file"]).await,
        Err(Error::BeyondSymlink { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_goes_between_branches_and_keeps_other_work() {
    let kit = Kit::with(&[("shared", "same"), ("edit", "main"), ("only-main/x", "x")]).await;
    kit.branch("side").await;
    kit.write("edit", "side");
    kit.remove("only-main/x");
    kit.write("only-side/y", "y");
    fs::remove_dir(kit.at("only-main")).unwrap();
    kit.add_all().await;
    kit.commit("side").await;
    let side = kit.disk();

    kit.write("untracked", "stays");
    kit.write("shared", "edited, the same on both branches");
    let moved = kit.checkout("main").await.unwrap();
    assert_eq!((moved.written, moved.removed), (2, 1));
    assert_eq!((kit.read("edit"), kit.read("only-main/x")), ("main".into(), "x".into()));
    assert!(!kit.exists("only-side"), "folders that are left empty go");
    assert_eq!((kit.read("untracked"), kit.read("shared").len()), ("stays".into(), 33));
    kit.remove("untracked");
    kit.restore("shared", None, false).await;
    kit.checkout("side").await.unwrap();
    assert_eq!(kit.disk(), side);
    assert!(kit.is_clean().await);
    assert_eq!(kit.copy.head().unwrap().branch, Some(name("side")));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_refuses_to_overwrite_work() {
    let kit = Kit::with(&[("a", "1"), ("b", "1")]).await;
    kit.branch("side").await;
    kit.write("a", "2");
    kit.write("b", "2");
    kit.write("new", "of side");
    kit.add_all().await;
    kit.commit("side").await;
    kit.checkout("main").await.unwrap();
    kit.write("a", "unstaged work");
    kit.write("b", "staged work");
    kit.add(&["b"]).await.unwrap();
    kit.write("new", "untracked work");
    let before = (kit.disk(), kit.status().await);
    assert_eq!(
        would_overwrite(kit.checkout("side").await.unwrap_err()),
        ["a", "b", "new"]
    );
    assert_eq!((kit.disk(), kit.status().await), before);
    kit.force("side").await;
    assert!(kit.is_clean().await);
    assert_eq!(kit.disk(), kit.tree("side").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_brings_back_what_was_changed_anywhere() {
    let kit = Kit::with(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    kit.write("a", "edited");
    kit.remove("b");
    kit.write("c", "staged");
    kit.write("d", "staged and new");
    kit.add(&["c", "d"]).await.unwrap();
    kit.write("loose", "untracked");
    kit.force("main").await;
    let (staged, unstaged, untracked) = kit.status().await;
    assert!(staged.is_empty() && unstaged.is_empty(), "{staged:?} {unstaged:?}");
    assert_eq!(untracked, ["loose"]);
    assert!(
        !kit.exists("d"),
        "what was staged and the target lacks goes, as its content is kept by nobody's wish"
    );
    assert_eq!(
        (kit.read("a"), kit.read("b"), kit.read("c")),
        ("1".into(), "1".into(), "1".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_work_goes_along_to_another_branch() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.write("new", "staged");
    kit.add_all().await;
    kit.branch("side").await;
    assert_eq!(kit.status().await.0, ["A new"]);
    kit.commit("on side").await;
    assert!(!kit.tree("main").await.contains_key("new"));
    assert!(kit.tree("side").await.contains_key("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_take_each_others_place() {
    let kit = Kit::with(&[("x", "a file"), ("y/deep/er", "in a folder"), ("z", "z")]).await;
    let first = kit.disk();
    kit.branch("swapped").await;
    kit.remove("x");
    kit.write("x/below", "now a folder");
    fs::remove_dir_all(kit.at("y")).unwrap();
    kit.write("y", "now a file");
    kit.remove("z");
    kit.link("z", "x/below");
    kit.add_all().await;
    kit.commit("swapped").await;
    let swapped = kit.disk();
    assert_eq!(kit.tree("swapped").await, swapped);
    for _ in 0..3 {
        kit.checkout("main").await.unwrap();
        assert_eq!(kit.disk(), first);
        kit.checkout("swapped").await.unwrap();
        assert_eq!(kit.disk(), swapped);
        assert!(kit.is_clean().await);
    }
    kit.write("x/loose", "untracked, where main has a file");
    assert_eq!(would_overwrite(kit.checkout("main").await.unwrap_err()), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_folders_come_and_go() {
    let kit = Kit::with(&[("a", "1")]).await;
    fs::create_dir_all(kit.at("hollow")).unwrap();
    kit.add_all().await;
    kit.commit("hollow").await;
    assert_eq!(kit.tree("main").await["hollow"], Node::Folder);
    kit.write("hollow/now", "filled");
    assert_eq!(kit.status().await, (vec![], vec![], vec!["hollow/now".into()]));
    kit.add(&["hollow/now"]).await.unwrap();
    kit.commit("filled").await;
    assert_eq!(kit.tree("main").await, kit.disk());
    kit.checkout("main~1").await.unwrap();
    assert_eq!(kit.disk()["hollow"], Node::Folder);
    kit.checkout("main~2").await.unwrap();
    assert!(!kit.exists("hollow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_checked_out_by_itself_takes_no_commits() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.write("a", "2");
    kit.add_all().await;
    kit.commit("second").await;
    let moved = kit.checkout("main~1").await.unwrap();
    assert_eq!(moved.head.branch, None);
    kit.write("a", "3");
    kit.add_all().await;
    let error = kit.copy.commit(info("nowhere")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    kit.branch("from-here").await;
    kit.commit("somewhere").await;
    assert_eq!(kit.tree("from-here").await["a"], Node::File(b"3".to_vec(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_brings_back_files_and_takes_back_stages() {
    let kit = Kit::with(&[("a", "1"), ("d/b", "1"), ("d/c", "1")]).await;
    kit.write("a", "2");
    kit.add_all().await;
    kit.commit("second").await;
    kit.write("a", "edited");
    kit.remove("d/b");
    kit.restore(".", None, false).await;
    assert!(kit.is_clean().await);
    assert_eq!((kit.read("a"), kit.read("d/b")), ("2".into(), "1".into()));

    kit.write("a", "staged");
    kit.write("new", "staged");
    kit.remove("d/c");
    kit.add_all().await;
    kit.write("a", "edited");
    kit.restore("a", None, false).await;
    assert_eq!(kit.read("a"), "staged", "what is staged comes before what is committed");
    kit.restore(".", None, true).await;
    assert_eq!(
        kit.status().await,
        (vec![], vec!["M a".into(), "D d/c".into()], vec!["new".into()])
    );
    kit.restore("d", None, false).await;
    assert_eq!(kit.read("d/c"), "1");

    kit.restore("a", Some("main~1"), false).await;
    assert_eq!(kit.read("a"), "1");
    assert_eq!(kit.status().await.1, ["M a"]);
    kit.restore("a", Some("main~1"), true).await;
    assert_eq!(kit.status().await.0, ["M a"]);
    kit.commit("back").await;
    assert_eq!(kit.tree("main").await["a"], Node::File(b"1".to_vec(), false));
    assert_eq!(kit.status().await.2, ["new"]);

    let error = kit
        .copy
        .restore(&["nothing".into()], None, false, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A file that is staged to go and comes back from a commit is a new file: it shows, and an `add` keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_to_go_and_restored_is_not_lost() {
    let kit = Kit::with(&[("a", "1"), ("b", "1")]).await;
    kit.remove("a");
    kit.add_all().await;
    kit.restore("a", Some("main"), false).await;
    assert_eq!(kit.read("a"), "1");
    assert_eq!(kit.status().await, (vec!["D a".into()], vec![], vec!["a".into()]));
    kit.add_all().await;
    assert!(kit.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_from_elsewhere_removes_what_is_not_there() {
    let kit = Kit::with(&[("d/a", "1")]).await;
    kit.write("d/b", "later");
    kit.add_all().await;
    kit.commit("second").await;
    kit.restore("d", Some("main~1"), false).await;
    assert!(!kit.exists("d/b"));
    assert_eq!(kit.status().await.1, ["D d/b"]);
    kit.restore("d", None, false).await;
    assert!(kit.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_training_sets_stay_in_the_repository_until_named() {
    let kit = Kit::with(&[("plain", "1")]).await;
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    for file in [
        "tables/t/_delta_log/0.json",
        "tables/t/part-0.parquet",
        "training/s/set.json",
        "training/s/part-0.parquet",
        "training/notes.txt",
    ] {
        session.write(&path(file), file.into()).await.unwrap();
    }
    session.commit(info("a table")).await.unwrap();
    assert!(kit.copy.status().await.unwrap().behind);
    let followed = kit.copy.follow(&NoProgress).await.unwrap();
    assert_eq!(followed.not_brought, [path("tables/t"), path("training/s")]);
    assert_eq!(kit.read("training/notes.txt"), "training/notes.txt");
    assert!(!kit.exists("tables") && !kit.exists("training/s"));
    assert!(kit.is_clean().await, "what was never brought here is not deleted");
    kit.add_all().await;
    kit.restore(".", None, false).await;
    assert!(kit.is_clean().await && !kit.exists("tables"));

    kit.restore("tables/t", None, false).await;
    assert_eq!(kit.read("tables/t/part-0.parquet"), "tables/t/part-0.parquet");
    assert!(kit.is_clean().await);
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    session
        .write(&path("tables/t/_delta_log/1.json"), "one".into())
        .await
        .unwrap();
    session.commit(info("appended")).await.unwrap();
    kit.copy.follow(&NoProgress).await.unwrap();
    assert_eq!(
        kit.read("tables/t/_delta_log/1.json"),
        "one",
        "a table that is here is kept fresh"
    );

    let other = TempDir::new().unwrap();
    let clone = WorkingCopy::clone_from(kit.copy.layout().repository.clone(), other.path(), clock(), &open)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(other.path().join("plain")).unwrap(), "1");
    assert!(!other.path().join("tables").exists());
    assert!(clone.status().await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_refreshes_files_and_keeps_local_work() {
    let kit = Kit::with(&[("fresh", "1"), ("edited", "1"), ("gone", "1")]).await;
    kit.write("edited", "my own");
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    for file in ["fresh", "edited", "new"] {
        session.write(&path(file), "2".into()).await.unwrap();
    }
    session.remove(&path("gone")).await.unwrap();
    session.commit(info("elsewhere")).await.unwrap();
    let followed = kit.copy.follow(&NoProgress).await.unwrap();
    assert_eq!(followed.kept, [path("edited")]);
    assert_eq!(
        (kit.read("fresh"), kit.read("new"), kit.read("edited")),
        ("2".into(), "2".into(), "my own".into())
    );
    assert!(!kit.exists("gone"));
    assert_eq!(kit.status().await.1, ["M edited"]);
    assert!(!kit.copy.status().await.unwrap().behind);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clones_commit_beside_each_other() {
    let kit = Kit::with(&[("a", "1"), ("b", "1")]).await;
    let other = TempDir::new().unwrap();
    let copy = WorkingCopy::clone_from(kit.copy.layout().repository.clone(), other.path(), clock(), &open)
        .await
        .unwrap();
    let other = Kit { folder: other, copy };
    kit.write("a", "of the first");
    kit.add_all().await;
    kit.commit("first").await;
    other.write("b", "of the other");
    other.add_all().await;
    other.commit("other").await;
    assert_eq!(
        other.read("a"),
        "of the first",
        "the commit went on top, and its files came along"
    );
    assert!(other.is_clean().await);

    kit.write("b", "met");
    kit.add_all().await;
    let error = kit.copy.commit(info("too late")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Repo(RepoError::Conflict { paths, .. }) if *paths == [path("b")]),
        "{error:?}"
    );
    assert_eq!(kit.status().await.0, ["M b"], "nothing is lost");
    assert_eq!(kit.tree("main").await["b"], Node::File(b"of the other".to_vec(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_killed_before_it_was_noted_is_not_made_twice() {
    let kit = Kit::with(&[("a", "1")]).await;
    kit.write("a", "2");
    kit.write("b", "2");
    kit.add_all().await;
    // What a killed commit leaves: the branch has the changes, the index still has them staged.
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    session.write(&path("a"), "2".into()).await.unwrap();
    session.write(&path("b"), "2".into()).await.unwrap();
    let made: CommitId = session.commit(info("made")).await.unwrap();
    assert!(matches!(
        kit.copy.commit(info("again")).await,
        Err(Error::Repo(RepoError::NothingToCommit { .. }))
    ));
    assert_eq!(kit.copy.head().unwrap().base.commit, made);
    assert!(kit.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn init_clone_and_discover_say_what_is_wrong() {
    let kit = Kit::new().await;
    let error = WorkingCopy::init(kit.folder.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.cures()),
        (ErrorKind::AlreadyExists, vec![Cure::run(Verb::Status)])
    );
    let nowhere = TempDir::new().unwrap();
    let error = WorkingCopy::discover(nowhere.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.cures()),
        (ErrorKind::NotFound, vec![Cure::run(Verb::Init)])
    );
    assert!(error.to_string().contains("not inside a Drumlin repository"));
    let config = kit.at(".drumlin/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("repository = \"repo\""));
    fs::write(&config, text.replace("format = 1", "format = 9\nlater = true")).unwrap();
    let error = WorkingCopy::discover(kit.folder.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    fs::write(&config, text.replace("repository", "repozitory")).unwrap();
    let error = WorkingCopy::discover(kit.folder.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("repository is missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_was_killed_is_run_again() {
    let kit = Kit::new().await;
    fs::remove_file(kit.at(".drumlin/config.toml")).unwrap();
    let again = WorkingCopy::init(kit.folder.path(), clock(), &open).await.unwrap();
    assert_eq!(again.head().unwrap(), kit.copy.head().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time() {
    let kit = Kit::with(&[("a", "1")]).await;
    let held = fs::OpenOptions::new()
        .write(true)
        .open(kit.copy.layout().lock())
        .unwrap();
    held.lock().unwrap();
    fs::write(kit.copy.layout().lock(), "drumlin add (process 4711)").unwrap();
    let error = kit.add(&["."]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("drumlin add (process 4711)"), "{error}");
    assert!(kit.is_clean().await, "a status needs no lock");
    held.unlock().unwrap();
    kit.add_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_may_run_on_any_thread() {
    let kit = Kit::with(&[("a", "1")]).await;
    let copy = kit.copy.clone();
    kit.write("a", "2");
    let done = tokio::spawn(async move {
        copy.add(&[".".into()], &NoProgress).await.unwrap();
        copy.commit(info("spawned")).await.unwrap();
        copy.checkout(&"main~1".parse().unwrap(), false, &NoProgress)
            .await
            .unwrap();
        copy.restore(&[".".into()], None, false, &NoProgress).await.unwrap();
        copy.checkout_new(&author(), &name("b"), None, false, &NoProgress)
            .await
            .unwrap();
        copy.follow(&NoProgress).await.unwrap();
        copy.status().await.unwrap()
    });
    assert!(done.await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_the_process_do_not_keep_the_lock() {
    let kit = Kit::with(&[("a", "1")]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let forks = std::thread::spawn(move || {
        while !stopping.load(Ordering::Relaxed) {
            std::process::Command::new("true").status().unwrap();
        }
    });
    for _ in 0..200 {
        kit.add_all().await;
    }
    stop.store(true, Ordering::Relaxed);
    forks.join().unwrap();
}

#[tokio::test]
async fn a_commit_keeps_the_attributes_of_what_it_changes_but_not_hashes_of_other_content() {
    let kit = Kit::with(&[("a", "one"), ("b", "one")]).await;
    let said = [
        ("content-type", "text/plain"),
        ("md5", &"0".repeat(32)),
        ("x-amz-meta-by", "ann"),
    ];
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    for file in ["a", "b"] {
        let mut placed = session.entry(&path(file)).await.unwrap().unwrap();
        placed.entry.attributes = Attributes::new(said).unwrap();
        session.put(&path(file), placed).await.unwrap();
    }
    session.commit(info("attributes")).await.unwrap();
    kit.copy.follow(&NoProgress).await.unwrap();
    assert!(kit.is_clean().await, "a folder does not show attributes");

    kit.write("a", "two");
    kit.write("b", "one");
    kit.write("new", "one");
    fs::set_permissions(kit.at("b"), fs::Permissions::from_mode(0o755)).unwrap();
    kit.add_all().await;
    kit.commit("changed").await;
    let session = kit.copy.repo().session(&name("main")).await.unwrap();
    let kept = async |file: &str| {
        let placed = session.entry(&path(file)).await.unwrap().unwrap();
        let attributes = placed.entry.attributes;
        attributes.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kept("a").await, ["content-type", "x-amz-meta-by"]);
    assert_eq!(
        kept("b").await,
        ["content-type", "md5", "x-amz-meta-by"],
        "only the bit of execution changed"
    );
    assert!(kept("new").await.is_empty());
}
