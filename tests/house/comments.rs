//! The rules for comments in docs/style.md that a program can check.

use crate::modules::files;

const MAX_COLUMNS: usize = 120;

/// First words that make a doc comment depend on what stands before it, or hide its subject.
const UNCLEAR_BEGINNINGS: [&str; 12] = [
    "The same",
    "As ",
    "It ",
    "Those ",
    "These ",
    "They ",
    "That ",
    "Who ",
    "What ",
    "So many",
    "So often",
    "For so long",
];

/// Words that docs/style.md replaces by standard terms.
const REPLACED_WORDS: [(&str, &str); 5] = [
    ("anew", "again"),
    ("for ever", "indefinitely"),
    ("somebody", "another process"),
    ("mend", "fix"),
    ("mends", "fixes"),
];

/// Returns the comment of a line, without its marker, if the line has nothing else.
fn comment(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start();
    let (is_doc, text) = match (line.strip_prefix("///").or_else(|| line.strip_prefix("//!")), line.strip_prefix("//"))
    {
        (Some(text), _) => (true, text),
        (None, Some(text)) => (false, text),
        (None, None) => return None,
    };
    Some((text.strip_prefix(' ').unwrap_or(text), is_doc))
}

fn breaches(check: impl Fn(Option<&str>, &str) -> Option<String>) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in files() {
        let mut before = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(breach) = check(before, line) {
                breaches.push(format!("{}:{}: {breach}", path.display(), number + 1));
            }
            before = Some(line);
        }
    }
    breaches
}

#[test]
fn the_first_line_of_a_doc_comment_stands_alone() {
    let breaches = breaches(|before, line| {
        let (text, true) = comment(line)? else { return None };
        let is_first = !before.and_then(comment).is_some_and(|(_, is_doc)| is_doc);
        let unclear = UNCLEAR_BEGINNINGS.iter().find(|beginning| text.starts_with(*beginning))?;
        is_first.then(|| format!("a doc comment begins with {unclear:?}"))
    });
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn comments_fit_the_columns() {
    let breaches = breaches(|_, line| {
        comment(line)?;
        let columns = line.chars().count();
        (columns > MAX_COLUMNS).then(|| format!("a comment of {columns} columns"))
    });
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn comments_use_standard_terms() {
    let breaches = breaches(|_, line| {
        let (text, _) = comment(line)?;
        // Names in code are no prose.
        let text: String = text.split('`').step_by(2).collect();
        let words = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
        let (word, better) = REPLACED_WORDS.iter().find(|(word, _)| words.contains(&format!(" {word} ")))?;
        Some(format!("{word:?}: write {better:?}"))
    });
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}
