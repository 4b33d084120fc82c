//! Releases, architectures, contexts, and the names of queues.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An invalid name: its kind, the text, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?}: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl InvalidName {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        Self { kind, text, rule }
    }

    /// Returns what was to be named, such as `queue`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the invalid text, shortened.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the broken rule.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

/// A release (also: series) of a distribution, such as `bookworm` or `xenial`.
///
/// Lower-case letters, digits and dots, a letter first. A hyphen would make queue names ambiguous.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release(String);

/// A Debian architecture, such as `amd64`: lower-case letters and digits, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Architecture(String);

/// Returns whether the text is a lower-case letter followed by lower-case letters, digits and the given extra
/// characters.
fn is_simple_name(text: &str, extra: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 40
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c))
}

impl FromStr for Release {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_simple_name(text, ".") && Context::from_prefix(text).is_none() {
            Ok(Self(text.to_owned()))
        } else {
            let rule =
                "a release is lower-case letters, digits and dots, begins with a letter, and is not a context's name";
            Err(InvalidName::new("release", text, rule))
        }
    }
}

impl FromStr for Architecture {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_simple_name(text, "") {
            Ok(Self(text.to_owned()))
        } else {
            let rule = "an architecture is lower-case letters and digits and begins with a letter";
            Err(InvalidName::new("architecture", text, rule))
        }
    }
}

macro_rules! text_type {
    ($type:ty) => {
        impl $type {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}
text_type!(Release);
text_type!(Architecture);

/// Kind of a queue. Each release and architecture has one queue per context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// The distribution's own tests: the queue without a prefix.
    Distribution,
    /// Bulk requests that should not delay others.
    Huge,
    /// Requests with PPAs.
    Ppa,
    /// Pull requests of upstream projects.
    Upstream,
}

impl Context {
    /// All contexts, in the order in which queues are shown and served.
    pub const ALL: [Self; 4] = [Self::Distribution, Self::Huge, Self::Ppa, Self::Upstream];

    /// Returns the part of the queue's name for the context; `None` for the distribution's own.
    pub fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Distribution => None,
            Self::Huge => Some("huge"),
            Self::Ppa => Some("ppa"),
            Self::Upstream => Some("upstream"),
        }
    }

    fn from_prefix(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.prefix() == Some(text))
    }
}

/// Parses `distribution`, or the part of the queue's name.
impl FromStr for Context {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match Self::from_prefix(text) {
            Some(context) => Ok(context),
            None if text == "distribution" => Ok(Self::Distribution),
            None => Err(InvalidName::new("context", text, "the contexts are distribution, huge, ppa and upstream")),
        }
    }
}

/// The queue of one context, release and architecture: `debci-RELEASE-ARCH` or `debci-CONTEXT-RELEASE-ARCH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName {
    /// The release that the tests run on.
    pub release: Release,
    /// The architecture that the tests run on.
    pub architecture: Architecture,
    /// The context.
    pub context: Context,
}

impl QueueName {
    /// Returns the queue of a context.
    pub fn new(context: Context, release: Release, architecture: Architecture) -> Self {
        Self { release, architecture, context }
    }

    /// Returns the queues of all contexts of a release and architecture, which its workers serve.
    pub fn all_contexts<'a>(
        release: &'a Release,
        architecture: &'a Architecture,
    ) -> impl Iterator<Item = Self> + use<'a> {
        Context::ALL.into_iter().map(|context| Self::new(context, release.clone(), architecture.clone()))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, architecture, context } = self;
        match context.prefix() {
            None => f.pad(&format!("debci-{release}-{architecture}")),
            Some(prefix) => f.pad(&format!("debci-{prefix}-{release}-{architecture}")),
        }
    }
}

impl FromStr for QueueName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parts: Vec<&str> = text.split('-').collect();
        let (context, release, architecture) = match parts.as_slice() {
            ["debci", release, architecture] => (Context::Distribution, release, architecture),
            ["debci", prefix, release, architecture] => match Context::from_prefix(prefix) {
                Some(context) => (context, release, architecture),
                None => {
                    return Err(InvalidName::new("queue", text, "the contexts are huge, ppa and upstream"));
                }
            },
            _ => {
                let rule = "a queue is named debci-RELEASE-ARCH or debci-CONTEXT-RELEASE-ARCH";
                return Err(InvalidName::new("queue", text, rule));
            }
        };
        Ok(Self::new(context, release.parse()?, architecture.parse()?))
    }
}

impl TryFrom<String> for QueueName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_read_as_they_are_written() {
        for text in
            ["debci-wily-amd64", "debci-huge-xenial-armhf", "debci-ppa-noble-riscv64", "debci-upstream-sid-i386"]
        {
            assert_eq!(text.parse::<QueueName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_queue_name_is_refused_with_the_rule() {
        for text in
            ["", "debci", "debci-wily", "debci-bulk-wily-amd64", "debci-Wily-amd64", "debci-ppa-amd64", "x-wily-amd64"]
        {
            let error = text.parse::<QueueName>().unwrap_err().to_string();
            assert!(error.contains(": "), "{error}");
        }
    }
}
