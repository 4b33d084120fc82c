//! Syntax of worker.conf: an INI file as Python's configparser reads it (without interpolation), with the line of each
//! key.

use std::collections::BTreeMap;

/// Section whose keys apply to every section.
pub(super) const DEFAULT_SECTION: &str = "DEFAULT";

const COMMENT: [char; 2] = ['#', ';'];
const DELIMITERS: [char; 2] = ['=', ':'];

/// A key with its position and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    /// Line, from 1.
    pub(super) line: usize,
    pub(super) value: String,
}

/// Fault of an INI file that cannot be read: its line, from 1, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Contents of an INI file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// Sections, each with the line of its header.
    pub(super) sections: Vec<(String, usize)>,
    pub(super) settings: Vec<Setting>,
}

/// Reads an INI file. A repeated section or key is refused, as Python refuses it.
///
/// A line with more indent than its key continues the value, whatever is on it. A comment has a line of its own.
pub(super) fn read(text: &str) -> Result<Contents, IniError> {
    let mut contents = Contents { sections: Vec::new(), settings: Vec::<Setting>::new() };
    let mut seen = Seen::default();
    let mut section: Option<String> = None;
    let mut key_indent: Option<usize> = None;
    for (number, raw) in (1..).zip(text.lines()) {
        let malformed = |message: &str| IniError { line: number, message: message.to_owned() };
        let line = raw.trim();
        let indent = raw.len() - raw.trim_start().len();
        if line.starts_with(COMMENT) {
            continue;
        }
        if let (Some(key_indent), Some(setting)) = (key_indent, contents.settings.last_mut())
            && (line.is_empty() || indent > key_indent)
        {
            setting.value.push('\n');
            setting.value.push_str(line);
        } else if line.is_empty() {
            // Between sections.
        } else if let Some(name) = section_name(line) {
            if name != DEFAULT_SECTION {
                seen.note(name, None, number)?;
            }
            contents.sections.push((name.to_owned(), number));
            section = Some(name.to_owned());
            key_indent = None;
        } else {
            let Some((key, value)) = line.split_once(DELIMITERS) else {
                return Err(malformed(match line.starts_with('[') {
                    true => "the section's name is missing or not closed by ]",
                    false => "there is no value: KEY = VALUE",
                }));
            };
            let section = section.clone().ok_or_else(|| malformed("stands before the first [section]"))?;
            let (key, value) = (key.trim_end().to_owned(), value.trim_start().to_owned());
            if key.is_empty() {
                return Err(malformed("there is no name before the ="));
            }
            seen.note(&section, Some(&key), number)?;
            contents.settings.push(Setting { section, key, line: number, value });
            key_indent = Some(indent);
        }
    }
    for Setting { value, .. } in &mut contents.settings {
        value.truncate(value.trim_end().len());
    }
    Ok(contents)
}

/// Returns the name of the section that begins on this line. What follows the last `]` is ignored.
fn section_name(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// Lines of the sections and keys that were read.
#[derive(Default)]
struct Seen(BTreeMap<(String, Option<String>), usize>);

impl Seen {
    fn note(&mut self, section: &str, key: Option<&str>, line: usize) -> Result<(), IniError> {
        let Some(first) = self.0.insert((section.to_owned(), key.map(str::to_owned)), line) else { return Ok(()) };
        let what = match key {
            Some(key) => format!("{key:?} of [{section}]"),
            None => format!("[{section}]"),
        };
        Err(IniError { line, message: format!("{what} is already on line {first}") })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> (usize, String) {
        let IniError { line, message } = read(text).unwrap_err();
        (line, message)
    }

    #[test]
    fn values_come_with_their_lines() {
        let text = "# comment\n[a]\nx = 1\n  and more\n; note\ny: 2 # kept\n\n[b]\nx =\n";
        let Contents { sections, settings } = read(text).unwrap();
        assert_eq!(sections, [("a".to_owned(), 2), ("b".to_owned(), 8)]);
        let found: Vec<_> =
            settings.iter().map(|s| (s.section.as_str(), s.key.as_str(), s.line, s.value.as_str())).collect();
        assert_eq!(found, [("a", "x", 3, "1\nand more"), ("a", "y", 6, "2 # kept"), ("b", "x", 9, "")]);
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_line() {
        for (text, line, part) in [
            ("x = 1\n", 1, "before the first"),
            ("[a\n", 1, "not closed"),
            ("[a]\n= 1\n", 2, "no name"),
            ("[a]\nx\n", 2, "there is no value"),
            ("[a]\n[]\n", 2, "is missing"),
            ("[a]\nx=1\ny=1\nx=2\n", 4, "already on line 2"),
            ("[a]\n[b]\n[a]\n", 3, "already on line 1"),
        ] {
            let (found, message) = message(text);
            assert_eq!(found, line, "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    /// Reads each of the texts, and prints its sections with their keys and values; null for a text that is refused.
    const PYTHON: &str = r"
import configparser, json, sys
def read(text):
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    own = {name: dict(section) for name, section in parser._sections.items()}
    return own | {'DEFAULT': dict(parser.defaults())}
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
";

    /// Texts of lines that are almost right.
    fn texts() -> impl Strategy<Value = Vec<String>> {
        let line = "[ ]{0,3}(\\[[a-c]\\]|\\[ a \\] x|\\[\\]|\\[[a-c]( ?= ?x)?|\\[DEFAULT\\]|[a-c]{1,2} ?[=:] ?[a-z#;=:\\[\\] ]{0,6}|[#;]x|[a-c]|é|)\r?\n";
        let text = format!("(\\[a\\]\n)?({line}){{0,8}}");
        proptest::collection::vec(proptest::string::string_regex(&text).unwrap(), 400)
    }

    /// Returns what [`PYTHON`] prints for the text.
    fn as_in_python(text: &str) -> serde_json::Value {
        let Ok(contents) = read(text) else { return serde_json::Value::Null };
        let mut sections = serde_json::json!({DEFAULT_SECTION: {}});
        for (section, _) in contents.sections {
            if section != DEFAULT_SECTION {
                sections[section] = serde_json::json!({});
            }
        }
        for Setting { section, key, value, .. } in contents.settings {
            sections[section][key] = value.into();
        }
        sections
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

        #[test]
        fn python_reads_the_same(texts in texts()) {
            use std::io::Write;
            use std::process::{Command, Stdio};
            let mut python = Command::new("python3");
            let python = python.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut python = python.spawn().unwrap();
            // Python's text files have one kind of line ends.
            let unix: Vec<String> = texts.iter().map(|text| text.replace("\r\n", "\n")).collect();
            python.stdin.take().unwrap().write_all(&serde_json::to_vec(&unix).unwrap()).unwrap();
            let output = python.wait_with_output().unwrap();
            let read: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
            for (text, python) in texts.iter().zip(read) {
                prop_assert_eq!(as_in_python(text), python, "{:?}", text);
            }
        }
    }

    proptest! {
        #[test]
        fn every_value_has_a_line_and_nothing_panics(text in "([ ]{0,3}(\\[[a-c]\\]|[a-c]{1,2} ?[=:] ?[a-z#;= ]{0,6}|[#;]x|é|)\r?\n){0,12}") {
            let read = read(&text);
            if let Ok(contents) = read {
                for setting in contents.settings {
                    let line = text.lines().nth(setting.line - 1).unwrap();
                    prop_assert!(line.contains(&setting.key), "{:?} on {:?}", setting, line);
                    let first = setting.value.lines().next().unwrap_or_default();
                    prop_assert!(line.contains(first), "{:?} on {:?}", setting, line);
                }
            }
        }
    }
}
