//! `Limits`: how many requests this crate has on their way at once. A `Bucket` carries them, because they depend on what is below it.

/// Requests at once, by what they are for. Each number is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Packs of 32 MiB that one writer sends at once. Each is in memory until it has arrived.
    pub uploads: u32,
    /// Parts of 8 MiB of one blob that are sent at once.
    pub parts: usize,
    /// Reads of packs at once for one window of a file, or for many files.
    pub reads: usize,
    /// Windows of one file that are fetched ahead of its reader, the one that it reads included. Each takes about 16 MB.
    pub windows: usize,
    /// Tables of packs and index objects that are fetched at once.
    pub tables: usize,
}

impl Limits {
    /// For a local disk: enough to keep it busy, and about 100 MB of packs in memory.
    pub const DISK: Self = Self {
        uploads: 2,
        parts: 2,
        reads: 4,
        windows: 3,
        tables: 16,
    };
    /// For a store that answers after tens of milliseconds: enough to fill a line of 1 Gbit/s, and about 300 MB of packs in memory.
    pub const NETWORK: Self = Self {
        uploads: 8,
        parts: 4,
        reads: 16,
        windows: 4,
        tables: 16,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DISK
    }
}
