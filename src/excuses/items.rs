//! Reader of the items of `sources:`, one at a time, as small texts. The file is too large for a parser of everything:
//! most of it is HTML that is not needed here, so that only the necessary keys of each item are kept.
//!
//! This relies only on YAML's rule that the value of a key is indented more than the key, with the one exception that a
//! list may stand directly below its key. An item that is written in another way (in braces) is kept completely.

use std::io::{self, BufRead, Read as _};

use super::retry::ppas_of;
use super::{ExcusesError, LineError, MAX_PPA_LISTS, TestState};

/// Maximum size of one line, and of the kept part of one item, in bytes. A file with more is not an excuses file.
const MAX_ITEM_BYTES: usize = 32 << 20;

/// Limits for a whole file. Ubuntu's largest files have about a tenth of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileLimits {
    pub(super) items: usize,
    pub(super) lines: usize,
    /// Size of the kept parts of items, which are parsed, in bytes.
    pub(super) kept: usize,
}

/// Limits the time for a small compressed file that expands to a large one.
pub(super) const FILE_LIMITS: FileLimits = FileLimits { items: 200_000, lines: 20_000_000, kept: 128 << 20 };

/// The key of the list.
const LIST: &str = "sources";
/// The keys of an item that are kept.
const KEYS: [&str; 5] = ["item-name", "source", "new-version", "dependencies", POLICIES];
const POLICIES: &str = "policy_info";
/// The keys of its policies that are kept.
const POLICY_KEYS: [&str; 2] = ["age", TESTS];
const TESTS: &str = "autopkgtest";

/// One item, as a YAML document of its own.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// The line of the file where it begins.
    pub(super) begin: usize,
    /// The kept lines.
    pub(super) text: String,
    /// For each line of the text, its line in the file.
    lines: Vec<usize>,
}

impl Item {
    /// Returns the line in the file for a line of the text (from 1).
    pub(super) fn line(&self, of_text: usize) -> usize {
        let index = of_text.saturating_sub(1).min(self.lines.len().saturating_sub(1));
        self.lines.get(index).copied().unwrap_or(self.begin)
    }
}

/// Reader of a file's items.
pub(super) struct Items<R> {
    input: R,
    /// The last line that was read, with its newline, and its number from 1.
    line: Vec<u8>,
    number: usize,
    place: ListPosition,
    /// The lists of PPAs in addresses.
    ppas: Vec<Vec<String>>,
    bounds: FileLimits,
    items: usize,
    kept: usize,
}

#[derive(Clone, Copy)]
enum ListPosition {
    /// The list has not begun yet.
    Before,
    /// The current line begins an item, whose dash is at this column.
    At { dash: usize },
    /// The list has ended.
    End,
}

impl<R: BufRead> Items<R> {
    pub(super) fn new(input: R, bounds: FileLimits) -> Self {
        let (line, ppas, place) = (Vec::new(), Vec::new(), ListPosition::Before);
        Self { input, line, number: 0, place, ppas, bounds, items: 0, kept: 0 }
    }

    pub(super) fn ppas(&self) -> &[Vec<String>] {
        &self.ppas
    }

    /// Records the PPAs of an address. Those of unwanted tests show which PPAs tests without an address have.
    fn note_ppas(&mut self) {
        if self.ppas.len() > MAX_PPA_LISTS || !self.line.contains(&b'?') {
            return;
        }
        if let Some(ppas) = std::str::from_utf8(&self.line).ok().and_then(ppas_of)
            && !self.ppas.contains(&ppas)
        {
            self.ppas.push(ppas);
        }
    }

    /// Reads the next item into `item`. Returns `false` when there is none.
    pub(super) fn next(&mut self, wanted: &[TestState], item: &mut Item) -> Result<bool, ExcusesError> {
        if matches!(self.place, ListPosition::Before) {
            self.find_list()?;
        }
        let ListPosition::At { dash } = self.place else { return Ok(false) };
        self.items += 1;
        if self.items > self.bounds.items {
            return Err(self.too_many(self.bounds.items, "items"));
        }
        item.begin = self.number;
        item.text.clear();
        item.lines.clear();
        let after = self.line.get(dash + 1..).unwrap_or_default();
        let inner = dash + 1 + indentation(after);
        let mut filter = Filter::new(inner, wanted);
        // Without its dash, the item is a mapping of its own.
        if let Some(byte) = self.line.get_mut(dash) {
            *byte = b' ';
        }
        loop {
            if filter.keeps(&self.line) {
                self.keep(item)?;
            }
            if filter.is_in_tests {
                self.note_ppas();
            }
            if !self.read_line()? {
                self.place = ListPosition::End;
                return Ok(true);
            }
            if is_blank(&self.line) {
                continue;
            }
            let indent = indentation(&self.line);
            if indent <= dash {
                self.place = self.at_item(dash)?;
                return Ok(true);
            }
        }
    }

    fn keep(&mut self, item: &mut Item) -> Result<(), ExcusesError> {
        let text = std::str::from_utf8(&self.line).map_err(|_| self.fault("not a text in UTF-8"))?;
        if item.text.len() + text.len() > MAX_ITEM_BYTES {
            return Err(self.fault("this item is too long for excuses"));
        }
        if self.kept + text.len() > self.bounds.kept {
            return Err(self.too_many(self.bounds.kept, "bytes that tell of tests"));
        }
        self.kept += text.len();
        item.text.push_str(text);
        item.lines.push(self.number);
        Ok(())
    }

