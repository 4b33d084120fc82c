//! Shell patterns: `*` matches any text, `?` one character, `[a-z]` one of a set, and `[!a-z]` one outside of it.
//! Everything else matches itself, and so does a special character as a set: `[?]`.

use std::fmt;

/// A shell pattern that a whole text matches or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Character(char),
    Any,
    AnyText,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// The characters of the texts that a pattern is for. A pattern with another character could match none of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alphabet {
    /// All but control characters.
    Text,
    /// ASCII letters, digits, and the characters of `extra`. `noun` is what such a text is.
    Word { noun: &'static str, extra: &'static str },
}

/// Names of packages, architectures and releases.
pub(crate) const NAMES: Alphabet = Alphabet::Word { noun: "name", extra: ".+-" };

impl Alphabet {
    fn check(self, character: char) -> Result<char, String> {
        match self {
            Self::Text if !character.is_control() => Ok(character),
            Self::Text => Err(format!("has the control character {character:?}")),
            Self::Word { extra, .. } if character.is_ascii_alphanumeric() || extra.contains(character) => Ok(character),
            Self::Word { noun, .. } => Err(format!("has {character:?}, which no {noun} has")),
        }
    }
}

impl Pattern {
    /// The pattern that everything matches.
    pub(crate) fn everything() -> Self {
        Self { text: "*".to_owned(), pieces: vec![Piece::AnyText] }
    }

    /// Reads a pattern for texts of an alphabet.
    ///
    /// # Errors
    /// Says what is wrong, as in "the pattern …": a set that is not closed, empty or turned around, or a character
    /// outside of the alphabet.
    pub(crate) fn read(text: &str, alphabet: Alphabet) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let mut pieces = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => Piece::AnyText,
                '?' => Piece::Any,
                '[' => Self::read_set(&mut characters, alphabet)?,
                character => Piece::Character(alphabet.check(character)?),
            });
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    fn read_set(characters: &mut std::str::Chars<'_>, alphabet: Alphabet) -> Result<Piece, String> {
        let (inside, rest) = characters.as_str().split_once(']').ok_or("has a [ without its ]")?;
        *characters = rest.chars();
        let (negated, inside) = match inside.strip_prefix(['!', '^']) {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        let members: Vec<char> = inside.chars().map(|character| alphabet.check(character)).collect::<Result<_, _>>()?;
        let mut ranges = Vec::new();
        let mut rest = members.as_slice();
        loop {
            rest = match rest {
                [] => break,
                // A hyphen at either end of the set is itself.
                [first, '-', last, rest @ ..] if *first != '-' => {
                    if first > last {
                        return Err(format!("has the range {first}-{last}, in which nothing is"));
                    }
                    ranges.push((*first, *last));
                    rest
                }
                [single, rest @ ..] => {
                    ranges.push((*single, *single));
                    rest
                }
            };
        }
        if ranges.is_empty() {
            return Err("has a set [] with nothing in it".to_owned());
        }
        Ok(Piece::Set { negated, ranges })
    }

    /// Whether the whole text matches. Takes at most the product of both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut piece, mut at) = (0, 0);
        // Position at which to continue when the text of the last `*` turns out too short.
        let mut again: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.pieces.get(piece), text.get(at)) {
                (None, None) => return true,
                (Some(Piece::AnyText), _) => {
                    again = Some((piece, at));
                    piece += 1;
                    continue;
                }
                (Some(wanted), Some(character)) => wanted.fits(*character),
                _ => false,
            };
            if fits {
                piece += 1;
                at += 1;
            } else if let Some((star, from)) = again.filter(|(_, from)| *from < text.len()) {
                again = Some((star, from + 1));
                piece = star + 1;
                at = from + 1;
            } else {
                return false;
            }
        }
    }
}

