//! Links in the documents: each leads to a file that exists, and to a heading in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every Markdown document of the project with its text, by its path below the root.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut folders = vec![root().join("docs")];
    let mut files: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "fuzz/README.md"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the documents") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    let text = |path: &PathBuf| fs::read_to_string(path).expect("a document");
    files.iter().map(|path| (path.strip_prefix(root()).expect("below the root").to_owned(), text(path))).collect()
}

/// Returns the text without its blocks of code, in which brackets are no links.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose += line;
            prose.push('\n');
        }
    }
    prose
}

/// Returns the anchors of a document's headings, made as mdBook and GitHub make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text);
    let anchor = |heading: &str| {
        let kept = heading.trim().to_lowercase();
        let kept = kept.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Returns `path` without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let documents = documents();
    let (mut broken, mut count) = (Vec::new(), 0);
    for (path, text) in &documents {
        for captures in link.captures_iter(&prose(text)) {
            let target = &captures[1];
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let folder = path.parent().expect("a folder");
            let file = if file.is_empty() { path.clone() } else { normal(&folder.join(file)) };
            let is_there = root().join(&file).exists();
            let has_anchor = anchor.is_none_or(|anchor| {
                documents.get(&file).is_some_and(|text| anchors(text).contains(&anchor.to_owned()))
            });
            if !is_there || !has_anchor {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(count > 50, "the links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn the_book_lists_every_chapter_and_no_link_leaves_it() {
    let documents = documents();
    let summary = &documents[Path::new("docs/SUMMARY.md")];
    let link = Regex::new(r"\]\(([^)#\s]+)").expect("a pattern");
    for (path, text) in &documents {
        let Ok(chapter) = path.strip_prefix("docs") else { continue };
        if chapter != Path::new("SUMMARY.md") {
            assert!(
                summary.contains(&format!("({})", chapter.display())),
                "SUMMARY.md does not list {}",
                chapter.display()
            );
        }
        for captures in link.captures_iter(&prose(text)).filter(|captures| !captures[1].contains("://")) {
            let target = normal(&path.parent().expect("a folder").join(&captures[1]));
            assert!(
                target.starts_with("docs"),
                "{} links to {}, which the book does not have",
                path.display(),
                target.display()
            );
        }
    }
}
