//! Places: paths and URLs, read and written; no secret gets in or out.

use std::path::{Path, PathBuf};

use drumlin_chunks::{Error, Place};
use drumlin_model::ErrorKind;
use proptest::{collection::btree_map, prelude::*};

fn parse(text: &str) -> Place {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = text.parse::<Place>().expect_err(text);
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
    error.to_string()
}

fn bucket(url: &str, options: &[(&str, &str)]) -> Place {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Place::Bucket {
        url: url.to_owned(),
        options: options.collect(),
    }
}

#[test]
fn a_path_is_a_folder_and_a_url_a_bucket() {
    assert_eq!(parse("repo"), Place::Folder("repo".into()));
    assert_eq!(parse("../a b/c"), Place::Folder("../a b/c".into()));
    assert_eq!(parse("file:///srv/a%20b"), Place::Folder("/srv/a b".into()));
    assert_eq!(parse("s3://data/team/repo/"), bucket("s3://data/team/repo", &[]));
    assert_eq!(parse("S3://data"), bucket("s3://data", &[]));
    assert_eq!(
        parse("s3://data/p?region=eu-west-1&endpoint=http://10.0.0.1:9000"),
        bucket(
            "s3://data/p",
            &[("endpoint", "http://10.0.0.1:9000"), ("region", "eu-west-1")]
        )
    );
    // A colon alone makes no URL.
    assert_eq!(parse("c:/data"), Place::Folder("c:/data".into()));
}

#[test]
fn what_is_no_place_is_refused_with_the_reason() {
    for text in [
        "",
        "s3://",
        "s3:///prefix",
        "s3://b/a//c",
        "s3://b/../c",
        "s3://b/#x",
        "s3://b?x",
        "s3://b?X=1",
    ] {
        refused(text);
    }
    refused("s3://b?a=1&a=2");
    refused("file://host/path");
    refused("a\0b");
    refused("s3://b/%00");
    refused(&"x".repeat(5000));
}

#[test]
fn no_secret_gets_in_and_none_is_shown() {
    for text in [
        "s3://user:hunter2@bucket/p",
        "s3://bucket/p?secret_access_key=hunter2",
        "s3://bucket?session_token=hunter2",
        "az://bucket?account_key=hunter2",
    ] {
        let message = refused(text);
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains("bucket"), "{message}");
    }
}

#[test]
fn a_relative_folder_starts_at_a_base() {
    let base = Path::new("/data/copy/.drumlin");
    assert_eq!(parse("repo").from_base(base), Place::Folder(base.join("repo")));
    assert_eq!(parse("/srv/repo").from_base(base), Place::Folder("/srv/repo".into()));
    assert_eq!(parse("s3://b/p").from_base(base), bucket("s3://b/p", &[]));
}

#[test]
fn a_folder_whose_name_is_no_text_has_no_text() {
    use std::os::unix::ffi::OsStringExt;
    let name = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
    assert_eq!(Place::Folder(PathBuf::from(name)).to_text(), None);
}

#[test]
fn a_bucket_cannot_be_opened_as_a_folder() {
    let error = drumlin_chunks::Storage::open(&parse("s3://data/p")).expect_err("there are no buckets yet");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        matches!(&error, Error::NotAFolder { place } if place == "s3://data/p"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn what_a_place_prints_it_is(
        folder in "[^\\x00]{1,40}",
        name in "[a-z][a-z0-9.-]{1,20}",
        prefix in "([^/\\x00]{1,8}(/[^/\\x00]{1,8}){0,3})?",
        options in btree_map("[a-z][a-z0-9_]{0,10}", ".{0,20}", 0..4),
    ) {
        let folder = Place::Folder(folder.into());
        prop_assert_eq!(parse(&folder.to_text().expect("it is text")).folder().map(Path::to_owned),
            Some(without_dot(folder.folder().expect("it is one"))));
        prop_assume!(!prefix.split('/').any(|name| name == "." || name == ".."));
        prop_assume!(!options.keys().any(|name| ["secret", "token", "password", "credential"].iter().any(|s| name.contains(s))));
        let url = if prefix.is_empty() { format!("s3://{name}") } else { format!("s3://{name}/{prefix}") };
        let place = Place::Bucket { url, options };
        prop_assert_eq!(&parse(&place.to_text().expect("a URL is text")), &place);
    }
}

/// A folder that looks like a URL is written with `./` before it, which is the same folder.
fn without_dot(folder: &Path) -> PathBuf {
    match folder.to_str().and_then(|text| text.split_once("://")) {
        Some((scheme, _))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
        {
            Path::new(".").join(folder)
        }
        _ => folder.to_owned(),
    }
}
