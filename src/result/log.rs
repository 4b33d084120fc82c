//! log.gz: autopkgtest's log. A test can write gigabytes; of these, the beginning and the end are kept.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::bundle_input::BundleInput;
use super::redact::Redactor;
use super::sources::open_regular;

/// Maximum size of the published beginning of a long log, in bytes before compression. It is cut after the last line
/// that ends there.
pub const MAX_LOG_HEAD: u64 = 32 << 20;
/// Maximum size of the published end of a long log, in bytes before compression. It is cut before the first line that
/// begins there.
///
/// A log of at most [`MAX_LOG_HEAD`] and this together is published whole. The middle of a longer one is never read: a
/// process that follows a growing log may free its disk space.
pub const MAX_LOG_TAIL: u64 = 96 << 20;

/// Maximum distance between a cut and the end of a line, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Sizes of the written log, in bytes before compression.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LogSize {
    pub(super) bytes: u64,
    /// Number of bytes of autopkgtest's own log that are missing in the middle.
    pub(super) left_out: u64,
}

/// Writes the log, compressed, and the note of `material` below it. Errors come only from writing: a read error is
/// noted in the log.
pub(super) fn write(
    material: &BundleInput<'_>,
    redactor: &Redactor,
    keep: (u64, u64),
    file: &mut impl Write,
) -> io::Result<LogSize> {
    let mut log =
        Log { gzip: GzEncoder::new(file, Compression::new(6)), redactor, written: LogSize::default(), last: None };
    match open_regular(&material.output.join("log")) {
        Ok((mut file, metadata)) => {
            if let Err(fault) = log.copy(&mut file, metadata.len(), keep)? {
                log.line("")?;
                log.line(&format!("The rest of the log cannot be read: {fault}."))?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if material.note.is_none() {
                log.line(&format!("autopkgtest wrote no log; its exit code is {}.", material.exit_code))?;
            }
        }
        Err(error) => log.line(&format!("autopkgtest's log cannot be read: {error}."))?,
    }
    if let Some(note) = material.note {
        log.line(&redactor.text(note))?;
    }
    log.gzip.finish()?;
    Ok(log.written)
}

struct Log<'r, W: Write> {
    gzip: GzEncoder<W>,
    redactor: &'r Redactor,
    written: LogSize,
    /// The last byte written.
    last: Option<u8>,
}

/// The inner result is that of reading, the outer one that of writing.
type CopyResult = io::Result<io::Result<()>>;

impl<W: Write> Log<'_, W> {
    /// Copies a file of this size, without the middle when it is too long. Later additions are ignored.
    fn copy(&mut self, file: &mut File, size: u64, (head, tail): (u64, u64)) -> CopyResult {
        if size <= head.saturating_add(tail) {
            return self.part(file, 0, size, 0, size);
        }
        let kept = match self.cut_before(file, head).and_then(|end| Ok((end, self.cut_after(file, size - tail, size)?)))
        {
            Ok(kept) => kept,
            Err(fault) => return Ok(Err(fault)),
        };
        let (head_end, tail_start) = kept;
        if let Err(fault) = self.part(file, 0, head, 0, head_end)? {
            return Ok(Err(fault));
        }
        if self.last.is_some_and(|byte| byte != b'\n') {
            self.line("")?;
        }
        self.written.left_out = tail_start.saturating_sub(head_end);
        let left_out = self.written.left_out;
        self.line(&format!("[... {left_out} bytes of the log, which has {size}, are left out here ...]"))?;
        self.part(file, size - tail, size, tail_start, size)
    }

    /// Returns where to cut a beginning of `head` bytes: after a line if possible. In the middle of a line, the cut is
    /// so early that a secret cannot be cut: every secret that begins before the cut is completely among the bytes that
    /// are read.
    fn cut_before(&self, file: &mut File, head: u64) -> io::Result<u64> {
        let start = head.saturating_sub(MAX_LINE_BYTES);
        let window = window(file, start, head)?;
        Ok(match window.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => start + at as u64 + 1,
            None => head.saturating_sub(self.redactor.longest() as u64),
        })
    }

    /// Returns where to cut an end that begins at `start`: before a line if possible, or else after every secret that
    /// began earlier.
    fn cut_after(&self, file: &mut File, start: u64, size: u64) -> io::Result<u64> {
        let window = window(file, start, size.min(start + MAX_LINE_BYTES))?;
        Ok(match window.iter().position(|byte| *byte == b'\n') {
            Some(at) => start + at as u64 + 1,
            None => size.min(start + self.redactor.longest() as u64),
        })
    }

    /// Reads the file from `start` to `end`, and copies the part between `from` and `to`, redacted.
    fn part(&mut self, file: &mut File, start: u64, end: u64, from: u64, to: u64) -> CopyResult {
        if let Err(fault) = file.seek(SeekFrom::Start(start)) {
            return Ok(Err(fault));
        }
        let mut source = self.redactor.read(file.take(end - start));
        let mut skip = from - start;
        let mut left = to.saturating_sub(from);
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let most = buffer.len() as u64;
            let wanted = if skip > 0 { skip.min(most) } else { left.min(most) };
            let space = buffer.get_mut(..usize::try_from(wanted).unwrap_or(usize::MAX)).unwrap_or_default();
            let count = match source.read(space) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Ok(Err(fault)),
            };
            let read = buffer.get(..count).unwrap_or_default();
            if skip > 0 {
                skip -= read.len() as u64;
            } else {
                left -= read.len() as u64;
                self.gzip.write_all(read)?;
                self.written.bytes += read.len() as u64;
                self.last = read.last().copied().or(self.last);
            }
        }
        Ok(Ok(()))
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.gzip, "{text}")?;
        self.written.bytes += text.len() as u64 + 1;
        self.last = Some(b'\n');
        Ok(())
    }
}

