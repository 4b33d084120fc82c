//! Text from outside, made harmless for a terminal.
//!
//! A terminal obeys control sequences in the text that it shows: they can write its clipboard, its title, or over
//! earlier text. And characters that change the direction of text make it look like another text. So all output to a
//! terminal passes through here: texts become [`plain`], logs keep their colours ([`TerminalFilter`]), and JSON has
//! such characters [`escaped`].

use std::borrow::Cow;
use std::path::Path;

/// Maximum length of a colour's parameters, in characters.
const MAX_PARAMETERS: usize = 64;

/// Whether a character steers a terminal, or changes the direction or the lines of the text around it.
pub fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Returns the text in one line, with spaces for steering characters.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(is_steering) { text.replace(is_steering, " ").into() } else { text.into() }
}

/// Returns the text with spaces for steering characters other than a newline.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    let is_steering = |c| c != '\n' && is_steering(c);
    if text.contains(is_steering) { text.replace(is_steering, " ").into() } else { text.into() }
}

/// Returns a JSON document in which steering characters that JSON allows in strings are escaped. It means the same.
pub fn escaped(json: &str) -> Cow<'_, str> {
    // JSON's own whitespace stands between values. Within strings, serializers escape control characters of ASCII but
    // for DEL.
    let is_steering = |c: char| !matches!(c, '\n' | '\t' | '\r') && is_steering(c);
    if !json.contains(is_steering) {
        return json.into();
    }
    let mut text = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if is_steering(character) {
            // All of them are in Unicode's first plane.
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text.into()
}

/// Returns a text with its colours, and without anything else that steers a terminal.
pub fn coloured(text: &str) -> String {
    let mut filter = TerminalFilter::new(true);
    let mut shown = String::new();
    filter.feed(text.as_bytes(), &mut shown);
    filter.finish(&mut shown);
    shown
}

/// Returns a text in which the paths of files below this folder are relative to it.
pub fn below(text: &str, folder: Option<&Path>) -> String {
    let Some(folder) = folder.filter(|folder| folder.parent().is_some()) else { return text.to_owned() };
    let folder = format!("{}/", folder.display());
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&folder) {
        shown.push_str(before);
        // Elsewhere it is the end of another path, such as that of a mounted disk.
        let so_far = &text[..text.len() - rest.len() + before.len()];
        let begins = |c: char| c.is_whitespace() || matches!(c, ',' | '(' | '"' | '\'' | '`');
        if so_far.chars().next_back().is_some_and(|c| !begins(c)) {
            shown.push_str(&folder);
        }
        rest = after;
    }
    shown + rest
}

enum State {
    Text,
    /// After a carriage return, which is shown as a new line unless one follows.
    Return,
    Escape,
    /// Within an escape sequence with intermediate characters.
    Intermediate,
    /// Within a control sequence, with its parameters.
    Control(String),
    /// Within a string for the terminal, such as a title; and whether an escape has just been seen, which may end it.
    Command {
        escape: bool,
    },
}

/// A filter that passes text and its colours, piece by piece, and nothing else that steers a terminal.
pub struct TerminalFilter {
    colours: bool,
    state: State,
    /// Bytes of an incomplete character.
    partial: Vec<u8>,
    /// Whether colours are on.
    is_coloured: bool,
}

impl TerminalFilter {
    /// Returns a filter, which without `colours` removes colours, too.
    pub fn new(colours: bool) -> Self {
        Self { colours, state: State::Text, partial: Vec::new(), is_coloured: false }
    }

