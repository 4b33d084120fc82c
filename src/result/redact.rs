//! Redaction of secrets in what a test left. The token of a private PPA is in the testbed's apt sources, so that
//! programs there print it, and tests keep it in their artifacts. Everything that is published is redacted here: each
//! byte of a secret becomes a `*`. Sizes stay the same, so that a member of an archive can be redacted while it is
//! read, after its header with the size is written.
//!
//! A secret is found as it is, percent-encoded (each byte or only some), and in base64, also inside longer base64 text
//! and as `USER:TOKEN` of HTTP's basic authentication. A secret that a test hides on purpose, in hexadecimal digits or
//! compressed, is not found: users who may run tests with an archive may read it.

use std::borrow::Cow;
use std::io::{self, Read};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::Value;

use crate::request::Request;

/// Number of bytes that are read at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Minimum length of a secret that is searched for inside base64 text, in bytes. Less of a shorter one is distinct
/// there: it would be found everywhere.
const MIN_BASE64_BYTES: usize = 6;
/// Replacement for each byte of a secret.
const STAR: u8 = b'*';

/// Replaces the secrets of a run.
pub struct Redactor {
    patterns: Vec<SecretSlice<u8>>,
    /// Bytes that an occurrence can begin with.
    begins: [bool; 256],
    /// Maximum length of an occurrence, in bytes.
    longest: usize,
}

impl Redactor {
    /// Returns a redactor for the tokens of a request's PPAs, and these other secrets.
    pub fn new(request: &Request, others: &[SecretString]) -> Self {
        let mut patterns = Vec::new();
        for login in request.parameters().ppas.iter().filter_map(|ppa| ppa.login()) {
            let token = login.token.expose_secret();
            patterns.extend(in_base64(format!("{}:{token}", login.user).as_bytes(), 0, Edges::Kept));
            patterns.extend(forms(token));
        }
        patterns.extend(others.iter().flat_map(|secret| forms(secret.expose_secret())));
        patterns.retain(|pattern| !pattern.is_empty());
        patterns.sort_unstable();
        patterns.dedup();
        let mut begins = [false; 256];
        for pattern in &patterns {
            // Any pattern may begin with an encoded byte.
            begins[usize::from(b'%')] = true;
            begins[usize::from(pattern.first().copied().unwrap_or_default())] = true;
        }
        let longest = patterns.iter().map(|pattern| 3 * pattern.len()).max().unwrap_or_default();
        let patterns = patterns.into_iter().map(|pattern| pattern.into_boxed_slice().into()).collect();
        Self { patterns, begins, longest }
    }

    /// Returns whether there are no secrets to find.
    pub(super) fn is_idle(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Returns the maximum length of an occurrence, in bytes. A caller that cuts a text has to drop as many bytes at
    /// the cut, or cut where no secret can be.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Returns a redacting reader. Without secrets it costs nothing.
    pub(super) fn read<R: Read>(&self, source: R) -> RedactingReader<'_, R> {
        let space = if self.is_idle() { 0 } else { CHUNK_BYTES + self.longest };
        RedactingReader {
            source,
            redactor: self,
            window: vec![0; space],
            start: 0,
            clean: 0,
            end: 0,
            masked: 0,
            last: None,
        }
    }