fn window(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut window = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut window)?;
    Ok(window)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;
    use crate::request::Request;

    const REQUEST: &str = r#"gzip {"ppas": ["u:hunter2secret@o/n"]}"#;

    fn written(prepare: impl FnOnce(&std::path::Path), keep: (u64, u64)) -> (String, LogSize) {
        let folder = tempfile::tempdir().unwrap();
        prepare(&folder.path().join("log"));
        let request = Request::parse(REQUEST.as_bytes()).unwrap();
        let material = BundleInput::new(folder.path(), &request, 4, Duration::ZERO);
        let mut compressed = Vec::new();
        let written = write(&material, &Redactor::new(&request, &[]), keep, &mut compressed).unwrap();
        let mut text = String::new();
        GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, written.bytes);
        (text, written)
    }

    #[test]
    fn of_a_log_of_gigabytes_the_beginning_and_the_end_are_kept() {
        let (size, head, tail) = (5 << 30, 1 << 20, 3 << 20);
        let (text, written) = written(
            |path| {
                let file = File::create(path).unwrap();
                file.set_len(size).unwrap();
                // Lines at the beginning and the end, and a hole in the middle, as after its space was freed.
                let lines: String = (0..500_000).map(|number| format!("line {number}\n")).collect();
                let lines = lines.as_bytes();
                file.write_all_at(&lines[..1 << 20], 0).unwrap();
                file.write_all_at(&lines[lines.len() - (3 << 20)..], size - tail).unwrap();
            },
            (head, tail),
        );
        let (first, rest) = text.split_once("[... ").unwrap();
        assert!(first.starts_with("line 0\nline 1\n") && first.ends_with('\n'));
        let (left_out, last) =
            rest.split_once(" bytes of the log, which has 5368709120, are left out here ...]\n").unwrap();
        assert_eq!(left_out.parse(), Ok(written.left_out));
        assert!(last.starts_with("line ") && last.ends_with("\nline 499999\n"));
        let kept = size - written.left_out;
        assert!(kept <= head + tail && kept > head + tail - 100, "{kept}");
        assert_eq!((first.len() + last.len()) as u64, kept);
        assert!(!text.contains('\0'), "the middle is not read");
    }

    #[test]
    fn a_log_that_just_fits_is_whole() {
        let whole = "0123\n".repeat(6);
        let (text, written) = written(|path| fs::write(path, &whole).unwrap(), (10, 20));
        assert_eq!((text, written.left_out), (whole, 0));
    }

    proptest! {
        #[test]
        fn no_cut_shows_a_part_of_a_secret(head in 0u64..300, tail in 0u64..300,
                lines in prop::collection::vec("[ab]{0,20}(hunter2secret)?[ab]{0,20}\n?", 0..40)) {
            let whole = lines.concat();
            let (text, written) = written(|path| fs::write(path, &whole).unwrap(), (head, tail));
            let clean = whole.replace("hunter2secret", "*************");
            if whole.len() as u64 <= head + tail {
                prop_assert_eq!(text, clean);
            } else {
                let (first, last) = text.split_once("[... ").unwrap();
                let last = last.split_once("...]\n").unwrap().1;
                prop_assert!(clean.starts_with(first) || clean.starts_with(first.trim_end_matches('\n')));
                prop_assert!(clean.ends_with(last));
                prop_assert!(last.len() as u64 <= tail && first.len() as u64 <= head + 1);
                let shown = whole.len() as u64 - written.left_out;
                prop_assert!(shown <= (first.len() + last.len()) as u64);
                prop_assert!(!text.contains("hunter") && !text.contains("secret"));
            }
        }
    }
}
