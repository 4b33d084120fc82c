//! Syntax of worker.conf: an INI file as Python's configparser reads it (without interpolation), with the line of each
//! key.

use std::collections::BTreeMap;

use configparser::ini::{Ini, IniDefault};

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

/// Fault of an INI file that cannot be read: the line, if one is at fault, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniError {
    pub(super) line: Option<usize>,
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
pub(super) fn read(text: &str) -> Result<Contents, IniError> {
    let outline = outline(text)?;
    let mut settings = IniDefault::default();
    settings.default_section = DEFAULT_SECTION.to_owned();
    settings.comment_symbols = COMMENT.to_vec();
    settings.delimiters = DELIMITERS.to_vec();
    settings.case_sensitive = true;
    settings.multiline = true;
    settings.enable_inline_comments = false;
    let mut ini = Ini::new_from_defaults(settings);
    let values = ini.read(text.to_owned()).map_err(|message| IniError { line: None, message })?;
    let mut settings = Vec::new();
    for Key { section, key, line } in outline.keys {
        match values.get(&section).and_then(|section| section.get(&key)) {
            Some(Some(value)) => {
                settings.push(Setting { section, key, line, value: value.clone() });
            }
            _ => return Err(IniError { line: Some(line), message: format!("{key:?} has no value: KEY = VALUE") }),
        }
    }
    // Both readings of the file must agree: a key that only one of them sees would be silently ignored.
    if values.values().map(|keys| keys.len()).sum::<usize>() != settings.len() {
        return Err(IniError { line: None, message: "the lines cannot be told apart as KEY = VALUE".to_owned() });
    }
    Ok(Contents { sections: outline.sections, settings })
}

struct Key {
    section: String,
    key: String,
    line: usize,
}

struct Outline {
    sections: Vec<(String, usize)>,
    keys: Vec<Key>,
}

/// Returns the line of each section and key. configparser returns values without lines, and silently takes the last of
/// several, so this reads the same lines to find them.
fn outline(text: &str) -> Result<Outline, IniError> {
    let mut outline = Outline { sections: Vec::new(), keys: Vec::new() };
    let mut seen: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    let mut note = |section: &str, key: Option<&str>, line: usize| {
        let what = match key {
            Some(key) => format!("{key:?} of [{section}]"),
            None => format!("[{section}]"),
        };
        match seen.insert((section.to_owned(), key.map(str::to_owned)), line) {
            None => Ok(()),
            Some(first) => Err(IniError { line: Some(line), message: format!("{what} is already on line {first}") }),
        }
    };
    let mut section: Option<String> = None;
    let mut key_indent: Option<usize> = None;
    for (number, raw) in (1..).zip(text.lines()) {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(COMMENT) {
            continue;
        }
        let malformed = |message: &str| IniError { line: Some(number), message: message.to_owned() };
        if let Some(header) = line.strip_prefix('[') {
            let end = header.rfind(']').ok_or_else(|| malformed("the section's name is not closed by ]"))?;
            let name = header.get(..end).unwrap_or_default().trim().to_owned();
            note(&name, None, number)?;
            outline.sections.push((name.clone(), number));
            section = Some(name);
            key_indent = None;
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        if key_indent.is_some_and(|key_indent| indent > key_indent) {
            continue;
        }
        let section = section.as_ref().ok_or_else(|| malformed("stands before the first [section]"))?;
        let key = line.split(DELIMITERS).next().unwrap_or_default().trim();
        if key.is_empty() {
            return Err(malformed("there is no name before the ="));
        }
        note(section, Some(key), number)?;
        outline.keys.push(Key { section: section.clone(), key: key.to_owned(), line: number });
        key_indent = Some(indent);
    }
    Ok(outline)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> (Option<usize>, String) {
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
            ("[a]\nx\n", 2, "has no value"),
            ("[a]\nx=1\ny=1\nx=2\n", 4, "already on line 2"),
            ("[a]\n[b]\n[a]\n", 3, "already on line 1"),
        ] {
            let (found, message) = message(text);
            assert_eq!(found, Some(line), "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn every_value_has_a_line_and_nothing_panics(text in "([ ]{0,3}(\\[[a-c]\\]|[a-c]{1,2} ?[=:] ?[a-z#;= ]{0,6}|[#;]x|é|)\r?\n){0,12}") {
            let read = read(&text);
            if let Err(malformed) = &read {
                prop_assert!(malformed.line.is_some(), "{:?} of {:?}", malformed, text);
            }
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
