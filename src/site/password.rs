//! The file with the password of the queue's user, which only its owner may be able to read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use super::SiteError;
use super::error::shell_word;

/// Maximum number of bytes that are read. No password is longer.
const MAX_SIZE: u64 = 4096;

/// Reads the password: the file's text without the end of the line. A path inside the site at `root` must not lead out
/// of it through links, because committers could name any private file of this user.
pub(super) fn read(path: &Path, root: Option<&Path>) -> Result<SecretString, SiteError> {
    let refuse = |reason: String, hint: Option<String>| SiteError::PasswordFile { path: path.to_owned(), reason, hint };
    let io = |error: std::io::Error| refuse(format!("cannot read it: {error}"), None);
    if let Some(root) = root.filter(|root| path.starts_with(root)) {
        let (root, real) = (root.canonicalize().map_err(io)?, path.canonicalize().map_err(io)?);
        if !real.starts_with(&root) {
            let hint = "put the file itself into the site, or name its absolute path".to_owned();
            return Err(refuse("is a link that leads out of the site".to_owned(), Some(hint)));
        }
    }
    let file = File::open(path).map_err(io)?;
    // Of the open file, so that the same file is checked and read.
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(refuse("is not a file".to_owned(), None));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let hint = format!("chmod 600 {}", shell_word(path));
        return Err(refuse("can be read by others than its owner".to_owned(), Some(hint)));
    }
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text).map_err(io)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(refuse("contains no password (one line)".to_owned(), None));
    }
    Ok(password.to_owned().into())
}
