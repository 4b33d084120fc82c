//! A shell pattern that a name either matches or does not.

/// A shell pattern: `*` stands for any text, `?` for one character, `[a-z]` for one of a set, `[!a-z]` for one outside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Character(char),
    Any,
    AnyText,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// The pattern that everything matches.
    pub(super) fn everything() -> Self {
        Self(vec![Piece::AnyText])
    }

    /// Reads a pattern for names of packages, architectures and releases.
    ///
    /// # Errors
    /// Says what is wrong: a set that is not closed, empty or turned around, or a character that no name has, with which the pattern
    /// could match nothing.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let mut pieces = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => Piece::AnyText,
                '?' => Piece::Any,
                '[' => Self::read_set(&mut characters)?,
                character => Piece::Character(checked(character)?),
            });
        }
        Ok(Self(pieces))
    }

    fn read_set(characters: &mut std::str::Chars<'_>) -> Result<Piece, String> {
        let (inside, rest) = characters.as_str().split_once(']').ok_or("has a [ without its ]")?;
        *characters = rest.chars();
        let (negated, inside) = match inside.strip_prefix(['!', '^']) {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        let members: Vec<char> = inside.chars().map(checked).collect::<Result<_, _>>()?;
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

    /// Whether the whole name matches. Takes at most the product of both lengths.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut piece, mut at) = (0, 0);
        // Where to go on when the text of the last `*` turns out too short.
        let mut again: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.0.get(piece), name.get(at)) {
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
            } else if let Some((star, from)) = again.filter(|(_, from)| *from < name.len()) {
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

fn checked(character: char) -> Result<char, String> {
    if character.is_ascii_alphanumeric() || ".+-".contains(character) {
        Ok(character)
    } else {
        Err(format!("has {character:?}, which no name has"))
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
            let read = Pattern::read(pattern).unwrap();
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
            assert!(Pattern::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_not_slow() {
        let pattern = Pattern::read(&"a*".repeat(100)).unwrap();
        assert!(!pattern.matches(&"b".repeat(10_000)));
        assert!(!Pattern::read(&format!("{}b", "*a".repeat(100))).unwrap().matches(&"a".repeat(2000)));
    }

    /// The obvious way, slow and without anything to get wrong.
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
            let pattern = Pattern::read(&text).unwrap();
            let characters: Vec<char> = name.chars().collect();
            prop_assert_eq!(pattern.matches(&name), by_recursion(&pattern.0, &characters));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*|[a*?!^\\[\\]-]*", name in "\\PC*") {
            let _ = Pattern::read(&text).map(|pattern| pattern.matches(&name));
        }
    }
}
