//! Log of a test while it is written: its beginning and end for viewers, the tests that begin in it, and its bounded
//! size on disk.

mod log_bound;
mod test_counter;

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::OFlag;

pub use self::log_bound::LogBound;
use self::test_counter::TestCounter;

/// Number of lines of the log's beginning that are shown; they tell what is run and where.
const HEAD_LINES: usize = 5;
/// Maximum size of the beginning, in bytes.
const MAX_HEAD_BYTES: u64 = 2000;
/// Size of the log's end that is shown, in bytes.
const TAIL_BYTES: u64 = 2000;
/// Text in place of what is left out between them.
const DIVIDER: &str = "[...]\n";

/// Maximum size of the new part that is read at once, in bytes: it takes a few hundredths of a second.
const MAX_READ_BYTES: u64 = 32 << 20;

/// A growing log. Reading it takes only the new part, and a few kilobytes of its beginning and end, however long it is.
#[derive(Debug)]
pub struct LiveLog {
    path: PathBuf,
    /// First lines, once they are complete.
    head: Option<Vec<u8>>,
    /// Inode of the file, which tells it from another log.
    inode: u64,
    /// Size of the part in which tests were searched for.
    read: u64,
    starts: TestCounter,
    last_line: String,
    /// End of the middle that was given back to the file system.
    given_back: u64,
}

impl LiveLog {
    /// Creates a reader of a log that may not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            head: None,
            inode: 0,
            read: 0,
            starts: TestCounter::default(),
            last_line: String::new(),
            given_back: 0,
        }
    }

    /// Returns the first five lines, a divider, and the last 2000 bytes from the start of a line. A log that is that
    /// short is returned completely; one that does not exist is empty.
    ///
    /// # Errors
    /// Fails when the file exists and cannot be read.
    pub fn tail(&mut self) -> io::Result<String> {
        let Some((mut file, size)) = self.open(false)? else { return Ok(String::new()) };
        if self.head.is_none() {
            self.head = read_head(&mut file)?;
        }
        // While the first lines are incomplete, the log is short and all of it is its end.
        let head = self.head.as_deref().unwrap_or_default();
        let head_end = head.len() as u64;
        let start = size.saturating_sub(TAIL_BYTES).max(head_end);
        // The byte before tells whether the first line is complete.
        let from = if start > head_end { start - 1 } else { start };
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(size.saturating_sub(from)).read_to_end(&mut tail)?;
        let mut text = String::from_utf8_lossy(head).into_owned();
        if start > head_end {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(DIVIDER);
            tail = from_line_start(tail);
        }
        text.push_str(&String::from_utf8_lossy(without_half_character(&tail)));
        if let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) {
            // The line is shown on terminals and in tables.
            self.last_line = line.replace(char::is_control, " ").trim().to_owned();
        }
        Ok(text)
    }

    /// Reads what was added since the last call, in search of tests that begin. A log that grows by more than 32 MiB
    /// between two calls is caught up with by the next ones.
    ///
    /// # Errors
    /// Fails when the file exists and cannot be read.
    pub fn read_new(&mut self) -> io::Result<()> {
        let Some((mut file, size)) = self.open(false)? else { return Ok(()) };
        if self.read < size {
            file.seek(SeekFrom::Start(self.read))?;
            let mut new = file.take(MAX_READ_BYTES.min(size - self.read));
            let mut buffer = vec![0; 1 << 16];
            loop {
                let length = match new.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                self.starts.read(buffer.get(..length).unwrap_or_default());
                self.read += length as u64;
            }
        }
        Ok(())
    }

    /// Returns the number of tests that have begun in the part that [`LiveLog::read_new`] has read: autopkgtest
    /// announces each.
    pub fn tests_begun(&self) -> u32 {
        self.starts.count()
    }

    /// Returns the last line that is not empty, as of the last [`LiveLog::tail`], without control characters.
    pub fn last_line(&self) -> &str {
        &self.last_line
    }

    /// Opens the log. Returns its size as well, or `None` when it does not exist or is not a file.
    fn open(&mut self, write: bool) -> io::Result<Option<(File, u64)>> {
        // A test may have put a link to a private file there, or a pipe that never answers.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = match File::options().read(true).write(write).custom_flags(flags.bits()).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        self.forget_another(&metadata);
        Ok(Some((file, metadata.len())))
    }

    /// Starts again when the file is another one, or has become shorter.
    fn forget_another(&mut self, metadata: &Metadata) {
        let known = self.read.max(self.head.as_ref().map_or(0, |head| head.len() as u64));
        if metadata.ino() != self.inode || metadata.len() < known {
            self.inode = metadata.ino();
            self.head = None;
            self.read = 0;
            self.starts = TestCounter::default();
            self.given_back = 0;
        }
    }
}

/// Reads the first lines, cut if they are long; `None` while they are incomplete.
fn read_head(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    file.take(MAX_HEAD_BYTES).read_to_end(&mut head)?;
    let mut ends = head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = match ends.clone().nth(HEAD_LINES - 1) {
        Some(end) => end,
        // Returns complete lines if there are any, or else the beginning of the first line, up to a complete character.
        None if head.len() as u64 == MAX_HEAD_BYTES => {
            ends.next_back().unwrap_or_else(|| without_half_character(&head).len())
        }
        None => return Ok(None),
    };
    head.truncate(end);
    Ok(Some(head))
}

/// Returns what follows the first line break, or, without one, everything from the first complete character.
fn from_line_start(mut bytes: Vec<u8>) -> Vec<u8> {
    let start = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) if at + 1 < bytes.len() => at + 1,
        _ => 1 + bytes.iter().skip(1).take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count(),
    };
    bytes.drain(..start.min(bytes.len()));
    bytes
}

/// Returns the bytes without an incomplete character at their end, the rest of which is still to be written.
fn without_half_character(bytes: &[u8]) -> &[u8] {
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let Some(byte) = bytes.get(at) else { break };
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => break,
        };
        return if length > back { bytes.get(..at).unwrap_or_default() } else { bytes };
    }
    bytes
}

#[cfg(test)]
mod tests;
