//! What a credential is for, and what is known about it without opening it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::kind::{InvalidEntry, Kind};
use super::role::{self, Role};
use crate::server_url::ServerIdentity;

/// Whose credential it is: a user, or a project such as `OWNER/REPO`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-/@+:".contains(c);
        // A project's name has at most 100, and something may be added to it.
        if text.is_empty() || text.len() > 110 || !text.chars().all(is_good) {
            let rule = "a name has 1 to 110 of the characters A-Z a-z 0-9 . _ - / @ + :";
            return Err(InvalidEntry(rule.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidEntry;

    fn try_from(text: String) -> Result<Self, InvalidEntry> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is known about a credential without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub name: Name,
    /// The server that alone may get it; none for what is sent nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerIdentity>,
    /// The web service that the server may send it to; none for what it sends nowhere, or for one from before this was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServerIdentity>,
    /// The roles that need it, beside operators; those of its kind if nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<BTreeSet<Role>>,
    /// What somebody wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was stored first.
    pub created: Timestamp,
    /// When its secret was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Timestamp>,
}

/// An entry's file.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(flatten)]
    entry: Entry,
    secret: String,
}

impl Entry {
    /// The roles that need it, beside operators.
    pub fn needed_by(&self) -> BTreeSet<Role> {
        self.readers.clone().unwrap_or_else(|| role::of_kind(self.kind))
    }

    /// Its purpose for people: `amqps://mq.example and worker:host1`.
    pub(super) fn purpose(&self) -> String {
        let text = |server: &Option<ServerIdentity>| server.as_ref().map(ToString::to_string);
        purpose(text(&self.server), text(&self.service), &role::joined(&self.needed_by()))
    }

    /// Its file, below the folder of the credentials.
    pub(super) fn file(&self) -> PathBuf {
        file(self.kind, &self.name)
    }

    pub(super) fn to_json(&self, secret: &str) -> String {
        let file = File { entry: self.clone(), secret: secret.to_owned() };
        // Texts and times can always be written.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// The entry, and its secret as it is in the file. The error does not quote the text.
    pub(super) fn from_json(text: &str) -> Result<(Self, String), String> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| format!("is no credential: line {}, column {}", error.line(), error.column()))?;
        Ok((file.entry, file.secret))
    }
}

/// A purpose for people, of a secret that these roles need.
pub(super) fn purpose(server: Option<String>, service: Option<String>, roles: &str) -> String {
    match (server, service) {
        (Some(server), Some(service)) => format!("{server}, which sends it to {service}, and {roles}"),
        (Some(server), None) => format!("{server} and {roles}"),
        (None, _) => roles.to_owned(),
    }
}

/// What stays as it is in a file's name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@').remove(b'+');

pub(super) fn file(kind: Kind, name: &Name) -> PathBuf {
    // No name begins with a dot: `..` would lead elsewhere.
    let escaped = utf8_percent_encode(&name.0, PLAIN).to_string();
    let escaped = escaped.strip_prefix('.').map_or(escaped.clone(), |rest| format!("%2E{rest}"));
    PathBuf::from(kind.as_str()).join(format!("{escaped}.json"))
}