    /// Returns the redacted text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut bytes = text.as_bytes().to_vec();
        self.mask(&mut bytes);
        if bytes == text.as_bytes() { text.into() } else { String::from_utf8_lossy(&bytes).into_owned().into() }
    }

    /// Redacts bytes in place.
    pub(super) fn mask(&self, bytes: &mut [u8]) {
        let end = bytes.len();
        self.mask_beginning(bytes, end, 0);
    }

    /// Redacts all texts in a value, including the names of members.
    pub(super) fn value(&self, value: Value) -> Value {
        if self.is_idle() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (self.text(&name).into_owned(), self.value(value))).collect()
            }
            // A token that consists of digits could be a number here.
            Value::Number(number) => match self.text(&number.to_string()) {
                Cow::Borrowed(_) => Value::Number(number),
                Cow::Owned(text) => Value::String(text),
            },
            other => other,
        }
    }

    /// Masks every occurrence that begins in the first `safe` bytes, up to their end. The first `masked` bytes belong
    /// to an earlier occurrence. Returns how many bytes after the first `safe` ones belong to an occurrence that begins
    /// in them.
    fn mask_beginning(&self, bytes: &mut [u8], safe: usize, masked: usize) -> usize {
        let mut masked = masked;
        let mut at = 0;
        while at < safe {
            if masked == 0 {
                let rest = bytes.get(at..safe).unwrap_or_default();
                let Some(skipped) = rest.iter().position(|byte| self.begins[usize::from(*byte)]) else { break };
                at += skipped;
            }
            // Only bytes before `at` are masked yet, so that an overlapping occurrence is found as well.
            masked = masked.max(self.longest_at(bytes.get(at..).unwrap_or_default()));
            if masked > 0 {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = STAR;
                }
                masked -= 1;
            }
            at += 1;
        }
        masked
    }

    /// Returns the length of the longest occurrence that begins here; 0 when there is none.
    fn longest_at(&self, bytes: &[u8]) -> usize {
        if !bytes.first().is_some_and(|first| self.begins[usize::from(*first)]) {
            return 0;
        }
        self.patterns.iter().map(|pattern| occurrence(pattern.expose_secret(), bytes)).max().unwrap_or_default()
    }
}

/// Returns the number of bytes at the beginning that match the pattern, as it is or percent-encoded.
fn occurrence(pattern: &[u8], bytes: &[u8]) -> usize {
    let mut at = 0;
    for wanted in pattern {
        let rest = bytes.get(at..).unwrap_or_default();
        at += match rest {
            [b'%', high, low, ..] if decoded(*high, *low) == Some(*wanted) => 3,
            [byte, ..] if byte == wanted && *wanted != b'%' => 1,
            _ => return if bytes.starts_with(pattern) { pattern.len() } else { 0 },
        };
    }
    at
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Returns the patterns for a secret: the secret itself, and its base64 forms at each offset.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    if secret.len() >= MIN_BASE64_BYTES {
        forms.extend((0..3).flat_map(|before| in_base64(secret.as_bytes(), before, Edges::Dropped)));
    }
    forms
}

/// Whether base64 characters that also encode neighbouring bytes belong to the pattern.
#[derive(PartialEq)]
enum Edges {
    Kept,
    Dropped,
}

/// Returns the base64 characters for these bytes after `before` other bytes, in the standard and in the URL alphabet,
/// without padding.
fn in_base64(bytes: &[u8], before: usize, edges: Edges) -> [Vec<u8>; 2] {
    let characters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".iter();
    let whole: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let bits = 8 * whole.len();
    let (first, last) = match edges {
        Edges::Kept => (0, bits.div_ceil(6)),
        Edges::Dropped => ((8 * before).div_ceil(6), bits / 6),
    };
    let bit = |at: usize| whole.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    [b"+/", b"-_"].map(|special| {
        let alphabet: Vec<u8> = characters.clone().chain(special).copied().collect();
        let character = |at: usize| {
            let index = (6 * at..6 * at + 6).fold(0, |value, at| value << 1 | bit(at));
            alphabet.get(index).copied().unwrap_or_default()
        };
        (first..last).map(character).collect()
    })
}

/// Reader that masks the secrets of its source.
pub(super) struct RedactingReader<'r, R> {
    source: R,
    redactor: &'r Redactor,
    window: Vec<u8>,
    /// `start` to `clean` is ready for the caller. An occurrence that is not complete yet may begin between `clean` and
    /// `end`.
    start: usize,
    clean: usize,
    end: usize,
    /// Number of bytes after `clean` that belong to an occurrence that began before.
    masked: usize,
    /// End of the source, or its error, once it was reached.
    last: Option<io::Result<()>>,
}

