//! Walks two sorted runs side by side, key by key.
//! `diff` joins two trees.

use std::cmp::Ordering;

use drumlin_model::RepoPath;

/// Takes the lesser key of two heads: which sides hold the next key.
pub(super) fn next_key<'a>(left: Option<&'a RepoPath>, right: Option<&'a RepoPath>) -> Option<Ordering> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.cmp(right)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}
