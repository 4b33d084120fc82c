//! A test's log while it is written: its beginning and its end, for those who watch.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;

/// How many lines of the log's beginning are shown; they tell what is run and where.
const HEAD_LINES: usize = 5;
/// How long the beginning may be, in bytes, when its lines are long.
const HEAD_LIMIT: u64 = 2000;
/// How much of the log's end is shown, in bytes.
const TAIL_BYTES: u64 = 2000;
/// Stands for what is left out between them.
const DIVIDER: &str = "[...]\n";

/// A log that grows. Looking at it reads a few kilobytes, however long it is.
#[derive(Debug)]
pub struct LiveLog {
    path: PathBuf,
    /// The first lines, once they are all there.
    head: Option<Vec<u8>>,
}

impl LiveLog {
    /// A log that may not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), head: None }
    }

    /// The first five lines, a divider, and the last 2000 bytes from a line's start; the whole log while it is that short, and
    /// nothing before it exists.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn tail(&mut self) -> io::Result<String> {
        // A test may put anything there: a link to a file that is nobody's business, or a pipe that never answers.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let mut file = match File::options().read(true).custom_flags(flags.bits()).open(&self.path) {
            Ok(file) if file.metadata()?.is_file() => file,
            Ok(_) => return Ok(String::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        // A file that became shorter is a new one.
        if self.head.as_ref().is_none_or(|head| head.len() as u64 > size) {
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
        Ok(text)
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
mod tests {
    use std::fs;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_watches_sees_the_beginning_and_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LiveLog::new(&path);
        assert_eq!(log.tail().unwrap(), "", "before autopkgtest has made it");

        let mut file = File::create(&path).unwrap();
        file.write_all(b"line 1\nline 2 with half a \xc3").unwrap();
        assert_eq!(log.tail().unwrap(), "line 1\nline 2 with half a ");
        file.write_all(b"\xa4\n").unwrap();
        assert_eq!(log.tail().unwrap(), "line 1\nline 2 with half a ä\n");

        for number in 3..=1000 {
            writeln!(file, "line {number}").unwrap();
        }
        let text = log.tail().unwrap();
        let (head, tail) = text.split_once(DIVIDER).unwrap();
        assert_eq!(head, "line 1\nline 2 with half a ä\nline 3\nline 4\nline 5\n");
        let whole = fs::read_to_string(&path).unwrap();
        assert!(whole.ends_with(tail) && tail.ends_with("line 1000\n"));
        assert!(tail.starts_with("line ") && (1990..=2000).contains(&tail.len()), "{} bytes", tail.len());
    }

    #[test]
    fn what_is_no_log_is_not_shown_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "hunter2\n").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert!(!LiveLog::new(&link).tail().unwrap_or_default().contains("hunter2"));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(LiveLog::new(&pipe).tail().unwrap(), "");
    }

    #[test]
    fn nothing_is_left_out_of_a_short_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let whole: String = (0..100).map(|number| format!("line {number}\n")).collect();
        fs::write(&path, &whole).unwrap();
        assert_eq!(LiveLog::new(&path).tail().unwrap(), whole);
    }

    #[test]
    fn endless_lines_are_cut_between_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "ä€".repeat(10_000)).unwrap();
        let text = LiveLog::new(&path).tail().unwrap();
        assert!(text.len() < 4100, "{} bytes", text.len());
        assert!(!text.contains(char::REPLACEMENT_CHARACTER), "{text}");
        assert!(text.contains("\n[...]\n"), "{text}");
    }

    #[test]
    fn a_log_that_begins_anew_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LiveLog::new(&path);
        fs::write(&path, "old\n".repeat(10)).unwrap();
        log.tail().unwrap();
        fs::write(&path, "new\n").unwrap();
        assert_eq!(log.tail().unwrap(), "new\n");
    }

    proptest! {
        #[test]
        fn any_text_is_shown_with_its_end(text in "([a-zäß€😀 ]{0,300}\n?){0,16}", cut in 0usize..4000) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut log = LiveLog::new(&path);
            // Written up to any byte, also in the middle of a character, and then to the end.
            fs::write(&path, text.as_bytes().get(..cut).unwrap_or(text.as_bytes())).unwrap();
            let early = log.tail().unwrap();
            prop_assert!(!early.contains(char::REPLACEMENT_CHARACTER));
            fs::write(&path, &text).unwrap();
            let late = log.tail().unwrap();
            prop_assert!(!late.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(late.len() <= 4010);
            let end = late.rsplit_once(DIVIDER).map_or(late.as_str(), |(_, end)| end);
            prop_assert!(text.ends_with(end));
        }
    }
}
