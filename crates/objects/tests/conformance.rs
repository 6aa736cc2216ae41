//! object_store's own integration suite over `SessionStore`, test by test.
//!
//! What of the suite does not apply, and why:
//! - `put_get_attributes`: a tree keeps no content types or user attributes; they are accepted and dropped, as the local
//!   file store of object_store refuses them.
//! - `multipart` and `list_paginated`: they test the traits `MultipartStore` and `PaginatedListStore`, which are beside
//!   `ObjectStore` and which nobody can reach through it; these stores do not have them.
//! - Writing: `SnapshotStore` and `RepoStore` only read, so the suite, which begins each test by writing, cannot run over
//!   them. `snapshot` reads the suite's fixtures through a commit instead.

use drumlin_objects::SessionStore;
use object_store::integration;

use crate::support;

async fn store() -> SessionStore {
    SessionStore::new(support::session(&support::repo().await).await)
}

#[tokio::test]
async fn put_get_delete_list() {
    integration::put_get_delete_list(&store().await).await;
}

#[tokio::test]
async fn get_opts() {
    integration::get_opts(&store().await).await;
}

#[tokio::test]
async fn put_opts_with_updates_by_etag() {
    integration::put_opts(&store().await, true).await;
}

#[tokio::test]
async fn stream_get() {
    integration::stream_get(&store().await).await;
}

#[tokio::test]
async fn list_uses_directories_correctly() {
    integration::list_uses_directories_correctly(&store().await).await;
}

#[tokio::test]
async fn list_with_delimiter() {
    integration::list_with_delimiter(&store().await).await;
}

#[tokio::test]
async fn list_with_offset_exclusivity() {
    integration::list_with_offset_exclusivity(&store().await).await;
}

#[tokio::test]
async fn rename_and_copy() {
    integration::rename_and_copy(&store().await).await;
}

#[tokio::test]
async fn copy_if_not_exists() {
    integration::copy_if_not_exists(&store().await).await;
}

#[tokio::test]
async fn copy_rename_nonexistent_object() {
    integration::copy_rename_nonexistent_object(&store().await).await;
}

#[tokio::test]
async fn get_nonexistent_object() {
    let error = integration::get_nonexistent_object(&store().await, None)
        .await
        .unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn multipart_race_condition() {
    integration::multipart_race_condition(&store().await, true).await;
}

#[tokio::test]
async fn multipart_out_of_order() {
    integration::multipart_out_of_order(&store().await).await;
}
