//! The folder `slots`, in which every living slot holds a lock on a file of its own.
//!
//! The kernel releases the lock when the process ends, however it ends. So a slot whose file can be locked is dead, and
//! no clock is involved. A slot's id is random and never used again: a dead slot stays dead, and any process may remove
//! its file.
//!
//! A slot's file is created and locked inside the transaction that registers the slot. Files without a registered slot
//! are removed inside another one, so that a file that is not locked *yet* is never taken for that of a dead slot.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

const WAKEUP_FILE: &str = "doorbell";

/// The folder `slots` of a queue.
#[derive(Debug, Clone)]
pub(super) struct SlotFolder {
    path: PathBuf,
}

/// A slot's file, locked as long as this value lives.
#[derive(Debug)]
pub(super) struct SlotLock {
    _file: File,
}

/// The open file `doorbell`. Waiting workers wake up when this value is dropped, or when the process dies before.
#[derive(Debug)]
pub(super) struct WakeupSignal {
    _file: File,
}

impl SlotFolder {
    /// Opens the folder in the queue's folder. It is created if it does not exist.
    pub(super) fn open(queue_folder: &Path) -> io::Result<Self> {
        let path = queue_folder.join("slots");
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for writing, even if nothing is written.
    ///
    /// The kernel reports only the end of such a file to watchers.
    fn open_writable(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600).create_new(name != WAKEUP_FILE).create(true);
        options.open(&path).map_err(|error| at(&path, &error))
    }

    /// Creates and locks the file of a new slot.
    ///
    /// Must be called inside a transaction that excludes [`SlotFolder::files`].
    pub(super) fn lock_new(&self, slot: &str) -> io::Result<SlotLock> {
        let file = self.open_writable(slot)?;
        match file.try_lock() {
            Ok(()) => Ok(SlotLock { _file: file }),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        }
    }

    /// Returns whether the slot's process is alive. If that is unknown, it is: a request must never have two holders.
    pub(super) fn is_alive(&self, slot: &str) -> bool {
        if Uuid::try_parse(slot).is_err() {
            return false;
        }
        let file = match File::open(self.path.join(slot)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                tracing::warn!(slot, %error, "cannot tell whether this slot is alive");
                return true;
            }
        };
        // A shared lock, so that two processes that check at the same time do not take each other for the holder.
        match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => {
                tracing::warn!(slot, %error, "cannot tell whether this slot is alive");
                true
            }
        }
    }

    /// Removes the file of a dead slot.
    pub(super) fn remove(&self, slot: &str) {
        if let Some(queue_folder) = self.path.parent() {
            super::call::forget(queue_folder, slot);
        }
        match std::fs::remove_file(self.path.join(slot)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Nothing depends on it: the next new slot tries again.
            Err(error) => tracing::warn!(slot, %error, "cannot remove the file of a dead slot"),
        }
    }

    /// Returns the ids of all slots that have a file, living or dead.
    pub(super) fn files(&self) -> io::Result<Vec<String>> {
        let mut slots = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(|error| at(&self.path, &error))? {
            if let Ok(name) = entry?.file_name().into_string()
                && Uuid::try_parse(&name).is_ok()
            {
                slots.push(name);
            }
        }
        Ok(slots)
    }

    /// Opens the file `doorbell`, *before* the change that it reports.
    ///
    /// If this process dies right after the change, the kernel closes the file, so that waiting workers wake up.
    pub(super) fn wakeup_signal(&self) -> io::Result<WakeupSignal> {
        Ok(WakeupSignal { _file: self.open_writable(WAKEUP_FILE)? })
    }

    /// Returns whether the end of this file means the end of a slot. The other file is `doorbell`.
    pub(super) fn is_slot_file(name: &str) -> bool {
        name != WAKEUP_FILE
    }
}

/// Adds the path to an error.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_lives_as_long_as_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotFolder::open(folder.path()).unwrap();
        let id = Uuid::new_v4().to_string();
        assert!(!slots.is_alive(&id), "there is no such slot yet");
        let lock = slots.lock_new(&id).unwrap();
        assert!(slots.is_alive(&id));
        assert!(slots.is_alive(&id), "looking does not kill it");
        drop(lock);
        // A process that another test starts at this moment holds a copy of the lock until it has begun.
        let mut tries = 0..3000;
        while slots.is_alive(&id) {
            tries.next().expect("its file is still there, but nobody holds it");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(slots.lock_new(&id).is_err(), "an id is never used twice");
        slots.remove(&id);
        assert!(!slots.is_alive(&id));
    }

    #[test]
    fn a_holder_that_names_a_path_is_no_slot() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotFolder::open(folder.path()).unwrap();
        let outside = File::create(folder.path().join("outside")).unwrap();
        outside.lock().unwrap();
        assert!(!slots.is_alive("../outside"));
    }
}
