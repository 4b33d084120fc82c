//! Words of worker.conf: splitting them as a shell does, and filling in their `$VARIABLES`.

use std::fmt;

/// Splits a text into words as a shell does: white space separates, quotation marks and backslashes hold together. Nothing
/// else has a meaning.
///
/// # Errors
/// Says what is not closed.
pub(super) fn split_words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            character if character.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(inner) => word.push(inner),
                        None => return Err("a single quotation mark is not closed"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("a double quotation mark is not closed"),
                        },
                        Some(inner) => word.push(inner),
                        None => return Err("a double quotation mark is not closed"),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("there is a lone backslash at the end"),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word as a shell would need it to read it back unchanged.
pub(super) fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a `$VARIABLE` in worker.conf stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    Release,
    Architecture,
    /// The testbed's own architecture; differs from the test's when that runs as a foreign one.
    HostArchitecture,
    Package,
    PackageSize,
}

impl Variable {
    pub(super) const ALL: [Self; 5] =
        [Self::Release, Self::Architecture, Self::HostArchitecture, Self::Package, Self::PackageSize];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Release => "RELEASE",
            Self::Architecture => "ARCHITECTURE",
            Self::HostArchitecture => "HOSTARCH",
            Self::Package => "PACKAGE",
            Self::PackageSize => "PACKAGESIZE",
        }
    }
}

/// The name after a `$` that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownVariable(pub(super) String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
}

/// A text with variables: `$NAME` and `${NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template in which each `$` begins a variable; `$$` stands for a dollar sign.
    pub(super) fn strict(text: &str) -> Result<Self, UnknownVariable> {
        Self::read(text, true)
    }

    /// Reads a shell command: only our own variables are replaced, every other `$` is the shell's.
    pub(super) fn shell(text: &str) -> Self {
        Self::read(text, false).unwrap_or_else(|_| Self(vec![Piece::Text(text.to_owned())]))
    }

    fn read(text: &str, strict: bool) -> Result<Self, UnknownVariable> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                plain.push_str(if strict { "$" } else { "$$" });
                rest = after;
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, after) = match rest.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some(braced) => braced,
                None => rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
            };
            match Variable::ALL.into_iter().find(|variable| variable.name() == name) {
                Some(variable) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Variable(variable));
                    rest = after;
                }
                None if strict => return Err(UnknownVariable(name.to_owned())),
                None => plain.push('$'),
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// Whether the variable occurs in it.
    pub(super) fn uses(&self, variable: Variable) -> bool {
        self.0.contains(&Piece::Variable(variable))
    }

    /// Whether it is the variable and nothing else.
    pub(super) fn is_only(&self, variable: Variable) -> bool {
        self.0 == [Piece::Variable(variable)]
    }

    /// The text with its variables filled in.
    pub(super) fn fill<'v>(&self, value: impl Fn(Variable) -> &'v str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Variable(variable) => text.push_str(value(*variable)),
            }
        }
        text
    }
}

/// `$RELEASE, $ARCHITECTURE, …`: for messages.
pub(super) struct VariableNames;

impl fmt::Display for VariableNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Variable::ALL.iter().map(|variable| format!("${}", variable.name())).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, words) in [
            ("", vec![]),
            ("  a  b\n\tc ", vec!["a", "b", "c"]),
            (r#"a"b c"d 'e f' g\ h"#, vec!["ab cd", "e f", "g h"]),
            (r#""" '' "\"\\\n$""#, vec!["", "", r#""\\n$"#]),
            ("'it'\\''s'", vec!["it's"]),
        ] {
            assert_eq!(split_words(text).unwrap(), words, "{text}");
        }
        for text in ["'a", "\"a", "a\\", "\"a\\"] {
            assert!(split_words(text).is_err(), "{text}");
        }
    }

    fn value(variable: Variable) -> &'static str {
        match variable {
            Variable::Release => "bookworm",
            Variable::Architecture => "i386",
            Variable::HostArchitecture => "amd64",
            Variable::Package => "gzip",
            Variable::PackageSize => "small",
        }
    }

    #[test]
    fn variables_are_filled_in_with_and_without_braces() {
        for (text, filled) in [
            ("plain", "plain"),
            ("$RELEASE/$ARCHITECTURE", "bookworm/i386"),
            ("${RELEASE}x-$HOSTARCH.img", "bookwormx-amd64.img"),
            ("$PACKAGESIZE$PACKAGE", "smallgzip"),
            ("costs $$5", "costs $5"),
            ("$$RELEASE", "$RELEASE"),
        ] {
            assert_eq!(Template::strict(text).unwrap().fill(value), filled, "{text}");
        }
        for (text, name) in [("$RELEASES", "RELEASES"), ("a $ b", ""), ("${RELEASE", ""), ("$release", "release")] {
            assert_eq!(Template::strict(text), Err(UnknownVariable(name.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_setup_command_keeps_the_variables_of_its_shell() {
        let command = "for f in *; do echo $f ${f%.x} $$ $RELEASE; done; exit $?";
        let filled = "for f in *; do echo $f ${f%.x} $$ bookworm; done; exit $?";
        assert_eq!(Template::shell(command).fill(value), filled);
    }

    proptest! {
        #[test]
        fn quoted_words_are_read_back(words in proptest::collection::vec("\\PC{0,20}|[ '\"\\\\$a]{0,9}", 0..6)) {
            let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
            prop_assert_eq!(split_words(&line.join(" ")), Ok(words));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC*|[${}A-Z'\"\\\\ ]*") {
            let _ = split_words(&text);
            let _ = Template::strict(&text).map(|template| template.fill(value));
            let _ = Template::shell(&text).fill(value);
        }
    }
}
