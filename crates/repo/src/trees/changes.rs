//! `Changes`: what is done to a tree, read page by page, so that there may be more of it than memory holds.
//! `apply` and `settle` read them; a session's changes, a merge's and those that a working copy has staged are some.
//! Invariant: changes are in the order of their paths, each path once.

use std::{collections::BTreeSet, ops::Bound, vec};

use drumlin_model::RepoPath;

use crate::{error::Result, trees::Change};

/// Changes that are held in memory at once while a tree is made: less than the entries of a few ranges.
pub const CHANGES_PAGE_LEN: usize = 2048;

/// Changes of a tree, in the order of their paths, each path once.
///
/// Whoever implements it promises that the same changes are read at every call, as long as a commit is made of them.
pub trait Changes: Send + Sync {
    /// The first changes from `start` on, at most `len`; fewer only where no more follow.
    fn page(&self, start: Bound<&str>, len: usize) -> Result<Vec<Change>>;

    /// What is done at `path`; none if nothing is.
    fn at(&self, path: &RepoPath) -> Result<Option<Change>> {
        let first = self.page(Bound::Included(path.as_str()), 1)?.pop();
        Ok(first.filter(|(found, _)| found == path))
    }

    /// Whether an entry without attributes takes over those that the path has, as `Entry::take_attributes` says.
    fn keeps_attributes(&self) -> bool {
        false
    }
}

/// Changes that are in memory.
pub struct Sorted(Vec<Change>);

impl Sorted {
    /// Takes changes in any order; of two for one path the later counts.
    pub fn new(mut changes: Vec<Change>) -> Sorted {
        changes.sort_by(|(a, _), (b, _)| a.cmp(b));
        changes.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Sorted(changes)
    }

    pub fn into_inner(self) -> Vec<Change> {
        self.0
    }
}

impl Changes for Sorted {
    fn page(&self, start: Bound<&str>, len: usize) -> Result<Vec<Change>> {
        let first = match start {
            Bound::Included(start) => self.0.partition_point(|(path, _)| path.as_str() < start),
            Bound::Excluded(start) => self.0.partition_point(|(path, _)| path.as_str() <= start),
            Bound::Unbounded => 0,
        };
        Ok(self.0[first..].iter().take(len).cloned().collect())
    }
}

/// One walk over changes.
pub(crate) struct Walk<'a> {
    changes: &'a dyn Changes,
    page: vec::IntoIter<Change>,
    next: Option<Change>,
    /// The last path of the page at hand, if more may follow.
    last: Bound<String>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    pub fn new(changes: &'a dyn Changes) -> Walk<'a> {
        Walk {
            changes,
            page: Vec::new().into_iter(),
            next: None,
            last: Bound::Unbounded,
            is_over: false,
        }
    }

    /// The same, from the first change on whose path is not less than `start`.
    pub fn from(changes: &'a dyn Changes, start: &str) -> Walk<'a> {
        Walk {
            last: Bound::Included(start.to_owned()),
            ..Walk::new(changes)
        }
    }

    pub fn peek(&mut self) -> Result<Option<&Change>> {
        if self.next.is_none() {
            self.next = self.read()?;
        }
        Ok(self.next.as_ref())
    }

    pub fn next(&mut self) -> Result<Option<Change>> {
        self.peek()?;
        Ok(self.next.take())
    }

    fn read(&mut self) -> Result<Option<Change>> {
        if let Some(change) = self.page.next() {
            return Ok(Some(change));
        }
        if self.is_over {
            return Ok(None);
        }
        let page = self
            .changes
            .page(self.last.as_ref().map(String::as_str), CHANGES_PAGE_LEN)?;
        self.is_over = page.len() < CHANGES_PAGE_LEN;
        if let Some((path, _)) = page.last() {
            self.last = Bound::Excluded(path.to_string());
        }
        self.page = page.into_iter();
        Ok(self.page.next())
    }
}

/// A walk over changes and the removals that follow from them, as one run. Where both are at a path, the removal counts.
pub(super) struct SettledWalk<'a> {
    changes: Walk<'a>,
    removals: std::iter::Peekable<std::collections::btree_set::IntoIter<RepoPath>>,
}

impl<'a> SettledWalk<'a> {
    pub fn new(changes: &'a dyn Changes, removals: BTreeSet<RepoPath>) -> SettledWalk<'a> {
        SettledWalk {
            changes: Walk::new(changes),
            removals: removals.into_iter().peekable(),
        }
    }

    /// The path of the next change.
    pub fn peek(&mut self) -> Result<Option<&RepoPath>> {
        let change = self.changes.peek()?.map(|(path, _)| path);
        let removal = self.removals.peek();
        Ok(match (change, removal) {
            (Some(change), Some(removal)) => Some(change.min(removal)),
            (change, removal) => change.or(removal),
        })
    }

    pub fn next(&mut self) -> Result<Option<Change>> {
        let Some(removal) = self.removals.peek() else {
            return self.changes.next();
        };
        match self.changes.peek()? {
            Some((path, _)) if path < removal => return self.changes.next(),
            Some((path, _)) if path == removal => drop(self.changes.next()?),
            _ => {}
        }
        Ok(self.removals.next().map(|path| (path, None)))
    }
}
