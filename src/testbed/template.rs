//! Words of worker.conf: splits them as a shell does, and fills in their `$VARIABLES`.

use super::variables::{Definitions, Variable};

/// Splits a text into words as a shell does: white space separates, quotation marks and backslashes hold together.
/// Other characters have no special meaning.
///
/// # Errors
/// Describes what is not closed.
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

/// Quotes a word so that a shell reads it back unchanged.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Unknown name after a `$`.
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
    /// Parses a template in which each `$` begins a variable; `$$` stands for a dollar sign.
    pub(super) fn strict(text: &str, defined: &Definitions) -> Result<Self, UnknownVariable> {
        Self::read(text, defined, true)
    }

    /// Parses a shell command: only our own and the operator's variables are replaced, every other `$` is the shell's.
    pub(super) fn shell(text: &str, defined: &Definitions) -> Self {
        Self::read(text, defined, false).unwrap_or_else(|_| Self::text(text))
    }

    /// Returns a template of a text without variables.
    pub(super) fn text(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    fn read(text: &str, defined: &Definitions, strict: bool) -> Result<Self, UnknownVariable> {
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
            if let Some(variable) = Variable::ALL.into_iter().find(|variable| variable.name() == name) {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Variable(variable));
                rest = after;
            } else if let Some(value) = defined.get(name) {
                plain.push_str(value);
                rest = after;
            } else if strict {
                return Err(UnknownVariable(name.to_owned()));
            } else {
                plain.push('$');
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// Whether the template contains the variable.
    pub(super) fn uses(&self, variable: Variable) -> bool {
        self.0.contains(&Piece::Variable(variable))
    }

    /// Whether the template is the variable and nothing else.
    pub(super) fn is_only(&self, variable: Variable) -> bool {
        self.0 == [Piece::Variable(variable)]
    }

    /// Returns the text with its variables filled in.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::variables::Definition;
    use super::*;

    fn defined() -> Definitions {
        let defined = ["FLAVOR=m1 small", "DOLLAR=$RELEASE"];
        defined.iter().map(|text| text.parse::<Definition>().unwrap()).collect()
    }

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
            Variable::Testbed => "/srv/testbeds/root.tar",
            Variable::Timestamp => "20261123-084000",
            Variable::HostName => "worker1",
            Variable::Uuid => "an-id",
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
            ("$HOSTNAME-$TIMESTAMP-$UUID", "worker1-20261123-084000-an-id"),
            ("--flavor=${FLAVOR}", "--flavor=m1 small"),
            // A value is not filled in again, whatever it looks like.
            ("$DOLLAR", "$RELEASE"),
        ] {
            assert_eq!(Template::strict(text, &defined()).unwrap().fill(value), filled, "{text}");
        }
        for (text, name) in [("$RELEASES", "RELEASES"), ("a $ b", ""), ("${RELEASE", ""), ("$release", "release")] {
            assert_eq!(Template::strict(text, &defined()), Err(UnknownVariable(name.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_setup_command_keeps_the_variables_of_its_shell() {
        let command = "for f in *; do echo $f ${f%.x} $$ $RELEASE $FLAVOR; done; exit $?";
        let filled = "for f in *; do echo $f ${f%.x} $$ bookworm m1 small; done; exit $?";
        assert_eq!(Template::shell(command, &defined()).fill(value), filled);
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
            let _ = Template::strict(&text, &defined()).map(|template| template.fill(value));
            let _ = Template::shell(&text, &defined()).fill(value);
        }
    }
}
