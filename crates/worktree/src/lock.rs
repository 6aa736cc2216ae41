//! `WorkLock`: one process at a time changes a working copy.
//! The operating system drops the lock with its holder, so a killed process leaves nothing to clean up.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::{Error, Result};

/// The longest note of a holder that is read back, in bytes.
const NOTE_LEN_MAX: u64 = 200;

/// Held for as long as this value lives.
#[derive(Debug)]
pub(crate) struct WorkLock {
    file: File,
}

impl WorkLock {
    /// Takes the lock for `verb`, or says who has it.
    pub fn take(path: &Path, verb: &str) -> Result<WorkLock> {
        let io = |verb| Error::io(verb, path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        // The note is for people alone: the lock does not depend on it, so a torn one harms nothing.
        let note = format!("drumlin {verb} (process {})", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(io("write"))?;
        Ok(WorkLock { file })
    }
}

impl Drop for WorkLock {
    fn drop(&mut self) {
        // Closing the file would not do: a child that this process just forked holds it too, until it runs its program.
        // If unlocking fails, closing is what is left, and it happens in any case.
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut note = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(NOTE_LEN_MAX).read_to_string(&mut note));
    if read.is_ok() && !note.is_empty() {
        note
    } else {
        "another process".to_owned()
    }
}
