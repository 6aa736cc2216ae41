//! What became of one lookup for one spine row; the text is what users read in `<view>__status`.
//! The online store answers with the same words.

/// The outcome of one view's lookup for one spine row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A row was picked and at least one requested feature has a value.
    Present,
    /// A row was picked and every requested feature is null in it.
    NullValue,
    /// No candidate: the key is absent or null, or all its rows are later than asked, or not yet known.
    NotFound,
    /// There is a candidate, but it is older than `max_age`.
    OutsideMaxAge,
    /// The picked row is a tombstone.
    Deleted,
}

impl Status {
    pub const ALL: [Status; 5] = [
        Status::Present,
        Status::NullValue,
        Status::NotFound,
        Status::OutsideMaxAge,
        Status::Deleted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Present => "PRESENT",
            Status::NullValue => "NULL_VALUE",
            Status::NotFound => "NOT_FOUND",
            Status::OutsideMaxAge => "OUTSIDE_MAX_AGE",
            Status::Deleted => "DELETED",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
