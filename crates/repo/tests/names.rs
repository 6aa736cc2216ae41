//! Branches, tags, and what an expression means.

use bytes::Bytes;
use drumlin_model::{CommitId, Cure, ErrorKind, RefExpr};
use drumlin_repo::Error;
use drumlin_testkit::{TestRepo, author, name};

async fn meaning(test: &TestRepo, expr: &str) -> Result<CommitId, Error> {
    let expr: RefExpr = expr.parse().unwrap();
    Ok(test.repo.resolve(&expr).await?.commit)
}

#[tokio::test]
async fn a_name_means_the_branch_or_the_tag_that_has_it() {
    let test = TestRepo::memory().await;
    let first = test.head("main").await.unwrap();
    let second = test.write("main", "a", "1").await.unwrap();
    test.repo.tag_create(&author(), &name("x"), first).await.unwrap();
    assert_eq!(meaning(&test, "x").await.unwrap(), first);
    assert_eq!(test.repo.resolve(&name("x").into()).await.unwrap().branch, None);
    test.repo.tag_delete(&author(), &name("x")).await.unwrap();
    test.repo.branch_create(&author(), &name("x"), second).await.unwrap();
    assert_eq!(meaning(&test, "x").await.unwrap(), second);
    assert_eq!(
        test.repo.resolve(&name("x").into()).await.unwrap().branch,
        Some(name("x"))
    );
}

#[tokio::test]
async fn commits_are_found_by_prefix_and_ancestors_by_steps() {
    let test = TestRepo::memory().await;
    let first = test.head("main").await.unwrap();
    let second = test.write("main", "a", "1").await.unwrap();
    let third = test.write("main", "a", "2").await.unwrap();
    assert_eq!(meaning(&test, &second.to_string()).await.unwrap(), second);
    assert_eq!(meaning(&test, &second.to_string()[..8]).await.unwrap(), second);
    assert_eq!(meaning(&test, &second.short()).await.unwrap(), second);
    assert_eq!(meaning(&test, "main~0").await.unwrap(), third);
    assert_eq!(meaning(&test, "main~2").await.unwrap(), first);
    assert_eq!(meaning(&test, "main~~").await.unwrap(), first);
    assert_eq!(meaning(&test, &format!("{}~1", third.short())).await.unwrap(), second);
    let error = meaning(&test, "main~3").await.unwrap_err();
    assert_eq!(error.to_string(), "\"main\" has no ancestor 3 steps back");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_prefix_of_two_commits_names_both() {
    let test = TestRepo::memory().await;
    let bucket = &test.repo.storage().bucket;
    let ids: Vec<String> = ["0", "1"]
        .iter()
        .map(|end| format!("abcdef01{}{end}", "0".repeat(55)))
        .collect();
    for id in &ids {
        bucket.put(&format!("commits/{id}"), Bytes::from("x")).await.unwrap();
    }
    let error = meaning(&test, "abcdef01").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let Error::AmbiguousCommit { candidates, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(candidates.iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let test = TestRepo::memory().await;
    let missing = CommitId::of(b"missing");
    for error in [
        meaning(&test, "nothing").await.unwrap_err(),
        meaning(&test, "0123456789").await.unwrap_err(),
        meaning(&test, &missing.to_string()).await.unwrap_err(),
        test.repo.session(&name("nothing")).await.unwrap_err(),
        test.repo
            .branch_create(&author(), &name("x"), missing)
            .await
            .unwrap_err(),
        test.repo.branch_delete(&author(), &name("nothing")).await.unwrap_err(),
        test.repo.tag_delete(&author(), &name("nothing")).await.unwrap_err(),
        test.repo
            .branch_rename(&author(), &name("nothing"), &name("x"))
            .await
            .unwrap_err(),
        test.repo
            .reset(&author(), &name("nothing"), test.head("main").await.unwrap())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(matches!(error.cures().first(), Some(Cure::Run { .. })), "{error}");
    }
}

#[tokio::test]
async fn names_are_taken_once() {
    let test = TestRepo::memory().await;
    let head = test.head("main").await.unwrap();
    test.repo.tag_create(&author(), &name("v1"), head).await.unwrap();
    test.repo.branch_create(&author(), &name("side"), head).await.unwrap();
    for error in [
        test.repo.tag_create(&author(), &name("v1"), head).await.unwrap_err(),
        test.repo
            .branch_create(&author(), &name("side"), head)
            .await
            .unwrap_err(),
        test.repo
            .branch_rename(&author(), &name("side"), &name("main"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    test.repo.tag_delete(&author(), &name("v1")).await.unwrap();
    test.repo.tag_create(&author(), &name("v1"), head).await.unwrap();
}

#[tokio::test]
async fn a_newer_repository_is_refused_in_words() {
    let test = TestRepo::memory().await;
    let storage = test.repo.storage();
    let (bytes, version) = storage.root.load().await.unwrap().unwrap();
    let text = String::from_utf8(bytes.to_vec())
        .unwrap()
        .replacen("drumlin root 1 ", "drumlin root 2 ", 1);
    storage.root.swap(Some(&version), Bytes::from(text)).await.unwrap();
    for error in [
        test.repo.refs().await.unwrap_err(),
        test.repo.session(&name("main")).await.unwrap_err(),
        test.repo.undo(&author(), None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "the repository has format 2; this program reads up to format 1"
        );
    }
}
