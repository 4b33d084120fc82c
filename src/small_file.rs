//! Files of a configuration, which come with a repository: git can commit a link to any device, pipe or large file.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Maximum size, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a text of at most 1 MiB from a regular file, without blocking.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    if file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_small_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("small"), "text").unwrap();
        fs::File::create(path("large")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", path("endless")).unwrap();
        symlink("small", path("link")).unwrap();
        for name in ["small", "link"] {
            assert_eq!(read(&path(name)).unwrap(), "text");
        }
        for (name, reason) in [("large", "longer"), ("pipe", "regular"), ("endless", "regular"), (".", "regular")] {
            assert!(read(&path(name)).unwrap_err().to_string().contains(reason), "{name}");
        }
        assert_eq!(read(&path("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
