//! `Stat`: what the file system says of a file without reading it; the index compares it to know what did not change.
//! Invariant: nothing here follows a symbolic link.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path};

use drumlin_model::Timestamp;
use serde::{Deserialize, Serialize};

const OWNER_MAY_EXECUTE: u32 = 0o100;

/// Equal stats mean equal content, unless a file changed in the very tick in which it was indexed:
/// `Stat::settled` tells those apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    pub size: u64,
    pub modified_ns: i64,
    /// When the inode last changed; a program cannot set it back.
    pub changed_ns: i64,
    pub inode: u64,
    pub executable: bool,
}

/// What stands at a path of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    File,
    Symlink,
    Folder,
    /// A pipe, a socket or a device: never kept.
    Special,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    pub kind: DiskKind,
    pub stat: Stat,
}

impl Stat {
    pub fn of(metadata: &Metadata) -> Stat {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Stat {
            size: metadata.size(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            executable: metadata.mode() & OWNER_MAY_EXECUTE != 0,
        }
    }

    /// When the content last changed, as an entry keeps it.
    pub fn modified(&self) -> Timestamp {
        Timestamp::from_micros(self.modified_ns.div_euclid(1000))
    }

    /// Whether this is the same file with the same content, under whatever name.
    pub fn is_written_as(&self, other: &Stat) -> bool {
        let content = |stat: &Stat| (stat.inode, stat.size, stat.modified_ns);
        content(self) == content(other)
    }

    /// This stat, if the file last changed before `instant_ns` (by the file system's own clock); none if it may yet
    /// change without its times moving. Whatever has no settled stat is read again.
    pub fn settled(self, instant_ns: i64) -> Option<Stat> {
        (self.modified_ns < instant_ns && self.changed_ns < instant_ns).then_some(self)
    }
}

impl DiskEntry {
    pub fn of(metadata: &Metadata) -> DiskEntry {
        let kind = metadata.file_type();
        let kind = if kind.is_file() {
            DiskKind::File
        } else if kind.is_dir() {
            DiskKind::Folder
        } else if kind.is_symlink() {
            DiskKind::Symlink
        } else {
            DiskKind::Special
        };
        DiskEntry {
            kind,
            stat: Stat::of(metadata),
        }
    }

    /// What is at `path` itself; none if nothing is, or if something above it is not a folder.
    pub fn at(path: &Path) -> io::Result<Option<DiskEntry>> {
        match path.symlink_metadata() {
            Ok(metadata) => Ok(Some(DiskEntry::of(&metadata))),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether an error says that nothing can be at a path: it is missing, or what stands above it leads nowhere.
fn is_nothing(error: &io::Error) -> bool {
    let leads_nowhere = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    leads_nowhere || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
