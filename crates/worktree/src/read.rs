//! Reading the disk into content: what a file, link or folder is as an entry, sure that it did not change meanwhile.
//! `add` keeps what is read, `status` and `checkout` only compare it.
//! Invariant: content is believed only if the stat after reading is the stat before.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use drumlin_chunks::{ContentWriter, Error as ChunksError, Progress};
use drumlin_model::{EntryKind, ErrorKind, File as Content, FileId, Location};

use crate::{
    Error, Result,
    stat::{DiskEntry, DiskKind, Stat},
};

/// How often a file that changes while it is read is read before it is passed over.
const ATTEMPTS_MAX: u32 = 3;

/// What reading one path of the disk came to.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The content that was already known; perhaps with another executable bit.
    Known { kind: EntryKind, stat: Stat },
    /// Other content, now kept at `at` by the writer (durable after its next flush).
    Kept { kind: EntryKind, at: Location, stat: Stat },
    /// Nothing that can be kept is there any more.
    Gone,
    /// It changed each time that it was read.
    Unstable,
}

/// Reads what is at `path` and gives its content to `writer`, unless it is that of `known`.
/// `disk` is what was seen there a moment ago.
pub(crate) fn keep(
    path: &Path,
    disk: DiskEntry,
    known: Option<&EntryKind>,
    writer: &ContentWriter,
    progress: &dyn Progress,
) -> Result<Reading> {
    let mut disk = disk;
    for _ in 0..ATTEMPTS_MAX {
        let reading = match disk.kind {
            DiskKind::Special => return Ok(Reading::Gone),
            DiskKind::Folder => Some(other(EntryKind::Folder, known, disk.stat)),
            DiskKind::Symlink => link_target(path)?.map(|kind| other(kind, known, disk.stat)),
            DiskKind::File => file(path, disk.stat, known, (writer, progress))?,
        };
        match (DiskEntry::at(path).map_err(Error::io("look at", path))?, reading) {
            (Some(after), Some(reading)) if after == disk => return Ok(reading),
            // The times of a folder move with what is in it; that it is a folder is all that is kept.
            (Some(after), Some(reading)) if after.kind == DiskKind::Folder && disk.kind == DiskKind::Folder => {
                return Ok(reading);
            }
            (Some(after), _) => disk = after,
            (None, _) => return Ok(Reading::Gone),
        }
    }
    Ok(Reading::Unstable)
}

fn other(kind: EntryKind, known: Option<&EntryKind>, stat: Stat) -> Reading {
    if known == Some(&kind) {
        Reading::Known { kind, stat }
    } else {
        Reading::Kept {
            kind,
            at: Location::Unknown,
            stat,
        }
    }
}

/// None: the file was not what `stat` says.
fn file(
    path: &Path,
    stat: Stat,
    known: Option<&EntryKind>,
    (writer, progress): (&ContentWriter, &dyn Progress),
) -> Result<Option<Reading>> {
    let executable = stat.executable;
    // Content of another size is other content; of the same size, hashing is cheaper than keeping it twice.
    if let Some(EntryKind::File(known)) = known
        && known.size == stat.size
    {
        match hash(path) {
            Ok(id) if id == known.id => {
                let kind = EntryKind::File(Content {
                    executable,
                    ..known.clone()
                });
                return Ok(Some(Reading::Known { kind, stat }));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        }
    }
    let (id, size, at) = match writer.add_file_blocking(path, progress) {
        Err(ChunksError::FileChanged { .. }) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        added => added?,
    };
    let kind = EntryKind::File(Content { id, size, executable });
    Ok((size == stat.size).then_some(Reading::Kept { kind, at, stat }))
}

/// None: the link is gone.
fn link_target(path: &Path) -> Result<Option<EntryKind>> {
    match fs::read_link(path) {
        Ok(target) => match target.into_os_string().into_string() {
            Ok(target) => Ok(Some(EntryKind::Symlink { target })),
            Err(_) => Err(Error::TargetNotUtf8 { path: path.to_owned() }),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Opens a regular file; fails rather than follow a link or wait for a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("open flags fit the system's int");
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn hash(path: &Path) -> io::Result<FileId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(open(path)?)?;
    Ok(hasher.finalize().into())
}

/// What is at `path`, as an entry; none if it is nothing that is kept, or not what `disk` says any more.
pub(crate) fn entry_kind(path: &Path, disk: &DiskEntry) -> Result<Option<EntryKind>> {
    match disk.kind {
        DiskKind::Special => Ok(None),
        DiskKind::Folder => Ok(Some(EntryKind::Folder)),
        DiskKind::Symlink => link_target(path),
        DiskKind::File => match hash(path) {
            Ok(id) => Ok(Some(EntryKind::File(Content {
                id,
                size: disk.stat.size,
                executable: disk.stat.executable,
            }))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        },
    }
}

/// Whether the disk has exactly this entry; reads as little as tells.
pub(crate) fn is_entry(path: &Path, disk: &DiskEntry, kind: &EntryKind) -> Result<bool> {
    if !disk.is_of(kind) {
        return Ok(false);
    }
    if let EntryKind::File(file) = kind
        && (file.size != disk.stat.size || file.executable != disk.stat.executable)
    {
        return Ok(false);
    }
    Ok(entry_kind(path, disk)?.as_ref() == Some(kind))
}
