//! `RepoStore`: keys are `ref/path`, and a ref once used does not move.

use drumlin_model::RefExpr;
use drumlin_objects::{Error, RepoStore};
use drumlin_repo::Repo;
use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, path::Path};

use crate::support::{self, get};

async fn change(repo: &Repo, at: &str, content: &str) {
    let session = support::session(repo).await;
    support::write(&session, at, content).await;
    support::commit(&session).await;
}

async fn listed(store: &RepoStore, prefix: &str) -> Vec<String> {
    let listing = store.list(Some(&Path::parse(prefix).unwrap()));
    listing
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_branch_means_one_commit_for_the_life_of_the_store() {
    let repo = support::repo_with(&["a", "b/c"]).await;
    let store = RepoStore::new(repo.clone());
    assert_eq!(get(&store, "main/a").await.unwrap(), "a");
    change(&repo, "b/new", "new").await;
    assert_eq!(listed(&store, "main").await, ["main/a", "main/b/c"]);
    assert!(matches!(
        get(&store, "main/b/new").await.unwrap_err(),
        StoreError::NotFound { .. }
    ));
    assert_eq!(
        listed(&RepoStore::new(repo.clone()), "main/b").await,
        ["main/b/c", "main/b/new"]
    );

    let snapshot = repo.snapshot(&"main".parse::<RefExpr>().unwrap()).await.unwrap();
    store.bind(&"main".parse().unwrap(), snapshot).await.unwrap();
    assert_eq!(
        get(&store, "main/b/new").await.unwrap(),
        "new",
        "until it is bound anew"
    );
}

#[tokio::test]
async fn commits_tags_and_steps_back_are_refs_too() {
    let repo = support::repo_with(&["a"]).await;
    let first = repo.resolve(&"main".parse().unwrap()).await.unwrap().commit;
    change(&repo, "a", "second").await;
    let store = RepoStore::new(repo);
    for reference in [first.to_string(), first.to_string()[..12].to_owned(), "main~1".into()] {
        assert_eq!(get(&store, &format!("{reference}/a")).await.unwrap(), "a");
    }
    // As `Path::from` escapes it.
    let key = Path::from("main~1/a");
    assert_eq!(key.as_ref(), "main%7E1/a");
    let object = store.get(&key).await.unwrap();
    assert_eq!(object.meta.location, key);
    assert_eq!(object.bytes().await.unwrap(), "a");
}

#[tokio::test]
async fn listings_keep_the_ref_in_front() {
    let repo = support::repo_with(&["a", "b/c", "b/d"]).await;
    let store = RepoStore::new(repo);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(top.common_prefixes, [Path::from("main")]);
    let found = store.list_with_delimiter(Some(&Path::from("main"))).await.unwrap();
    assert_eq!(found.common_prefixes, [Path::from("main/b")]);
    assert_eq!(found.objects[0].location, Path::from("main/a"));
    let after = |offset: &str| {
        let listing = store.list_with_offset(Some(&Path::from("main")), &Path::from(offset));
        listing.map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>()
    };
    assert_eq!(after("main/b/c").await.unwrap(), ["main/b/d"]);
    assert_eq!(after("aaa").await.unwrap(), ["main/a", "main/b/c", "main/b/d"]);
    assert_eq!(after("main").await.unwrap(), ["main/a", "main/b/c", "main/b/d"]);
    assert!(after("other/a").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_offered() {
    let store = RepoStore::new(support::repo_with(&["a"]).await);
    for key in ["main/b", "main", "other/a"] {
        let error = get(&store, key).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{key}: {error}");
    }
    let error = store.list(None).try_collect::<Vec<_>>().await.unwrap_err();
    let StoreError::NotSupported { source } = error else {
        panic!("{error}")
    };
    assert!(source.downcast::<Error>().unwrap().cures().len() == 1);
    let error = store.put(&Path::from("main/a"), "x".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::PermissionDenied { .. }), "{error}");
}
