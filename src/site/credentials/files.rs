//! Files with secrets: written whole or not at all, and never readable by others when they are in clear.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::CredentialsError;
use crate::site::error::shell_word;

/// How a file is called before it is whole.
const NEW: &str = ".new-";

fn fault(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError::File { path: path.to_owned(), reason: error.to_string() }
}

/// A file's text; `None` when it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(path, &error)),
    }
}

/// The entries' files in a folder, in the order of their names.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, CredentialsError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Another user's secrets in clear are nobody else's.
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

/// Makes the folder of secrets in clear, which git ignores wherever it is.
pub(super) fn make_closed(folder: &Path) -> Result<(), CredentialsError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| fault(folder, &error))?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        write(&ignore, "*\n", 0o600)?;
    }
    check_closed(folder)
}

/// Refuses a folder of secrets in clear into which others can look.
pub(super) fn check_closed(folder: &Path) -> Result<(), CredentialsError> {
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        // Of what a link leads to: a link itself is open to everybody.
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Somebody else's is closed to us, as it should be.
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

/// Waits until no other process changes the site's credentials, and keeps them out as long as the returned file is open.
pub(super) fn lock(root: &Path) -> Result<fs::File, CredentialsError> {
    let folder = fs::File::open(root).map_err(|error| fault(root, &error))?;
    folder.lock().map_err(|error| fault(root, &error))?;
    Ok(folder)
}

/// Removes what processes that died have left half written.
pub(super) fn sweep(folder: &Path, kinds: &[&str]) -> Result<(), CredentialsError> {
    for folder in std::iter::once(folder.to_owned()).chain(kinds.iter().map(|kind| folder.join(kind))) {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(NEW) {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// Writes a file, whole or not at all.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), CredentialsError> {
    let failed = |error: io::Error| fault(path, &error);
    let folder = path.parent().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let folder_mode = if mode & 0o077 == 0 { 0o700 } else { 0o755 };
    DirBuilder::new().recursive(true).mode(folder_mode).create(folder).map_err(failed)?;
    let aside = folder.join(format!("{NEW}{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
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

pub(super) fn remove(path: &Path) -> Result<(), CredentialsError> {
    fs::remove_file(path).map_err(|error| fault(path, &error))
}
