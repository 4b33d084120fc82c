//! A database of this user alone, with which one process at a time works.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sqlite;

/// Part of a damaged copy's name between the database's name and the time.
const DAMAGED: &str = ".damaged-";
/// Maximum number of damaged copies that are kept.
const KEPT_COPIES: usize = 3;
/// Endings of the files that belong to a database: its own, and those that SQLite keeps beside it.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Creates the database and its folder for this user alone, unless they exist, and keeps other processes out as long as
/// the returned lock is open. `None` when another process has it.
pub(crate) fn claim(path: &Path) -> io::Result<Option<File>> {
    let folder = path.parent().ok_or_else(|| io::Error::other("it is no path of a file"))?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let lock = path.with_extension("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    sqlite::create(path)?;
    Ok(Some(lock))
}

/// Moves a damaged database out of the way, and creates an empty one in its place. Returns the new path of the damaged
/// one. Only the holder of the lock may do this, with no connection to the database left open.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let aside = beside(path, &format!("{DAMAGED}{time}"));
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sqlite::create(path)?;
    remove_oldest_copies(path);
    Ok(aside)
}

/// Replaces a database that is no longer needed by an empty one. Only the holder of the lock may do this, with no
/// connection to the database left open.
pub(crate) fn replace(path: &Path) -> io::Result<()> {
    for suffix in SUFFIXES {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sqlite::create(path)
}

/// Removes the oldest damaged copies, if there are too many. A copy that cannot be removed stays.
fn remove_oldest_copies(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!("{}{DAMAGED}", name.to_string_lossy());
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut copies: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(&prefix) && name.ends_with('Z'))
        .collect();
    copies.sort();
    let too_many = copies.len().saturating_sub(KEPT_COPIES);
    for name in copies.iter().take(too_many) {
        for suffix in SUFFIXES {
            let _ = fs::remove_file(folder.join(format!("{name}{suffix}")));
        }
    }
}

/// Returns the path with something appended to its last part.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
