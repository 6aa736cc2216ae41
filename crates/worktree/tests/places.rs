//! Where a working copy finds its repository: as a value, opened by whoever runs the program.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use drumlin_chunks::{Place, Storage};
use drumlin_model::ErrorKind;
use drumlin_worktree::{Error, Layout, WorkingCopy};
use tempfile::TempDir;

use crate::kit::{Kit, clock, open};

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

async fn clone(place: Place, folder: &Path) -> Result<WorkingCopy, Error> {
    WorkingCopy::clone_from(place, folder, clock(), &open).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_working_copy_means_its_repository() {
    let kit = Kit::with(&[("a", "1")]).await;
    let folder = TempDir::new().unwrap();
    let first = folder.path().join("first");
    let copy = clone(Place::Folder(kit.folder.path().into()), &first).await.unwrap();
    assert_eq!(copy.layout().repository, kit.copy.layout().repository);
    // A clone of the clone, and one of the store itself, are of the same repository.
    let second = clone(Place::Folder(first), &folder.path().join("second"))
        .await
        .unwrap();
    assert_eq!(second.layout().repository, kit.copy.layout().repository);
    let store = kit.copy.layout().repository.clone();
    let third = clone(store, &folder.path().join("third")).await.unwrap();
    assert_eq!(third.head().unwrap(), kit.copy.head().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_what_is_opened() {
    let kit = Kit::with(&[("a", "1")]).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let opener = move |place: &Place| {
        noted.lock().unwrap().push(place.to_string());
        Storage::open(place)
    };
    let folder = TempDir::new().unwrap();
    let copy = WorkingCopy::init(&folder.path().join("new"), clock(), &opener)
        .await
        .unwrap();
    drop(copy);
    let found = WorkingCopy::discover(&folder.path().join("new"), clock(), &opener)
        .await
        .unwrap();
    drop(found);
    let from = Place::Folder(kit.folder.path().into());
    WorkingCopy::clone_from(from, &folder.path().join("clone"), clock(), &opener)
        .await
        .unwrap();
    let own = folder.path().canonicalize().unwrap().join("new/.drumlin/repo");
    let own = own.to_str().unwrap().to_owned();
    let theirs = kit.copy.layout().repository.to_string();
    assert_eq!(*asked.lock().unwrap(), [own.clone(), own, theirs]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_kept_and_refused_by_the_opener() {
    let bucket = "s3://data/team?endpoint=http://localhost:9000&region=eu-west-1";
    let folder = TempDir::new().unwrap();
    let error = clone(place(bucket), &folder.path().join("copy")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(bucket), "{error}");
    assert!(
        !folder.path().join("copy").exists(),
        "a clone that cannot be made leaves a folder"
    );

    // The settings hold the whole place, and give it back.
    let layout = Layout::create(&folder.path().join("direct"), Some(place(bucket))).unwrap();
    layout.seal().unwrap();
    let found = Layout::discover(&layout.folder).unwrap();
    assert_eq!(found.repository, place(bucket));
    let error = WorkingCopy::discover(&layout.folder, clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_place_is_named_with_its_line() {
    let kit = Kit::new().await;
    let file = kit.at(".drumlin/config.toml");
    for wrong in ["\"s3://user:hunter2@b/p\"", "7", "\"\"", "\"x"] {
        fs::write(&file, format!("# where\nformat = 1\nrepository = {wrong}\n")).unwrap();
        let error = Layout::discover(kit.folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(
            message.contains("line 3 of") && message.contains("config.toml"),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_there_makes_nothing() {
    let folder = TempDir::new().unwrap();
    let (nowhere, copy) = (folder.path().join("nowhere"), folder.path().join("copy"));
    let error = clone(Place::Folder(nowhere.clone()), &copy).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!nowhere.exists() && !copy.exists());
    // A working copy that lost its settings is not a repository's store.
    fs::create_dir_all(folder.path().join("half/.drumlin")).unwrap();
    let error = clone(Place::Folder(folder.path().join("half")), &copy)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::NotARepository { .. }), "{error}");
}

/// The bytes of the file, as the page of stored formats has them.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_that_says_where_the_repository_is() {
    let kit = Kit::new().await;
    let text = fs::read_to_string(kit.at(".drumlin/config.toml")).unwrap();
    let golden = "# Where this working copy finds its repository. A relative path starts at this folder.\n\
                  format = 1\n\
                  repository = \"repo\"\n";
    assert_eq!(text, golden);
}
