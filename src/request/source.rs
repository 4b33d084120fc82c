//! Git and Bazaar branches as the source of a test.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::InvalidRequest;

/// A git branch: `URL`, `URL#BRANCH` as current programs write it, or `URL BRANCH` as older ones do. The branch may
/// also be another reference, such as `refs/pull/7/head`.
///
/// Only http, https and git, which need no login, no prompt and no program that the requester chooses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitSource {
    url: String,
    branch: Option<String>,
}

impl GitSource {
    /// Returns the repository.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the branch or other reference; `None` for the repository's default branch.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }
}

impl FromStr for GitSource {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let text = text.trim();
        let (url, branch) = match text.split_once(|c: char| c == '#' || c.is_whitespace()) {
            Some((url, branch)) => (url, Some(branch.trim()).filter(|branch| !branch.is_empty())),
            None => (text, None),
        };
        check_url("git", url, &["http", "https", "git"])?;
        if let Some(branch) = branch.filter(|branch| !is_reference(branch)) {
            let rule = "a branch is letters, digits and . _ / + @ -, without .. and not beginning with - or /";
            return Err(InvalidRequest::new("branch", branch, rule));
        }
        Ok(Self { url: url.to_owned(), branch: branch.map(str::to_owned) })
    }
}

impl fmt::Display for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        self.branch.iter().try_for_each(|branch| write!(f, "#{branch}"))
    }
}

/// A Bazaar branch: `lp:…`, or an http, https or bzr address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BzrSource(String);

impl BzrSource {
    /// Returns the branch's address.
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl FromStr for BzrSource {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let text = text.trim();
        match text.strip_prefix("lp:") {
            Some(branch) if branch.chars().all(is_url_character) && !branch.is_empty() => {}
            Some(_) => return Err(InvalidRequest::new("test-bzr", text, "names no branch after lp:")),
            None => check_url("bzr", text, &["http", "https", "bzr"])?,
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BzrSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn check_url(field: &'static str, text: &str, schemes: &[&str]) -> Result<(), InvalidRequest> {
    // A text that may have a password is not quoted.
    let quoted = if text.contains('@') { "" } else { text };
    let invalid = |rule: String| Err(InvalidRequest::new(field, quoted, rule));
    // autopkgtest puts the address into a shell command in quotation marks.
    if let Some(wrong) = text.chars().find(|c| !is_url_character(*c)) {
        return invalid(format!("{wrong:?} has no place in an address; write it percent-encoded"));
    }
    let Ok(url) = Url::parse(text) else {
        return invalid(format!("must begin with {}://", schemes.join(":// or ")));
    };
    if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return invalid(format!("must begin with {}://", schemes.join(":// or ")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("has a user or password in its address, which everybody could read".to_owned());
    }
    Ok(())
}

fn is_url_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?[]@!&()*+,;=%".contains(c)
}

fn is_reference(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._/+@-".contains(c))
        && !text.starts_with(['-', '/'])
        && !text.contains("..")
        && !text.contains("@{")
        && text.len() <= 250
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_git_source_are_read() {
        let source = |text: &str| text.parse::<GitSource>().unwrap();
        let plain = source("https://salsa.debian.org/debian/gzip.git");
        assert_eq!((plain.url(), plain.branch()), ("https://salsa.debian.org/debian/gzip.git", None));
        for text in ["http://host/x#refs/pull/7/head", "http://host/x refs/pull/7/head"] {
            assert_eq!((source(text).url(), source(text).branch()), ("http://host/x", Some("refs/pull/7/head")));
            assert_eq!(source(text).to_string(), "http://host/x#refs/pull/7/head");
        }
        assert_eq!(source("git://host:9418/~me/x#").to_string(), "git://host:9418/~me/x");
    }

    #[test]
    fn sources_that_could_do_harm_are_refused() {
        for text in [
            "",
            "gzip",
            "ext::sh -c touch%20x",
            "file:///etc",
            "ssh://host/x",
            "git@host:x/y",
            "-uhttp://host/x",
            "http://",
            "https://host/x'; touch y;'",
            "https://host/$(id)",
            "https://host/x#-u",
            "https://host/x#a..b",
            "https://host/x#a'b",
            "https://host/x#a b",
        ] {
            assert!(text.parse::<GitSource>().is_err(), "{text}");
        }
        let message = "https://me:hunter2@host/x".parse::<GitSource>().unwrap_err().to_string();
        assert!(message.contains("password") && !message.contains("hunter2"), "{message}");
        let message = |text: &str| text.parse::<GitSource>().unwrap_err().to_string();
        let rule = "must begin with http:// or https:// or git://";
        assert_eq!(message("ssh://host/x"), format!("git \"ssh://host/x\": {rule}"));
        assert_eq!(message("git@host:x/y"), "git: must begin with http:// or https:// or git://");
    }

    #[test]
    fn bazaar_branches_have_short_names_too() {
        for text in ["lp:gzip", "lp:~me/gzip/fix", "https://bazaar.launchpad.net/~me/gzip/fix", "bzr://host/x"] {
            assert_eq!(text.parse::<BzrSource>().unwrap().url(), text);
        }
        for text in ["lp:", "lp:a b", "file:///x", "sftp://host/x", "x"] {
            assert!(text.parse::<BzrSource>().is_err(), "{text}");
        }
    }
}
