//! Multipart uploads: bounded memory, all or nothing.

use drumlin_model::Location;
use drumlin_objects::SessionStore;
use futures::future::join_all;
use object_store::{Error as StoreError, ObjectStoreExt, path::Path};

use crate::support::{self, noise, path};

const PART: usize = 3 << 20;

async fn store() -> SessionStore {
    SessionStore::new(support::session(&support::repo().await).await)
}

fn spooled(store: &SessionStore) -> usize {
    let folder = store.session().repo().storage().scratch.path().unwrap();
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("part-")).count()
}

#[tokio::test]
async fn parts_beyond_what_is_held_go_to_disk_and_the_file_goes_away() {
    let store = store().await;
    let key = Path::from("big.parquet");
    let mut upload = store.put_multipart(&key).await.unwrap();
    let content: Vec<_> = (0..7).map(|part| noise(part, PART)).collect();
    assert_eq!(spooled(&store), 0);
    // Written in the reverse order of the calls: the calls count.
    let mut parts: Vec<_> = content
        .iter()
        .map(|part| upload.put_part(part.clone().into()))
        .collect();
    parts.reverse();
    for done in join_all(parts).await {
        done.unwrap();
    }
    assert_eq!(spooled(&store), 1);
    assert!(store.get(&key).await.is_err(), "nothing is seen before the end");
    let put = upload.complete().await.unwrap();
    assert_eq!(spooled(&store), 0);
    assert_eq!(store.head(&key).await.unwrap().e_tag, put.e_tag);
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), content.concat());
    assert_eq!(
        store.session().entry(&path("big.parquet")).await.unwrap().unwrap().at,
        Location::Blob
    );
}

#[tokio::test]
async fn a_small_upload_never_touches_the_disk() {
    let store = store().await;
    let key = Path::from("small");
    let mut upload = store.put_multipart(&key).await.unwrap();
    for part in ["one ", "two ", "", "three"] {
        upload.put_part(part.into()).await.unwrap();
    }
    assert_eq!(spooled(&store), 0);
    upload.complete().await.unwrap();
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), "one two three");
}

#[tokio::test]
async fn an_upload_without_parts_is_an_empty_object() {
    let store = store().await;
    let key = Path::from("empty");
    store.put_multipart(&key).await.unwrap().complete().await.unwrap();
    assert_eq!(store.head(&key).await.unwrap().size, 0);
}

#[tokio::test]
async fn a_part_that_was_never_written_is_missed() {
    let store = store().await;
    let key = Path::from("big");
    let mut upload = store.put_multipart(&key).await.unwrap();
    for part in 0..4 {
        let written = upload.put_part(noise(part, PART).into());
        if part != 2 {
            written.await.unwrap();
        }
    }
    let error = upload.complete().await.unwrap_err();
    assert!(error.to_string().contains("a part of the upload"), "{error}");
    assert!(matches!(
        store.get(&key).await.unwrap_err(),
        StoreError::NotFound { .. }
    ));
}

#[tokio::test]
async fn an_ended_upload_takes_nothing_more() {
    let store = store().await;
    let key = Path::from("big");
    let mut upload = store.put_multipart(&key).await.unwrap();
    for part in 0..4 {
        upload.put_part(noise(part, PART).into()).await.unwrap();
    }
    upload.abort().await.unwrap();
    assert_eq!(spooled(&store), 0);
    assert!(upload.put_part("more".into()).await.is_err());
    assert!(upload.complete().await.is_err());
    assert!(store.session().changes().is_empty());
}
