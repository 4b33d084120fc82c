//! A database of this user alone, with which one process at a time works.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes the file and its folder, for nobody else to read, unless they are there, and keeps other processes out as long as the returned
/// lock is open. `None` when another one has it.
pub(crate) fn claim(path: &Path) -> io::Result<Option<File>> {
    let folder = path.parent().ok_or_else(|| io::Error::other("it is no path of a file"))?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let lock = private(&path.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // SQLite would make it with the rights that the process's mask leaves.
    private(path)?;
    Ok(Some(lock))
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
