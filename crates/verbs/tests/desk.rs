//! Desks: over a working copy, over a repository alone; what each refuses, with cures as data.

use drumlin_chunks::Place;
use drumlin_model::{Cure, ErrorKind, Verb};
use drumlin_verbs::{
    AddRequest, BranchDeleteRequest, BranchListRequest, BranchRenameRequest, CommitRequest, Desk, DeskOptions, Error,
    LogRequest, ShowAnswer, ShowRequest, StatusRequest, TagCreateRequest,
};

use crate::support::{Place as Folder, options};

/// A server opens what a person committed in a working copy, and reads it without files.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_alone_is_read_and_its_refs_are_moved() {
    let place = Folder::new().await;
    place.write("raw/a.txt", "a");
    let made = place.commit("one").await;
    let store = Place::Folder(place.path().join(".drumlin/repo"));
    let options = DeskOptions {
        branch: Some("main".parse().expect("a name")),
        ..options()
    };
    let desk = Desk::open_repository(&store, options).await.expect("it opens");
    let log = desk.log(LogRequest::default()).await.expect("history is read");
    assert_eq!(log[0].id, made.commit);
    let name: drumlin_model::RefName = "v1".parse().expect("a name");
    let tag = desk
        .tag_create(TagCreateRequest {
            name: name.clone(),
            at: None,
        })
        .await
        .expect("a tag needs no files");
    assert_eq!((tag.name, tag.commit), (name, made.commit));
    let error = desk.add(AddRequest::default()).await.expect_err("there are no files");
    assert!(matches!(error, Error::NoWorkingCopy), "{error}");
    assert_eq!(error.kind(), ErrorKind::Precondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_checked_out_is_not_deleted_and_takes_the_working_copy_along() {
    let place = Folder::new().await;
    let delete = |name: &str, dry_run| BranchDeleteRequest {
        name: name.parse().expect("a name"),
        dry_run,
    };
    for dry_run in [true, false] {
        let error = place
            .desk
            .branch_delete(delete("main", dry_run))
            .await
            .expect_err("it is checked out");
        assert!(matches!(error, Error::CheckedOut { .. }), "{error}");
        assert!(matches!(
            error.cures()[0],
            Cure::Run {
                verb: Verb::Checkout,
                ..
            }
        ));
    }
    let rename = BranchRenameRequest {
        from: "main".parse().expect("a name"),
        to: "trunk".parse().expect("a name"),
    };
    place.desk.branch_rename(rename).await.expect("it is renamed");
    let status = place.desk.status(StatusRequest {}).await.expect("status");
    assert_eq!(status.branch.map(|branch| branch.to_string()).as_deref(), Some("trunk"));
    let branches = place.desk.branch_list(BranchListRequest {}).await.expect("branches");
    assert_eq!(branches.len(), 1);
    assert!(branches[0].current);
}

/// A request is what a surface reads from JSON, with the defaults of the verb; an answer writes times as RFC 3339.
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_are_json() {
    let place = Folder::new().await;
    place.write("a.txt", "a");
    let request: CommitRequest = serde_json::from_str(r#"{"message": "one"}"#).expect("a request");
    place
        .desk
        .add(AddRequest {
            paths: vec![place.path().join("a.txt")],
        })
        .await
        .expect("added");
    place.desk.commit(request).await.expect("committed");
    let request: LogRequest = serde_json::from_str(r#"{"at": "main", "path": "a.txt"}"#).expect("a request");
    let log = place.desk.log(request).await.expect("history");
    assert_eq!(log.len(), 1, "only the commit that wrote a.txt");
    let json = serde_json::to_value(&log[0]).expect("an answer is plain data");
    let finished = json["provenance"]["finished"].as_str().expect("a time is text");
    assert!(
        drumlin_model::Timestamp::parse_rfc3339(finished).is_some(),
        "{finished}"
    );
    assert_eq!(json["provenance"]["verb"], "commit");
    assert!(
        serde_json::from_str::<LogRequest>(r#"{"at": "a b"}"#).is_err(),
        "no ref has a space"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn show_reads_what_stands_at_a_path() {
    let place = Folder::new().await;
    place.write("raw/a.txt", "abc");
    place.commit("one").await;
    let show = |what: &str| ShowRequest {
        what: Some(what.to_owned()),
    };
    let ShowAnswer::Entry(entry) = place.desk.show(show("raw/a.txt@main")).await.expect("it is there") else {
        panic!("a file is an entry")
    };
    assert_eq!((entry.kind.as_str(), entry.size), ("file", 3));
    let ShowAnswer::Folder(folder) = place.desk.show(show("raw/@main")).await.expect("it is there") else {
        panic!("a folder is listed")
    };
    assert_eq!(folder.entries.len(), 1);
    let error = place
        .desk
        .show(show("nowhere@main"))
        .await
        .expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let ShowAnswer::Commit(page) = place.desk.show(ShowRequest::default()).await.expect("the head") else {
        panic!("a ref is a commit")
    };
    assert_eq!(page.changes.len(), 1);
}
