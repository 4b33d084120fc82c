//! Files with secrets. They are written atomically, and never through a symbolic link, which a commit could direct
//! anywhere. Unencrypted ones are readable only by their owner.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::CredentialsError;
use crate::site::error::shell_word;

/// Maximum size of a file, in bytes: a secret that is encrypted to a few hundred keys.
const MAX_SIZE: u64 = 1 << 20;
/// Prefix of the names of unfinished files.
const UNFINISHED_PREFIX: &str = ".new-";

fn fault(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Refuses a path with a symbolic link below the site's folder.
pub(super) fn check_links(root: &Path, path: &Path) -> Result<(), CredentialsError> {
    for place in path.ancestors().take_while(|place| *place != root) {
        match fs::symlink_metadata(place) {
            Ok(metadata) if metadata.is_symlink() => return Err(CredentialsError::Link(place.to_owned())),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(fault(place, &error)),
        }
    }
    Ok(())
}

/// Returns a file's text; `None` when it does not exist.
pub(super) fn read(root: &Path, path: &Path) -> Result<Option<String>, CredentialsError> {
    check_links(root, path)?;
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(path, &error)),
    };
    let mut text = String::new();
    let read = file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(|error| fault(path, &error))?;
    if read as u64 > MAX_SIZE {
        return Err(fault(path, &io::Error::other("it is longer than 1 MiB")));
    }
    Ok(Some(text))
}

/// Returns the files of the entries in a folder, sorted by name.
pub(super) fn below(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, CredentialsError> {
    check_links(root, folder)?;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Unencrypted secrets of another user are unreadable, as they should be.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fault(folder, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fault(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Creates the folder for unencrypted secrets, which git ignores.
pub(super) fn make_closed(root: &Path, folder: &Path) -> Result<(), CredentialsError> {
    check_links(root, folder)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| fault(folder, &error))?;
    // Always written, because a commit may have emptied it.
    write(root, &folder.join(".gitignore"), "*\n", 0o600)?;
    check_closed(folder)
}

/// Refuses a folder with unencrypted secrets that other users can read.
pub(super) fn check_closed(folder: &Path) -> Result<(), CredentialsError> {
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => return Err(CredentialsError::Link(path)),
            Ok(metadata) => metadata,
            // The folder of another user is unreadable, as it should be.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => continue,
            Err(error) => return Err(fault(&path, &error)),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            let hint = format!("chmod -R go= {}", shell_word(folder));
            return Err(CredentialsError::Open { path, hint });
        }
        if metadata.is_dir() {
            let entries = match fs::read_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
                other => other.map_err(|error| fault(&path, &error))?,
            };
            for entry in entries {
                paths.push(entry.map_err(|error| fault(&path, &error))?.path());
            }
        }
    }
    Ok(())
}

/// Waits until no other process changes the site's credentials. The lock is held while the returned file is open.
pub(super) fn lock(root: &Path) -> Result<fs::File, CredentialsError> {
    let folder = fs::File::open(root).map_err(|error| fault(root, &error))?;
    folder.lock().map_err(|error| fault(root, &error))?;
    Ok(folder)
}

/// Removes unfinished files of processes that have died.
pub(super) fn sweep(root: &Path, folder: &Path, kinds: &[&str]) -> Result<(), CredentialsError> {
    for folder in std::iter::once(folder.to_owned()).chain(kinds.iter().map(|kind| folder.join(kind))) {
        check_links(root, &folder)?;
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED_PREFIX) {
                remove(root, &entry.path())?;
            }
        }
    }
    Ok(())
}

/// Writes a file atomically.
pub(super) fn write(root: &Path, path: &Path, text: &str, mode: u32) -> Result<(), CredentialsError> {
    check_links(root, path)?;
    let failed = |error: io::Error| fault(path, &error);
    let folder = path.parent().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let folder_mode = if mode & 0o077 == 0 { 0o700 } else { 0o755 };
    DirBuilder::new().recursive(true).mode(folder_mode).create(folder).map_err(failed)?;
    let aside = folder.join(format!("{UNFINISHED_PREFIX}{}", std::process::id()));
    let written = (|| {
        let flags = nix::libc::O_NOFOLLOW;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).custom_flags(flags).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&aside);
        failed(error)
    })
}

pub(super) fn remove(root: &Path, path: &Path) -> Result<(), CredentialsError> {
    check_links(root, path)?;
    fs::remove_file(path).map_err(|error| fault(path, &error))
}