    /// Filters the next bytes, and appends the result to `shown`. Bytes that are not UTF-8 become replacement
    /// characters.
    pub fn feed(&mut self, bytes: &[u8], shown: &mut String) {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            joined.as_slice()
        };
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.take(text, shown);
                    return;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.take(std::str::from_utf8(valid).unwrap_or_default(), shown);
                    let Some(length) = error.error_len() else {
                        self.partial = after.to_vec();
                        return;
                    };
                    self.take("\u{fffd}", shown);
                    rest = after.get(length..).unwrap_or_default();
                }
            }
        }
    }

    /// Ends the text, and switches colours off that are still on.
    pub fn finish(&mut self, shown: &mut String) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.take("\u{fffd}", shown);
        }
        if matches!(self.state, State::Return) {
            shown.push('\n');
        }
        self.state = State::Text;
        if std::mem::take(&mut self.is_coloured) {
            shown.push_str("\x1b[0m");
        }
    }

    fn take(&mut self, text: &str, shown: &mut String) {
        for character in text.chars() {
            self.take_character(character, shown);
        }
    }

    fn take_character(&mut self, character: char, shown: &mut String) {
        match &mut self.state {
            State::Text => {}
            State::Return => {
                shown.push('\n');
                self.state = State::Text;
                if matches!(character, '\n' | '\r') {
                    return;
                }
            }
            State::Escape => {
                self.state = match character {
                    '[' => State::Control(String::new()),
                    ']' | 'P' | 'X' | '^' | '_' => State::Command { escape: false },
                    ' '..='/' => State::Intermediate,
                    '0'..='~' => State::Text,
                    _ => return self.text(character, shown),
                };
                return;
            }
            State::Intermediate => {
                match character {
                    ' '..='/' => {}
                    '0'..='~' => self.state = State::Text,
                    _ => self.text(character, shown),
                }
                return;
            }
            State::Control(parameters) => {
                match character {
                    ' '..='?' if parameters.len() < MAX_PARAMETERS => parameters.push(character),
                    'm' if self.colours && parameters.chars().all(|c| matches!(c, '0'..='9' | ';' | ':')) => {
                        self.is_coloured = !matches!(parameters.as_str(), "" | "0");
                        shown.push_str(&format!("\x1b[{parameters}m"));
                        self.state = State::Text;
                    }
                    ' '..='~' => self.state = State::Text,
                    _ => self.text(character, shown),
                }
                return;
            }
            State::Command { escape } => {
                match character {
                    '\x1b' => *escape = true,
                    '\\' if *escape => self.state = State::Text,
                    '\x07' | '\u{9c}' => self.state = State::Text,
                    // Without its end, it would hide the rest of the text.
                    '\n' => self.text(character, shown),
                    _ if *escape => {
                        self.state = State::Escape;
                        self.take_character(character, shown);
                    }
                    _ => {}
                }
                return;
            }
        }
        self.text(character, shown);
    }

    fn text(&mut self, character: char, shown: &mut String) {
        self.state = match character {
            '\x1b' => State::Escape,
            '\r' => State::Return,
            _ => State::Text,
        };
        if matches!(character, '\n' | '\t') || !is_steering(character) {
            shown.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(colours: bool, text: &str) -> String {
        let (mut filter, mut shown) = (TerminalFilter::new(colours), String::new());
        filter.feed(text.as_bytes(), &mut shown);
        filter.finish(&mut shown);
        shown
    }

    #[test]
    fn of_control_sequences_only_colours_reach_a_terminal() {
        for (text, expected) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\x1b[31mred\x1b[0m \x1b[1;38:5:9mbold\x1b[m", "\x1b[31mred\x1b[0m \x1b[1;38:5:9mbold\x1b[m"),
            ("\x1b[32mleft on", "\x1b[32mleft on\x1b[0m"),
            // The clipboard, the title, the screen, the cursor, a query, another character set.
            ("a\x1b]52;c;cm0gLXJmIC8=\x07b", "ab"),
            ("a\x1b]0;title\x1b\\b", "ab"),
            ("a\x1b]52;c;without end\nb", "a\nb"),
            ("a\x1b[2J\x1b[H\x1b[6n\x1b[?1049h\x1b[>4;1m\x1b(0\x1bcb", "ab"),
            // An escape ends a string without an end.
            ("a\x1bP$qm\x1b\\b\x1b_x\x1b[31mb", "ab\x1b[31mb\x1b[0m"),
            ("a\u{9b}2J\u{9d}0;x\u{7}b", "a2J0;xb"),
            ("over\rwritten\r\nnext\r", "over\nwritten\nnext\n"),
            ("back\u{8}\u{7f}space\u{202e}desrever\u{2066}", "backspacedesrever"),
            ("cut\x1b[", "cut"),
        ] {
            assert_eq!(shown(true, text), expected, "{text:?}");
        }
        assert_eq!(shown(false, "\x1b[31mred\x1b[0m"), "red");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let (mut filter, mut shown) = (TerminalFilter::new(true), String::new());
        // A raw C1 control, and a letter in two pieces.
        filter.feed(b"a\x9b2J\xc3", &mut shown);
        filter.feed(b"\xa9\xe2\x82", &mut shown);
        filter.finish(&mut shown);
        assert_eq!(shown, "a\u{fffd}2Jé\u{fffd}");
    }

    #[test]
    fn paths_are_relative_to_the_site() {
        let site = Some(Path::new("/srv/ci"));
        assert_eq!(below("/srv/ci/worker.conf:6", site), "worker.conf:6");
        assert_eq!(below("default, /srv/ci/per-package/long_tests:2", site), "default, per-package/long_tests:2");
        assert_eq!(below("/srv/ci-2/worker.conf:6", site), "/srv/ci-2/worker.conf:6");
        assert_eq!(below("/etc/apt-ci/worker.conf:6", Some(Path::new("/"))), "/etc/apt-ci/worker.conf:6");
        assert_eq!(below("/mnt/srv/ci/x, /srv/ci/y", site), "/mnt/srv/ci/x, y");
        assert_eq!(below("'/srv/ci/x' (/srv/ci/y)", site), "'x' (y)");
        assert_eq!(below("/srv/ci/srv/ci/x", site), "srv/ci/x");
        assert_eq!(below("/srv/ci/worker.conf:6", None), "/srv/ci/worker.conf:6");
    }

    #[test]
    fn texts_and_documents_do_not_steer() {
        assert_eq!(plain("a\x1b[2J\nb\u{202e}c\u{9b}d"), "a [2J b c d");
        assert_eq!(plain_lines("a\x07\nb"), "a \nb");
        let value = serde_json::json!({"x": "a\u{9b}31m\u{202e}\x1b\u{7f}é\n"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = escaped(&text);
        assert!(!safe.replace('\n', "").contains(is_steering), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert_eq!(escaped("{\n  \"a\": 1\n}"), "{\n  \"a\": 1\n}");
    }

    proptest! {
        /// However a text is cut into pieces, what is shown is the same, and nothing but colours steers.
        #[test]
        fn pieces_make_no_difference(text in "(\\PC|[\x1b\r\n\u{7}\u{9b}\u{202e}\\[\\]m;0-9\\\\]){0,60}", at in 0..80_usize) {
            let bytes = text.as_bytes();
            let (mut filter, mut pieces) = (TerminalFilter::new(true), String::new());
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            filter.feed(first, &mut pieces);
            filter.feed(second, &mut pieces);
            filter.finish(&mut pieces);
            prop_assert_eq!(&pieces, &shown(true, &text));
            let mut rest = pieces.as_str();
            while let Some(at) = rest.find(|c| is_steering(c) && !matches!(c, '\n' | '\t')) {
                let sequence = rest[at..].strip_prefix("\x1b[").expect("a colour");
                let end = sequence.find(|c: char| !matches!(c, '0'..='9' | ';' | ':')).expect("an end");
                prop_assert!(sequence[end..].starts_with('m'));
                rest = &sequence[end + 1..];
            }
        }
    }
}