impl Piece {
    fn fits(&self, character: char) -> bool {
        match self {
            Self::Character(own) => *own == character,
            Self::Any | Self::AnyText => true,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, names, others) in [
            ("gzip", &["gzip"][..], &["gzi", "gzipp", "Gzip", ""][..]),
            ("*", &["", "a", "gzip"], &[]),
            ("lib*", &["lib", "libpng"], &["alib", "li"]),
            ("*-dev*x", &["a-devx", "-dev-dev-x"], &["a-dev", "a-devxy"]),
            ("linux-*-[45].?", &["linux-aws-5.4", "linux--4.x"], &["linux-aws-6.4", "linux-5.4"]),
            ("[!a-c-]z", &["dz", "0z"], &["az", "cz", "-z", "z"]),
            ("[^a]", &["b"], &["a"]),
            ("a**b", &["ab", "axxb"], &["a"]),
            ("g++", &["g++"], &["gg"]),
        ] {
            let read = Pattern::read(pattern, NAMES).unwrap();
            for name in names {
                assert!(read.matches(name), "{pattern} and {name}");
            }
            for name in others {
                assert!(!read.matches(name), "{pattern} and {name}");
            }
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused() {
        for text in ["", "[", "a[b", "[]", "[!]", "[z-a]", "a_b", "a,b", "ä", "a b", "{a}"] {
            assert!(Pattern::read(text, NAMES).is_err(), "{text}");
        }
    }

    #[test]
    fn special_characters_in_sets_are_themselves() {
        for (pattern, text, other) in [
            ("A=[?]", "A=?", "A=b"),
            ("A=[*]b", "A=*b", "A=xb"),
            ("[[]a]", "[a]", "a"),
            ("A=ä ?", "A=ä ö", "A=ä "),
            ("-O[0-3s]", "-O2", "-O4"),
        ] {
            let read = Pattern::read(pattern, Alphabet::Text).unwrap();
            assert!(read.matches(text) && !read.matches(other), "{pattern}");
        }
    }

    #[test]
    fn the_reason_of_a_refusal_is_told() {
        const TRIGGERS: Alphabet = Alphabet::Word { noun: "trigger", extra: ".+-/:~" };
        for (text, alphabet, reason) in [
            ("", Alphabet::Text, "is empty"),
            ("a[b", Alphabet::Text, "has a [ without its ]"),
            ("a[]b", Alphabet::Text, "has a set [] with nothing in it"),
            ("[z-a]", Alphabet::Text, "has the range z-a, in which nothing is"),
            ("a\nb", Alphabet::Text, "has the control character '\\n'"),
            ("a_b", NAMES, "has '_', which no name has"),
            ("a/1_0", TRIGGERS, "has '_', which no trigger has"),
        ] {
            assert_eq!(Pattern::read(text, alphabet).unwrap_err(), reason, "{text:?}");
        }
        assert!(Pattern::read("glibc/1:2.39~rc[12]*", TRIGGERS).is_ok());
    }

    #[test]
    fn a_pattern_of_many_stars_is_not_slow() {
        let pattern = Pattern::read(&"a*".repeat(100), NAMES).unwrap();
        assert!(!pattern.matches(&"b".repeat(10_000)));
        assert!(!Pattern::read(&format!("{}b", "*a".repeat(100)), NAMES).unwrap().matches(&"a".repeat(2000)));
    }

    /// Matches in the obvious way, which is slow and simple.
    fn by_recursion(pieces: &[Piece], name: &[char]) -> bool {
        match (pieces, name) {
            ([], []) => true,
            ([Piece::AnyText, rest @ ..], _) => {
                by_recursion(rest, name) || (!name.is_empty() && by_recursion(pieces, &name[1..]))
            }
            ([piece, rest @ ..], [character, name @ ..]) => piece.fits(*character) && by_recursion(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn both_ways_of_matching_agree(text in "([ab*?]|\\[!?[ab]\\]){1,8}", name in "[ab]{0,8}") {
            let pattern = Pattern::read(&text, NAMES).unwrap();
            let characters: Vec<char> = name.chars().collect();
            prop_assert_eq!(pattern.matches(&name), by_recursion(&pattern.pieces, &characters));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*|[a*?!^\\[\\]-]*", name in "\\PC*") {
            for alphabet in [NAMES, Alphabet::Text] {
                if let Ok(pattern) = Pattern::read(&text, alphabet) {
                    pattern.matches(&name);
                    prop_assert_eq!(pattern.to_string(), text.as_str());
                }
            }
        }
    }
}
