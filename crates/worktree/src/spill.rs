//! `SpillFolder`: where one process puts what does not fit into its memory, inside `.drumlin/spill`.
//! A process that is killed leaves its folder behind; whoever makes the next one removes it.
//! Invariant: a folder is removed only when the process that made it is done with it or dead.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Held locked by whoever makes or removes folders, so that none is seen between its creation and its lock.
const GATE: &str = "gate";
/// The file inside a folder that its process holds locked.
const HELD: &str = "held";

/// Gone with this value.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    folder: PathBuf,
    held: File,
}

impl SpillFolder {
    /// Makes a folder inside `all`, and removes those of dead processes.
    pub fn new(all: &Path) -> Result<SpillFolder> {
        fs::create_dir_all(all).map_err(Error::io("create", all))?;
        let gate_path = all.join(GATE);
        let gate = File::create(&gate_path).map_err(Error::io("open", &gate_path))?;
        gate.lock().map_err(Error::io("lock", &gate_path))?;
        let made = remove_abandoned(all).and_then(|()| SpillFolder::make(all));
        // Closing it would do as well, unless a child was forked this moment.
        let _ = gate.unlock();
        made
    }

    fn make(all: &Path) -> Result<SpillFolder> {
        let folder = all.join(format!("{}-{:08x}", std::process::id(), rand::random::<u32>()));
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        let path = folder.join(HELD);
        let held = File::create(&path).map_err(Error::io("create", &path))?;
        held.lock().map_err(Error::io("lock", &path))?;
        Ok(SpillFolder { folder, held })
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        // What cannot be removed now, the next process removes.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = self.held.unlock();
    }
}

fn remove_abandoned(all: &Path) -> Result<()> {
    for left in fs::read_dir(all).map_err(Error::io("read", all))? {
        let left = left.map_err(Error::io("read", all))?.path();
        // Without its file it was left before it was locked: whoever makes one holds the gate.
        let is_held = File::open(left.join(HELD)).is_ok_and(|file| file.try_lock().is_err());
        if left.is_dir() && !is_held {
            // Another process may end, and remove its own, at the same time.
            let _ = fs::remove_dir_all(&left);
        }
    }
    Ok(())
}