    /// Skips to the first item.
    fn find_list(&mut self) -> Result<(), ExcusesError> {
        loop {
            if !self.read_line()? {
                return Err(ExcusesError::NoSources);
            }
            if let Some((LIST, value)) = key_of(&self.line) {
                match value {
                    "" => break,
                    "[]" | "null" | "~" => {
                        self.place = ListPosition::End;
                        return Ok(());
                    }
                    _ => return Err(self.fault("`sources` is not a list with one item below the other")),
                }
            }
        }
        loop {
            if !self.read_line()? {
                self.place = ListPosition::End;
                return Ok(());
            }
            if !is_blank(&self.line) {
                self.place = self.at_item(indentation(&self.line))?;
                return Ok(());
            }
        }
    }

    /// Returns whether the current line, which ends an item, begins the next item or ends the list.
    fn at_item(&self, dash: usize) -> Result<ListPosition, ExcusesError> {
        let indent = indentation(&self.line);
        let rest = self.line.get(indent..).unwrap_or_default();
        if indent == dash && rest.starts_with(b"- ") {
            return Ok(ListPosition::At { dash });
        }
        if indent == 0 && !rest.starts_with(b"-") || rest.starts_with(b"---") || rest.starts_with(b"...") {
            return Ok(ListPosition::End);
        }
        Err(self.fault("neither an item of `sources` nor what follows them"))
    }

    /// Reads the next line. Returns `false` at the end.
    fn read_line(&mut self) -> Result<bool, ExcusesError> {
        self.line.clear();
        let limit = MAX_ITEM_BYTES as u64;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| self.unreadable(source))?;
        self.number += 1;
        if self.number > self.bounds.lines && read > 0 {
            return Err(self.too_many(self.bounds.lines, "lines"));
        }
        if read as u64 == limit {
            return Err(self.fault("this line is too long for excuses"));
        }
        Ok(read > 0)
    }

    fn too_many(&self, limit: usize, what: &str) -> ExcusesError {
        self.fault(format!("more than {limit} {what} are too many for excuses"))
    }

    fn unreadable(&self, source: io::Error) -> ExcusesError {
        ExcusesError::Unreadable { line: self.number + 1, source }
    }

    fn fault(&self, message: impl Into<String>) -> ExcusesError {
        ExcusesError::Malformed(LineError { line: self.number, message: message.into() })
    }
}

/// Decides for each line of an item whether it is kept.
struct Filter<'w> {
    wanted: &'w [TestState],
    /// Indentation of the item's keys.
    inner: usize,
    is_kept: bool,
    /// Among the policies: the indentation of their names, after the first one.
    policies: Option<Option<usize>>,
    is_policy_kept: bool,
    /// Whether the lines are about tests.
    is_in_tests: bool,
    /// Among the tests: whether the last line was a key without a value, so that a list may begin.
    is_after_key: bool,
    /// Indentation of a list whose remaining lines are not wanted.
    skipping: Option<usize>,
}

impl<'w> Filter<'w> {
    fn new(inner: usize, wanted: &'w [TestState]) -> Self {
        // Lines are kept unless they are known to be unwanted.
        let (is_kept, is_policy_kept) = (true, true);
        Self {
            wanted,
            inner,
            is_kept,
            policies: None,
            is_policy_kept,
            is_in_tests: false,
            is_after_key: false,
            skipping: None,
        }
    }

    fn keeps(&mut self, line: &[u8]) -> bool {
        let indent = indentation(line);
        if indent == self.inner {
            if let Some((key, value)) = key_of(line) {
                self.is_kept = KEYS.contains(&key);
                self.policies = (key == POLICIES && value.is_empty()).then_some(None);
                self.is_policy_kept = true;
                self.is_in_tests = false;
            }
            return self.is_kept;
        }
        if let Some(names) = self.policies {
            let names = names.unwrap_or(indent);
            self.policies = Some(Some(names));
            if indent == names
                && let Some((key, _)) = key_of(line)
            {
                self.is_policy_kept = POLICY_KEYS.contains(&key);
                self.is_in_tests = key == TESTS;
                self.skipping = None;
                return self.is_policy_kept;
            }
        }
        self.is_kept && self.is_policy_kept && !(self.is_in_tests && self.skips(indent, line))
    }

    /// Returns whether this line belongs to an unwanted verdict. The verdict's first line, with the state, stays,
    /// because a verdict must not be empty.
    fn skips(&mut self, indent: usize, line: &[u8]) -> bool {
        let text = line.get(indent..).unwrap_or_default().trim_ascii_end();
        let element = text.strip_prefix(b"- ");
        if let Some(list) = self.skipping {
            if indent > list || indent == list && element.is_some() {
                return true;
            }
            self.skipping = None;
        }
        if self.is_after_key
            && let Some(word) = element.and_then(|word| std::str::from_utf8(word).ok())
        {
            let state = TestState::of_word(word);
            self.skipping = (state != TestState::Other && !self.wanted.contains(&state)).then_some(indent);
        }
        self.is_after_key = text.ends_with(b":");
        false
    }
}

fn indentation(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with(b"#")
}

/// Returns the key of a line `key: value`, and its value on this line. `None` for a line that begins an item of a list,
/// or braces.
fn key_of(line: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let (key, rest) = match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.split_once(quote)?,
        '-' | '{' | '[' => return None,
        _ => text.split_at(text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))?),
    };
    let value = rest.strip_prefix(':').filter(|value| value.is_empty() || value.starts_with(' '))?;
    Some((key, value.trim()))
}
