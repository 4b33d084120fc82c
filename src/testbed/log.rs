//! A test's log while it is written: its beginning and its end, for those who watch; the tests that begin in it; and its size on the
//! disk, which is bounded.

mod middle;
mod starts;

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::OFlag;

pub use self::middle::LogBound;
use self::starts::Starts;

/// How many lines of the log's beginning are shown; they tell what is run and where.
const HEAD_LINES: usize = 5;
/// How long the beginning may be, in bytes, when its lines are long.
const HEAD_LIMIT: u64 = 2000;
/// How much of the log's end is shown, in bytes.
const TAIL_BYTES: u64 = 2000;
/// Stands for what is left out between them.
const DIVIDER: &str = "[...]\n";

/// How much of what is new is read at one look, in bytes: as much as takes a few hundredths of a second.
const LOOK_LIMIT: u64 = 32 << 20;

/// A log that grows. Looking at it reads what is new, and a few kilobytes of its beginning and end, however long it is.
#[derive(Debug)]
pub struct LiveLog {
    path: PathBuf,
    /// The first lines, once they are all there.
    head: Option<Vec<u8>>,
    /// The file's inode: another one is another log.
    inode: u64,
    /// How far it has been read for the tests that begin in it.
    read: u64,
    starts: Starts,
    last_line: String,
    /// Up to where its middle has been given back to the file system.
    given_back: u64,
}

impl LiveLog {
    /// A log that may not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            head: None,
            inode: 0,
            read: 0,
            starts: Starts::default(),
            last_line: String::new(),
            given_back: 0,
        }
    }

    /// The first five lines, a divider, and the last 2000 bytes from a line's start; the whole log while it is that short, and
    /// nothing before it exists.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn tail(&mut self) -> io::Result<String> {
        let Some((mut file, size)) = self.open(false)? else { return Ok(String::new()) };
        if self.head.is_none() {
            self.head = read_head(&mut file)?;
        }
        // While the first lines are not all there, the log is short and all of it is its end.
        let head = self.head.as_deref().unwrap_or_default();
        let head_end = head.len() as u64;
        let start = size.saturating_sub(TAIL_BYTES).max(head_end);
        // One byte more tells whether the first line is whole.
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
            // It is shown on terminals and in tables.
            self.last_line = line.replace(char::is_control, " ").trim().to_owned();
        }
        Ok(text)
    }

    /// Reads what is new since the last look, in search of tests that begin. A log that grows by more than 32 MiB between two looks is
    /// caught up with at the next ones.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn look(&mut self) -> io::Result<()> {
        let Some((mut file, size)) = self.open(false)? else { return Ok(()) };
        if self.read < size {
            file.seek(SeekFrom::Start(self.read))?;
            let mut new = file.take(LOOK_LIMIT.min(size - self.read));
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

    /// How many tests have begun, as far as [`LiveLog::look`] has read: autopkgtest announces each.
    pub fn tests_begun(&self) -> u32 {
        self.starts.count()
    }

    /// The last line that is not empty, as of the last [`LiveLog::tail`], without control characters.
    pub fn last_line(&self) -> &str {
        &self.last_line
    }

    /// Opens the log, and tells its size; none while it is not there, or when it is no file.
    fn open(&mut self, write: bool) -> io::Result<Option<(File, u64)>> {
        // A test may put anything there: a link to a file that is nobody's business, or a pipe that never answers.
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

    /// Begins anew when the file is another one, or became shorter.
    fn forget_another(&mut self, metadata: &Metadata) {
        let known = self.read.max(self.head.as_ref().map_or(0, |head| head.len() as u64));
        if metadata.ino() != self.inode || metadata.len() < known {
            self.inode = metadata.ino();
            self.head = None;
            self.read = 0;
            self.starts = Starts::default();
            self.given_back = 0;
        }
    }
}

/// The first lines, cut if they are long; none while they are not all there.
fn read_head(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    file.take(HEAD_LIMIT).read_to_end(&mut head)?;
    let mut ends = head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = match ends.clone().nth(HEAD_LINES - 1) {
        Some(end) => end,
        // Whole lines if there are any, else what is there of the first, up to a whole character.
        None if head.len() as u64 == HEAD_LIMIT => {
            ends.next_back().unwrap_or_else(|| without_half_character(&head).len())
        }
        None => return Ok(None),
    };
    head.truncate(end);
    Ok(Some(head))
}

/// What follows the first line break, or all of it from a whole character on when there is none.
fn from_line_start(mut bytes: Vec<u8>) -> Vec<u8> {
    let start = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) if at + 1 < bytes.len() => at + 1,
        _ => 1 + bytes.iter().skip(1).take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count(),
    };
    bytes.drain(..start.min(bytes.len()));
    bytes
}

/// The bytes without a character at their end of which only the beginning is there: the rest is still to be written.
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
