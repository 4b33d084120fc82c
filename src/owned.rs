//! A database of this user alone, with which one process at a time works.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the name of a damaged copy has after the file's own, before the time.
const DAMAGED: &str = ".damaged-";
/// Maximum number of damaged copies that are kept.
const KEPT_COPIES: usize = 3;

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

/// Whether an error says that the file itself is damaged, or is no database at all.
pub(crate) fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Puts a damaged database out of the way, with what SQLite keeps beside it, and makes an empty one in its place. Gives the name under which
/// the damaged one can be looked at. Only the holder of the lock may do that, with no connection to the file left open.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |path: &Path, suffix: &str| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    };
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let aside = beside(path, &format!("{DAMAGED}{time}"));
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    private(path)?;
    forget_oldest(path);
    Ok(aside)
}

/// Of damaged copies, as many are kept as anybody looks at. What cannot be removed stays.
fn forget_oldest(path: &Path) {
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
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.join(format!("{name}{suffix}")));
        }
    }
}

/// Makes the file for its owner alone, unless it is there.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
