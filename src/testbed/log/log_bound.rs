//! Returns the middle of an endless log to the file system while it grows.

use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::LiveLog;

/// Minimum size of a hole, in bytes.
const MIN_HOLE_BYTES: u64 = 1 << 20;

/// Size of the blocks that file systems can free, in bytes.
const BLOCK_BYTES: u64 = 4096;

/// Bounds of a log on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBound {
    /// Maximum size of a log that is left alone, in bytes.
    pub size: u64,
    /// Size of the beginning of a larger log that is kept, in bytes.
    pub head: u64,
    /// Size of its end that is kept, in bytes.
    pub tail: u64,
}

impl LiveLog {
    /// Frees the middle of a log that is larger than the bound: the file gets a hole there, which takes no space and
    /// reads as zeros. The file keeps its size, and its writer notices nothing. Returns the number of freed bytes.
    ///
    /// Only the part that [`LiveLog::read_new`] has read is freed. On a file system without holes, nothing is.
    ///
    /// # Errors
    /// Fails when the file exists and cannot be opened or changed.
    pub fn give_back_middle(&mut self, bound: &LogBound) -> io::Result<u64> {
        let Some((file, size)) = self.open(true)? else { return Ok(0) };
        // A test on this machine could have linked a file of another user here.
        if size <= bound.size || file.metadata()?.nlink() != 1 {
            return Ok(0);
        }
        let start = bound.head.next_multiple_of(BLOCK_BYTES).max(self.given_back);
        let end = size.saturating_sub(bound.tail).min(self.read) / BLOCK_BYTES * BLOCK_BYTES;
        if end < start.saturating_add(MIN_HOLE_BYTES) {
            return Ok(0);
        }
        let [offset, length] = [start, end - start].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&file, flags, offset, length) {
            Ok(()) => {
                self.given_back = end;
                Ok(end - start)
            }
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;

    const BOUND: LogBound = LogBound { size: 8 << 20, head: 1 << 20, tail: 2 << 20 };

    fn on_disk(path: &std::path::Path) -> u64 {
        fs::metadata(path).unwrap().blocks() * 512
    }

    #[test]
    fn an_endless_log_keeps_its_ends_and_takes_no_more_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut log = LiveLog::new(&path);
        let line: String = (0..(1 << 14)).map(|number| format!("{number:063}\n")).collect();
        let mut given_back = 0;
        for written in 1..=40 {
            file.write_all(line.as_bytes()).unwrap();
            log.read_new().unwrap();
            let more = log.give_back_middle(&BOUND).unwrap();
            assert!(written > 8 || more == 0, "a log within the bound is left alone");
            given_back += more;
            file.sync_all().unwrap();
            assert!(on_disk(&path) <= BOUND.size + (1 << 20), "{} bytes on the disk", on_disk(&path));
        }
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 40 << 20, "the writer goes on where it was");
        assert!(given_back >= (40 << 20) - BOUND.head - BOUND.tail - (2 << 20), "{given_back}");
        let whole = line.repeat(40).into_bytes();
        let (head, tail) = (BOUND.head as usize, whole.len() - BOUND.tail as usize);
        assert!(content[..head] == whole[..head] && content[tail..] == whole[tail..]);
        assert!(content[head + 5000..tail - (2 << 20)].iter().all(|byte| *byte == 0));
        assert!(log.tail().unwrap().ends_with(&line[line.len() - 640..]));
    }

    #[test]
    fn somebody_elses_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [precious, log] = ["precious", "log"].map(|name| folder.path().join(name));
        fs::write(&precious, vec![b'x'; 12 << 20]).unwrap();
        fs::hard_link(&precious, &log).unwrap();
        let mut log = LiveLog::new(&log);
        log.read_new().unwrap();
        assert_eq!(log.give_back_middle(&BOUND).unwrap(), 0);
        assert!(fs::read(&precious).unwrap().iter().all(|byte| *byte == b'x'));
        assert_eq!(LiveLog::new(folder.path().join("absent")).give_back_middle(&BOUND).unwrap(), 0);
    }
}
