//! Messages in lines that fit a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Breaks lines between words, never within one, as a terminal would do. A command in backquotes stays in one piece, so
/// that it can be copied. A word that is wider than the terminal has a line of its own.
pub fn wrap(text: &str, width: usize) -> String {
    text.split('\n').map(|line| wrap_line(line, width)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(line.len() + 8);
    let mut column = 0;
    for (number, word) in words(line).into_iter().enumerate() {
        let word_width = shown_width(word);
        if number == 0 {
            column = word_width;
        } else if column + 1 + word_width > width {
            wrapped.push('\n');
            column = word_width;
        } else {
            wrapped.push(' ');
            column += 1 + word_width;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// Breaks a text between words, and within a word that is wider than a line, so that no line is wider.
pub fn wrap_within(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut wrapped = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for (number, word) in text.split(' ').enumerate() {
        let word_width = word.width();
        if number > 0 && column + 1 + word_width > width {
            wrapped.push('\n');
            column = 0;
        } else if number > 0 {
            wrapped.push(' ');
            column += 1;
        }
        if column + word_width <= width {
            wrapped.push_str(word);
            column += word_width;
            continue;
        }
        for character in word.chars() {
            let character_width = character.width().unwrap_or_default();
            if column > 0 && column + character_width > width {
                wrapped.push('\n');
                column = 0;
            }
            wrapped.push(character);
            column += character_width;
        }
    }
    wrapped
}

/// Splits a line at spaces that are not within backquotes. Several spaces give empty words, so that they stay.
fn words(line: &str) -> Vec<&str> {
    // A backquote without a partner quotes nothing.
    let quotes = line.matches('`').count() / 2 * 2;
    let (mut words, mut start, mut seen) = (Vec::new(), 0, 0);
    for (at, character) in line.char_indices() {
        match character {
            '`' if seen < quotes => seen += 1,
            ' ' if seen % 2 == 0 => {
                words.push(line.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(line.get(start..).unwrap_or_default());
    words
}

/// Returns the number of columns of a word. Colours take none.
fn shown_width(word: &str) -> usize {
    let mut parts = word.split('\x1b');
    let plain = parts.next().map_or(0, UnicodeWidthStr::width);
    plain + parts.map(|part| part.split_once('m').map_or(0, |(_, text)| text.width())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_alone() {
        assert_eq!(
            wrap("\x1b[1m\x1b[31merror:\x1b[0m a wanted word", 14),
            "\x1b[1m\x1b[31merror:\x1b[0m a\nwanted word"
        );
        assert_eq!(wrap("say it with --for web, --for worker", 20), "say it with --for\nweb, --for worker");
        assert_eq!(wrap("one\ntwo three", 8), "one\ntwo\nthree");
        assert_eq!(wrap("a /very/long/path/of/somebody b", 10), "a\n/very/long/path/of/somebody\nb");
        assert_eq!(wrap("  indented  text", 40), "  indented  text");
        assert_eq!(wrap("日本 日本", 5), "日本\n日本");
        assert_eq!(wrap("", 5), "");
    }

    #[test]
    fn no_line_of_a_cell_is_wider_than_its_column() {
        assert_eq!(wrap_within("a bc def", 8), "a bc def");
        // A word that fills the line is followed by no space.
        assert_eq!(wrap_within("abcd efgh ij", 4), "abcd\nefgh\nij");
        assert_eq!(wrap_within("a bcdefghij k", 4), "a\nbcde\nfghi\nj k");
        assert_eq!(wrap_within("日本語 日", 5), "日本\n語 日");
        assert_eq!(wrap_within("日本", 1), "日\n本");
        assert_eq!(wrap_within("", 0), "");
    }

    #[test]
    fn a_command_to_copy_stays_in_one_line() {
        assert_eq!(wrap("then run `apt-ci site trust /x`, or not", 24), "then run\n`apt-ci site trust /x`,\nor not");
        assert_eq!(wrap("it`s a lone one here", 10), "it`s a\nlone one\nhere");
    }
}
