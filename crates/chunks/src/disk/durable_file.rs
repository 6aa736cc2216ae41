//! Files that appear whole or not at all: written beside, synced, renamed into place, and the folder synced.
//! `durable_dir` and `root_store` write with it and with nothing else.
//! Invariant: whatever moment the process dies at, a name leads to all bytes of one write, and nothing but `tmp/` holds a part.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

/// The folder of unfinished files, beside the objects and on the same file system.
pub(crate) const TMP: &str = "tmp";
/// An unfinished file that nobody holds locked is left by a dead process, or is between its creation and its lock,
/// which takes microseconds.
const STALE_AGE: Duration = Duration::from_secs(60);
const PREFIX: &str = "part-";

/// A file being written. Dropped unpublished, it is gone.
#[derive(Debug)]
pub(crate) struct Staged {
    file: NamedTempFile,
}

impl Staged {
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let tmp = root.join(TMP);
        let file = match temporary_in(&tmp) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_folders(&tmp)?;
                temporary_in(&tmp)?
            }
            other => other?,
        };
        Ok(Self { file })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its name, unless the name is taken: then `false`.
    pub(crate) fn publish_new(self, to: &Path) -> io::Result<bool> {
        self.file.as_file().sync_all()?;
        let mut file = self.file;
        let mut made_parent = false;
        loop {
            match file.persist_noclobber(to) {
                Ok(_) => {
                    sync_parent(to)?;
                    return Ok(true);
                }
                Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                    // Another process may have died between its rename and its sync of the folder.
                    sync_parent(to)?;
                    return Ok(false);
                }
                // Asking first whether the folder is missing would race with another writer who makes it meanwhile.
                Err(failed) if failed.error.kind() == io::ErrorKind::NotFound && !made_parent => {
                    create_parent(to)?;
                    made_parent = true;
                    file = failed.file;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// Gives the file its name, in place of any that has it.
    pub(crate) fn publish(self, to: &Path) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.publish_unsynced(to)?;
        sync_parent(to)
    }

    /// The same for what may be lost in a crash of the machine, though not seen in part by another process.
    pub(crate) fn publish_unsynced(self, to: &Path) -> io::Result<()> {
        let mut file = self.file;
        let mut made_parent = false;
        loop {
            match file.persist(to) {
                Ok(_) => return Ok(()),
                // Asking first whether the folder is missing would race with another writer who makes it meanwhile.
                Err(failed) if failed.error.kind() == io::ErrorKind::NotFound && !made_parent => {
                    create_parent(to)?;
                    made_parent = true;
                    file = failed.file;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }
}

/// A file that `remove_stale` removes once the process is dead.
pub(crate) fn temporary_in(tmp: &Path) -> io::Result<NamedTempFile> {
    let file = builder().tempfile_in(tmp)?;
    // Tells a cleaner that we live. A file system without locks only loses that protection for young files.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Writes `bytes` to the file `to` in place of what it held.
pub(crate) fn replace(root: &Path, to: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut staged = Staged::new(root)?;
    staged.file().write_all(bytes)?;
    staged.publish(to)
}

/// Removes the unfinished files of processes that are dead. Failures wait for the next time.
pub(crate) fn remove_stale(root: &Path) {
    let tmp = root.join(TMP);
    let Ok(entries) = fs::read_dir(&tmp) else { return };
    let mut parts = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .peekable();
    if parts.peek().is_none() {
        return;
    }
    // The file system's own clock, which is the one that its times are of.
    let Some(now) = builder()
        .tempfile_in(&tmp)
        .ok()
        .and_then(|probe| probe.as_file().metadata().ok()?.modified().ok())
    else {
        return;
    };
    for part in parts {
        let age = part
            .metadata()
            .and_then(|meta| meta.modified())
            .map(|then| now.duration_since(then));
        if matches!(age, Ok(Ok(age)) if age >= STALE_AGE) && is_abandoned(&part.path()) {
            let _ = fs::remove_file(part.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    // The umask decides who may read, as for any other file; the default would be the owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn create_parent(to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), create_folders)
}

/// Makes a folder and those above it, and syncs each folder that got a new name in it.
pub(crate) fn create_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(PathBuf::from)
        .collect();
    fs::create_dir_all(folder)?;
    missing.iter().try_for_each(|made| sync_parent(made))
}

/// Makes the names in the folder that holds `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
