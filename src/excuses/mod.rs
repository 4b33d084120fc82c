//! proposed-migration's excuses: tests that keep new versions out of the release, and the requests that run them again.
//!
//! [`Excuses`] reads `update_excuses.yaml`, plain or compressed, one source package at a time. [`Selection`] chooses
//! among its tests, and [`Retry`] runs one of them again: as a request for a queue, or a request.cgi URL.

mod excuse;
mod history;
mod items;
mod location;
mod logs;
mod retry;
mod selection;
mod test_state;

use std::io::{self, BufRead, BufReader, Read};

use self::items::{FILE_LIMITS, FileLimits, Item, Items};

pub use self::history::{MAX_HISTORY, is_flaky, is_infrastructure};
pub use self::location::{ExcusesLocation, InvalidExcusesLocation};
pub use self::logs::log_matches;
pub use self::retry::{ProposedPackages, Retry, RetryOptions, group};
pub use self::selection::{SelectedRetries, Selection};
pub use self::test_state::{InvalidTestState, TestState};

/// Something wrong in a file of excuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// Description of the error.
    pub message: String,
}

/// Error while excuses are read.
#[derive(Debug, thiserror::Error)]
pub enum ExcusesError {
    /// The file is malformed.
    #[error("line {}: {}", .0.line, .0.message)]
    Malformed(LineError),
    /// An item is malformed. The next items can be read.
    #[error("line {}: {}", .0.line, .0.message)]
    OddItem(LineError),
    /// The file has no excuses.
    #[error("no list `sources`: this is not an update_excuses.yaml of proposed-migration")]
    NoSources,
    /// The file does not exist.
    #[error("{0}")]
    NoFile(std::io::Error),
    /// The file or address cannot be opened.
    #[error("{0}")]
    Unopened(String),
    /// The file ends early, or is damaged.
    #[error("line {line}: {source}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The cause.
        source: io::Error,
    },
}

/// A source package whose new version is kept out, and its tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Excuse {
    /// The line of the file where the item begins.
    pub line: usize,
    /// The source package.
    pub source: String,
    /// The new version; `-` for a removal.
    pub new_version: Option<String>,
    /// Number of days that the version has been waiting.
    pub age: Option<f64>,
    /// Other packages that the version waits for.
    pub blocked_by: Vec<String>,
    /// The tests that the version causes and that are in a wanted state, in the order of the file.
    pub tests: Vec<Test>,
    /// Tests that cannot be parsed, and the reasons.
    pub odd: Vec<LineError>,
}

/// A package's test on an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The tested source package.
    pub package: String,
    /// Its version, once there is a result; `unknown` when a result does not record it.
    pub version: Option<String>,
    /// The architecture.
    pub architecture: String,
    /// proposed-migration's state of the test.
    pub state: TestState,
    /// Address of its log.
    pub log: Option<String>,
    /// Address that requests the test again.
    pub retry: Option<String>,
    /// The line of the file with the verdict.
    pub line: usize,
}

/// The excuses of a file, one source package after the other. Only one of them is in memory, however large the file is.
pub struct Excuses<R> {
    items: Items<R>,
    item: Item,
    wanted: Vec<TestState>,
    ended: bool,
}

/// Number of different lists of PPAs after which no more are collected.
const MAX_PPA_LISTS: usize = 16;

impl<R: BufRead> Excuses<R> {
    /// Reads a file, and the tests that are in one of these states. Other tests are most of the file, and are skipped
    /// quickly.
    pub fn new(input: R, wanted: &[TestState]) -> Self {
        Self::within(FILE_LIMITS, input, wanted)
    }

    fn within(bounds: FileLimits, input: R, wanted: &[TestState]) -> Self {
        Self { items: Items::new(input, bounds), item: Item::default(), wanted: wanted.to_vec(), ended: false }
    }

    /// Returns the lists of PPAs in the addresses that were read so far, including those of unwanted tests, without
    /// duplicates.
    pub fn ppas(&self) -> &[Vec<String>] {
        self.items.ppas()
    }
}

impl<R: BufRead> Iterator for Excuses<R> {
    type Item = Result<Excuse, ExcusesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match self.items.next(&self.wanted, &mut self.item) {
            Ok(false) => None,
            Ok(true) => Some(excuse::parse(&self.item, &self.wanted)),
            Err(error) => Some(Err(error)),
        };
        // After a malformed item the next one can be read. After any other error the position is unknown.
        self.ended = !matches!(next, Some(Ok(_) | Err(ExcusesError::OddItem(_))));
        next
    }
}

/// First bytes of xz's files.
const XZ: &[u8] = b"\xfd7zXZ\0";
/// Maximum memory for unpacking, in KiB. `xz -9` needs 64 MiB; a header can ask for 4 GiB.
const MAX_XZ_KIB: u32 = 256 << 10;
/// Maximum length of an unpacked file, in bytes. Ubuntu's largest files have about a tenth of it; a small file can
/// expand to any length.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// Size of the buffers, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// Returns the text of a file that may be compressed by xz, which is detected by its first bytes, not by its name.
///
/// # Errors
/// When its first bytes cannot be read.
pub fn text<'r>(input: impl Read + Send + 'r) -> Result<Box<dyn BufRead + Send + 'r>, ExcusesError> {
    text_up_to(MAX_UNPACKED_BYTES, input)
}

fn text_up_to<'r>(limit: u64, input: impl Read + Send + 'r) -> Result<Box<dyn BufRead + Send + 'r>, ExcusesError> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut begin = Vec::new();
    input
        .by_ref()
        .take(XZ.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|source| ExcusesError::Unreadable { line: 1, source })?;
    let is_xz = begin == XZ;
    let whole = io::Cursor::new(begin).chain(input);
    if is_xz {
        let inner = lzma_rust2::XzReader::new_mem_limit(whole, true, MAX_XZ_KIB);
        let unpacked = BoundedReader { inner, limit, left: limit };
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    }
    Ok(Box::new(whole))
}

/// Reader that fails after a maximum number of bytes.
struct BoundedReader<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => {
                let message = format!("unpacked, it is longer than {} MiB", self.limit >> 20);
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