impl<R: Read> RedactingReader<'_, R> {
    /// Reads until there is something for the caller, or the source ends.
    fn fill(&mut self) {
        self.window.copy_within(self.clean..self.end, 0);
        self.end -= self.clean;
        (self.start, self.clean) = (0, 0);
        while self.end < self.redactor.longest && self.last.is_none() {
            match self.source.read(self.window.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.last = Some(Ok(())),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The bytes that were read before come first.
                Err(error) => self.last = Some(Err(error)),
            }
        }
        let unsure = if self.last.is_some() { 0 } else { self.redactor.longest - 1 };
        self.clean = self.end - unsure;
        let bytes = self.window.get_mut(..self.end).unwrap_or_default();
        self.masked = self.redactor.mask_beginning(bytes, self.clean, self.masked);
    }
}

impl<R: Read> Read for RedactingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.redactor.is_idle() {
            return self.source.read(buffer);
        }
        if self.start == self.clean {
            if self.last.is_none() {
                self.fill();
            }
            if self.start == self.clean {
                // An error is returned once; then comes the end.
                return self.last.replace(Ok(())).unwrap_or(Ok(())).map(|()| 0);
            }
        }
        let ready = self.window.get(self.start..self.clean).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(ready) {
            *to = *from;
        }
        self.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        Redactor::new(&Request::parse(b"gzip").unwrap(), &secrets)
    }

    #[test]
    fn a_token_is_found_in_every_form_in_which_programs_show_it() {
        let request = r#"gzip {"ppas": ["u:To~en+1=aB@o/private", "o/public", "v:second-token@o/other"]}"#;
        let redactor = Redactor::new(&Request::parse(request.as_bytes()).unwrap(), &[]);
        // Encoded by Python's own functions.
        let script = "
import base64, urllib.parse
token, login = 'To~en+1=aB', b'u:To~en+1=aB'
print(f'deb https://u:{token}@host/o/private main')
print(urllib.parse.quote(token), urllib.parse.quote_plus(token, safe='='), urllib.parse.quote(token).lower())
print(''.join('%%%02X' % ord(c) for c in token), ''.join('%%%02x' % ord(c) for c in token))
print('Basic', base64.b64encode(login).decode(), base64.urlsafe_b64encode(login).decode())
print(urllib.parse.quote(base64.b64encode(login).decode(), safe=''))
for before in range(3):
    print(base64.b64encode(b'x' * before + b' machine y login u password To~en+1=aB\\n').decode())
print('second-token')";
        let output = Command::new("python3").args(["-c", script]).stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let shown = redactor.text(&text).into_owned();
        assert_eq!(shown.len(), text.len());
        let mut lines = shown.lines();
        let mut line = || lines.next().unwrap();
        assert_eq!(line(), "deb https://u:**********@host/o/private main");
        let only_stars = |line: &str| line.chars().all(|c| c == '*' || c == ' ');
        let encoded = line();
        // In lower case, To~en+1=aB is another token.
        assert!(encoded.starts_with("************** ************ "), "{encoded}");
        assert!(only_stars(line()));
        assert_eq!(line(), "Basic **************** ****************");
        assert!(only_stars(line()), "{shown}");
        for _ in 0..3 {
            let line = line();
            assert!(line.contains(&"*".repeat(12)), "{line}");
        }
        assert_eq!(line(), "************");
    }

    #[test]
    fn without_secrets_nothing_is_touched_or_copied() {
        let idle = redactor(&["", ""]);
        assert!(idle.is_idle());
        assert_eq!(idle.read(&b"text"[..]).window.len(), 0);
        assert_eq!(idle.text("text"), "text");
    }

    #[test]
    fn the_values_of_a_document_are_redacted_and_it_stays_one() {
        let redactor = redactor(&["hunter2", "4711"]);
        let text = r#"{"hunter2": ["a hunter2", 4711, 471, null, {"b": true}]}"#;
        let value = redactor.value(serde_json::from_str(text).unwrap());
        assert_eq!(value.to_string(), r#"{"*******":["a *******","****",471,null,{"b":true}]}"#);
    }

    #[test]
    fn what_was_read_before_an_error_is_given_first() {
        struct Breaks(usize);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => {
                        buffer[..9].copy_from_slice(b"a hunter2");
                        Ok(9)
                    }
                    2 => Err(io::ErrorKind::Interrupted.into()),
                    _ => Err(io::Error::other("broken")),
                }
            }
        }
        let redactor = redactor(&["hunter2"]);
        let mut reader = redactor.read(Breaks(0));
        let mut text = String::new();
        assert_eq!(reader.read_to_string(&mut text).unwrap_err().to_string(), "broken");
        let mut reader = redactor.read(Breaks(0));
        let mut buffer = [0; 100];
        assert_eq!(reader.read(&mut buffer).unwrap(), 9);
        assert_eq!(&buffer[..9], b"a *******");
        reader.read(&mut buffer).unwrap_err();
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }

    /// A source that returns its bytes in pieces of these lengths.
    struct Pieces<'a>(&'a [u8], Vec<usize>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.pop().unwrap_or(1).clamp(1, buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    /// The simplest implementation of redaction.
    fn model(redactor: &Redactor, text: &[u8]) -> Vec<u8> {
        let mut shown = text.to_vec();
        for start in 0..text.len() {
            for pattern in &redactor.patterns {
                let length = occurrence(pattern.expose_secret(), &text[start..]);
                shown[start..start + length].fill(STAR);
            }
        }
        shown
    }

    fn percent(text: &str, which: &[bool]) -> String {
        let which = which.iter().chain(std::iter::repeat(&false));
        text.bytes().zip(which).map(|(b, e)| if *e { format!("%{b:02X}") } else { char::from(b).to_string() }).collect()
    }

    proptest! {
        #[test]
        fn boundaries_make_no_difference(
            secrets in prop::collection::vec("[ab%1-3]{1,9}", 0..4),
            text in prop::collection::vec(prop_oneof!["[ab%1-36]{0,6}".prop_map(Some), Just(None)], 0..60),
            which in any::<prop::sample::Index>(),
            pieces in prop::collection::vec(1usize..20, 0..60),
            reads in 1usize..50,
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let redactor = redactor(&secrets);
            let secret = if secrets.is_empty() { "" } else { which.get(&secrets) };
            let text: String = text.iter().map(|part| part.as_deref().unwrap_or(secret)).collect();
            let expected = model(&redactor, text.as_bytes());
            let mut reader = redactor.read(Pieces(text.as_bytes(), pieces));
            let (mut shown, mut buffer) = (Vec::new(), vec![0; reads]);
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    count => shown.extend_from_slice(&buffer[..count]),
                }
            }
            prop_assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(&expected));
            let at_once = redactor.text(&text);
            prop_assert_eq!(at_once.as_bytes(), expected);
        }

        #[test]
        fn no_secret_is_left(secret in "[a-zA-Z0-9._~+=-]{6,24}", before in "\\PC{0,40}", after in "\\PC{0,40}",
                which in prop::collection::vec(any::<bool>(), 24)) {
            let redactor = redactor(&[&secret]);
            let encoded = percent(&secret, &which);
            let text = format!("{before}{secret}{after}{encoded}{before}");
            let shown = redactor.text(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert!(!shown.contains(&secret) && !shown.contains(&encoded));
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn large_files_are_redacted_across_all_windows(offset in 0usize..200, secret in "[a-z]{8,40}") {
            let redactor = redactor(&[&secret]);
            let mut text = vec![b'.'; 3 * CHUNK_BYTES];
            for window in 1..=2 {
                let at = window * CHUNK_BYTES - 100 + offset;
                text[at..at + secret.len()].copy_from_slice(secret.as_bytes());
            }
            let mut shown = Vec::new();
            redactor.read(text.as_slice()).read_to_end(&mut shown).unwrap();
            prop_assert!(shown == model(&redactor, &text));
            prop_assert_eq!(shown.iter().filter(|byte| **byte == STAR).count(), 2 * secret.len());
        }
    }
}
