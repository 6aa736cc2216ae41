//! Attributes of objects: what a write brings is kept in the tree and given back.

use drumlin_model::{Attributes, ErrorKind};
use drumlin_objects::{Error, SessionStore, SnapshotStore};
use object_store::{
    Attribute, Error as StoreError, GetOptions, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    path::Path,
};

use crate::support::{self, get, path};

fn given() -> object_store::Attributes {
    let pairs = [
        (Attribute::ContentType, "text/csv"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::Metadata("Mtime".into()), "1.5"),
        (Attribute::Metadata("by".into()), "Zoë"),
    ];
    pairs.into_iter().collect()
}

async fn attributes(store: &dyn ObjectStore, key: &str) -> object_store::Attributes {
    let got = store.get_opts(&Path::from(key), GetOptions::new()).await.unwrap();
    let head = GetOptions::new().with_head(true);
    let of_head = store.get_opts(&Path::from(key), head).await.unwrap().attributes;
    assert_eq!(of_head, got.attributes, "a look tells as much as a read");
    got.attributes
}

#[tokio::test]
async fn what_an_object_is_written_with_comes_back_from_session_and_commit() {
    let store = SessionStore::new(support::session(&support::repo().await).await);
    let options = PutOptions {
        attributes: given(),
        ..PutOptions::default()
    };
    store
        .put_opts(&Path::from("a"), "content".into(), options)
        .await
        .unwrap();
    let options = PutMultipartOptions {
        attributes: given(),
        ..PutMultipartOptions::default()
    };
    let mut upload = store.put_multipart_opts(&Path::from("b"), options).await.unwrap();
    upload.put_part("content".into()).await.unwrap();
    upload.complete().await.unwrap();
    store.copy(&Path::from("a"), &Path::from("copy")).await.unwrap();
    store.rename(&Path::from("b"), &Path::from("moved")).await.unwrap();
    store.put(&Path::from("plain"), "content".into()).await.unwrap();
    support::commit(store.session()).await;
    let snapshot = SnapshotStore::new(store.session().base());
    let mut expected = given();
    expected.remove(&Attribute::Metadata("Mtime".into()));
    // A header's name: capitals mean nothing.
    expected.insert(Attribute::Metadata("mtime".into()), "1.5".into());
    for there in [&store as &dyn ObjectStore, &snapshot] {
        for key in ["a", "copy", "moved"] {
            assert_eq!(attributes(there, key).await, expected, "{key}");
        }
        assert!(attributes(there, "plain").await.is_empty());
    }
    let entry = snapshot.snapshot().entry(&path("a")).await.unwrap().unwrap().entry;
    assert_eq!(entry.attributes.get("x-amz-meta-by"), Some("Zoë"));
    assert_eq!(entry.attributes.get("content-type"), Some("text/csv"));

    // A write replaces attributes with the content, as on S3.
    store.put(&Path::from("a"), "content".into()).await.unwrap();
    assert!(attributes(&store, "a").await.is_empty());
    support::commit(store.session()).await;
    assert!(
        attributes(&SnapshotStore::new(store.session().base()), "a")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_hash_that_others_ask_by_is_no_attribute_of_an_object() {
    let repo = support::repo_with(&["a"]).await;
    let session = support::session(&repo).await;
    let mut placed = session.entry(&path("a")).await.unwrap().unwrap();
    placed.entry.attributes = Attributes::new([("sha256", "0".repeat(64))]).unwrap();
    session.put(&path("a"), placed).await.unwrap();
    assert!(attributes(&SessionStore::new(session.clone()), "a").await.is_empty());
    support::commit(&session).await;
    let kept = session.base().entry(&path("a")).await.unwrap().unwrap();
    assert_eq!(kept.entry.attributes.get("sha256").map(str::len), Some(64));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_nothing_is_written() {
    let store = SessionStore::new(support::session(&support::repo().await).await);
    let refused = async |attribute: Attribute, value: String| {
        let options = PutOptions {
            attributes: [(attribute, value)].into_iter().collect(),
            ..PutOptions::default()
        };
        let error = store.put_opts(&Path::from("a"), "x".into(), options).await.unwrap_err();
        assert!(get(&store, "a").await.is_err(), "nothing is there");
        error
    };
    let error = refused(Attribute::StorageClass, "GLACIER".into()).await;
    assert!(matches!(error, StoreError::NotSupported { .. }), "{error}");
    let beyond = "v".repeat(4096);
    for (attribute, value) in [
        (Attribute::Metadata("long".into()), beyond.as_str()),
        (Attribute::Metadata("two words".into()), "v"),
        (Attribute::ContentType, "text/plain\r\nx: y"),
    ] {
        let StoreError::Generic { source, .. } = refused(attribute, value.to_owned()).await else {
            panic!("an input that is wrong")
        };
        let error = source.downcast::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}
