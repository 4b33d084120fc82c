//! Readers for the files that a test left. A test may leave anything under any name, so that nothing here follows a
//! symbolic link, waits for a pipe, or trusts a size.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a regular file. Anything else is an error.
pub(super) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Returns a regular file's text, unless it is longer than `limit` bytes.
pub(super) fn read_text(path: &Path, limit: u64) -> Option<String> {
    let (file, _) = open_regular(path).ok()?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > limit {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reader that returns exactly the number of bytes in an archive member's header, which cannot be changed afterwards.
/// When the file is shorter, or cannot be read to its end, the rest is zeros and the reason is kept.
pub(super) struct ExactReader {
    file: File,
    left: u64,
    fault: Option<String>,
}

impl ExactReader {
    pub(super) fn new(file: File, size: u64) -> Self {
        Self { file, left: size, fault: None }
    }

    /// Returns why some of the bytes are zeros instead of the file's own.
    pub(super) fn into_fault(self) -> Option<String> {
        self.fault
    }
}

impl Read for ExactReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.fault.is_none() {
            match self.file.read(buffer) {
                Ok(0) => self.fault = Some(format!("became shorter by {} bytes, which are zeros here", self.left)),
                Ok(count) => {
                    self.left = self.left.saturating_sub(count as u64);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => self.fault = Some(format!("the last {} bytes are zeros here: {error}", self.left)),
            }
        }
        buffer.fill(0);
        self.left = self.left.saturating_sub(buffer.len() as u64);
        Ok(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_somebody_elses_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("log");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(open_regular(&link).is_err());
        assert_eq!(read_text(&link, 1000), None);
    }

    #[test]
    fn a_file_that_shrinks_is_filled_up_with_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shrinks");
        std::fs::write(&path, "four").unwrap();
        let mut promised = ExactReader::new(File::open(&path).unwrap(), 6);
        let mut bytes = Vec::new();
        promised.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"four\0\0");
        assert_eq!(promised.into_fault().as_deref(), Some("became shorter by 2 bytes, which are zeros here"));
    }
}
