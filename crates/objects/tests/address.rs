//! Addresses: what prints parses back, and what is refused says why.

use drumlin_model::{Cure, RefExpr, RepoPath};
use drumlin_objects::{Address, AddressError};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

#[test]
fn an_address_has_a_repository_a_ref_and_a_path() {
    let address = parse("drumlin://flights/v1/tables/flights").unwrap();
    assert_eq!(address.repository, "flights");
    assert_eq!(address.reference.to_string(), "v1");
    assert_eq!(address.path.unwrap().as_str(), "tables/flights");
}

#[test]
fn the_top_of_a_tree_has_no_path() {
    for text in ["drumlin://flights/main", "drumlin://flights/main/"] {
        let address = parse(text).unwrap();
        assert_eq!(address.path, None);
        assert_eq!(address.to_string(), "drumlin://flights/main");
    }
}

#[test]
fn refs_may_be_commits_and_steps_back() {
    for text in ["drumlin://r/main~3/a", "drumlin://r/0123abcd/a", "drumlin://r/main~/a"] {
        let address = parse(text).unwrap();
        assert_eq!(parse(&address.to_string()).unwrap(), address);
    }
}

#[test]
fn what_is_refused_says_why() {
    let cases = [
        ("s3://r/main/a", "it does not start with drumlin://"),
        (
            "drumlin://main@r/a",
            "the ref stands after the repository, not as repository@ref",
        ),
        ("drumlin:///main/a", "the repository must have 1 to 253 bytes"),
        (
            "drumlin://a b/main/a",
            "the repository may have ASCII letters, digits, '-', '_' and '.'",
        ),
        ("drumlin://r", "it names no ref after the repository"),
        ("drumlin://r//a", "it names no ref after the repository"),
        (
            "drumlin://r/main/a?b",
            "it has a query or a fragment; write '?' as %3F and '#' as %23",
        ),
        ("drumlin://r/main/%ff", "its escapes are not UTF-8"),
    ];
    for (text, why) in cases {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().ends_with(why), "{text}: {error}");
        assert!(matches!(&error.cures()[..], [Cure::Say { text }] if text.contains("drumlin://REPOSITORY/REF/PATH")));
    }
    assert!(matches!(parse("drumlin://r/-x/a"), Err(AddressError::Reference { .. })));
    assert!(matches!(
        parse("drumlin://r/main/a/../b"),
        Err(AddressError::Path { .. })
    ));
    assert!(matches!(parse("drumlin://r/main/a//b"), Err(AddressError::Path { .. })));
    // An escaped slash is a slash: it must not smuggle in a name that a path cannot have.
    assert!(matches!(
        parse("drumlin://r/main/a%2f..%2fb"),
        Err(AddressError::Path { .. })
    ));
}

proptest! {
    #[test]
    fn what_prints_parses_back(
        repository in "[A-Za-z0-9._-]{1,20}",
        reference in "[a-z][a-z0-9_.+-]{0,8}[a-z]",
        path in "([^/\\p{C}.]{1,12}/){0,3}[^/\\p{C}.]{1,12}",
    ) {
        let address = Address {
            repository,
            reference: reference.parse::<RefExpr>().unwrap(),
            path: Some(RepoPath::new(path).unwrap()),
        };
        let text = address.to_string();
        prop_assert!(!text.contains(['?', '#', ' ']), "{}", text);
        prop_assert_eq!(parse(&text).unwrap(), address);
    }
}
