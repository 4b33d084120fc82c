//! proposed-migration's excuses: which tests keep new versions out of the release, and the requests that run them again.
//!
//! [`Excuses`] reads `update_excuses.yaml`, whole or compressed, one source package at a time. [`Selection`] says which of its tests are
//! meant, and [`Retry`] is what runs one of them again: a request for a queue, or a request.cgi URL.

mod excuse;
mod history;
mod items;
mod logs;
mod place;
mod retry;
mod selection;
mod state;

use std::io::{self, BufRead, BufReader, Read};

use self::items::{BOUNDS, Bounds, Item, Items};

pub use self::history::{HISTORY, is_flaky, is_infrastructure};
pub use self::logs::log_matches;
pub use self::place::{InvalidPlace, Place};
pub use self::retry::{Manner, Proposed, Retry, group};
pub use self::selection::{Selected, Selection};
pub use self::state::{InvalidState, State};

/// What is wrong with a file of excuses, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Why excuses cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExcusesError {
    /// They are not what they should be.
    #[error("line {}: {}", .0.line, .0.message)]
    Malformed(Fault),
    /// An item of theirs is not what it should be. The next ones can be read all the same.
    #[error("line {}: {}", .0.line, .0.message)]
    OddItem(Fault),
    /// There are none in it.
    #[error("no list `sources`: this is not an update_excuses.yaml of proposed-migration")]
    NoSources,
    /// They cannot be had at all.
    #[error("{0}")]
    Unopened(String),
    /// They end, or are damaged, in the middle.
    #[error("line {line}: {source}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: io::Error,
    },
}

/// A source package whose new version is kept out, and its tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Excuse {
    /// The line of the file where it begins.
    pub line: usize,
    /// The source package.
    pub source: String,
    /// Its new version; `-` when it is to be removed.
    pub new_version: Option<String>,
    /// For how many days it has been waiting.
    pub age: Option<f64>,
    /// The other packages that it waits for.
    pub blocked_by: Vec<String>,
    /// Those of the tests that it causes which are in a wanted state, in the order of the file.
    pub tests: Vec<Test>,
    /// Tests that cannot be understood, and what is wrong with them.
    pub odd: Vec<Fault>,
}

/// A package's test on an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The tested source package.
    pub package: String,
    /// Its version, once there is a result; `unknown` when a result could not tell.
    pub version: Option<String>,
    /// The architecture.
    pub architecture: String,
    /// What proposed-migration says about it.
    pub state: State,
    /// Where its log is.
    pub log: Option<String>,
    /// The address that asks for it again.
    pub retry: Option<String>,
    /// The line of the file where the verdict is.
    pub line: usize,
}

/// The excuses of a file, one source package after the other. However large the file is, only one of them is in memory.
pub struct Excuses<R> {
    items: Items<R>,
    item: Item,
    wanted: Vec<State>,
    ended: bool,
}

/// Lists of PPAs that more than this many excuses ask for are not told apart.
const MAX_PPA_LISTS: usize = 16;

impl<R: BufRead> Excuses<R> {
    /// Reads this text, and of the tests in it those that are in one of these states. The others are most of the file, and are passed
    /// over quickly.
    pub fn new(input: R, wanted: &[State]) -> Self {
        Self::within(BOUNDS, input, wanted)
    }

    fn within(bounds: Bounds, input: R, wanted: &[State]) -> Self {
        Self { items: Items::new(input, bounds), item: Item::default(), wanted: wanted.to_vec(), ended: false }
    }

    /// The PPAs that the addresses read so far ask for, those of unwanted tests included: each list once.
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
        // One item that makes no sense says nothing about the next. Behind any other fault nothing can be trusted.
        self.ended = !matches!(next, Some(Ok(_) | Err(ExcusesError::OddItem(_))));
        next
    }
}

/// What a file in xz's format begins with.
const XZ: &[u8] = b"\xfd7zXZ\0";
/// Memory that unpacking may need, in KiB. `xz -9` asks for 64 MiB; a header can ask for 4 GiB.
const XZ_MEMORY: u32 = 256 << 10;
/// Maximum length of an unpacked file, in bytes. Ubuntu's largest are about a tenth of it; a small file can unpack to any length.
const MAX_UNPACKED: u64 = 512 << 20;
/// How much is read at a time.
const WINDOW: usize = 256 << 10;

/// The text of a file that may be compressed by xz: its beginning tells, not its name.
///
/// # Errors
/// When its beginning cannot be read.
pub fn text<'r>(input: impl Read + Send + 'r) -> Result<Box<dyn BufRead + Send + 'r>, ExcusesError> {
    text_up_to(MAX_UNPACKED, input)
}

fn text_up_to<'r>(limit: u64, input: impl Read + Send + 'r) -> Result<Box<dyn BufRead + Send + 'r>, ExcusesError> {
    let mut input = BufReader::with_capacity(WINDOW, input);
    let mut begin = Vec::new();
    input
        .by_ref()
        .take(XZ.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|source| ExcusesError::Unreadable { line: 1, source })?;
    let is_xz = begin == XZ;
    let whole = io::Cursor::new(begin).chain(input);
    if is_xz {
        let inner = lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_MEMORY);
        let unpacked = Bounded { inner, limit, left: limit };
        return Ok(Box::new(BufReader::with_capacity(WINDOW, unpacked)));
    }
    Ok(Box::new(whole))
}

/// A reader that fails when there is more than it may read.
struct Bounded<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
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
